package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/api"
	"github.com/millrace/millrace/cmd/cli/settings"
	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/coordinator/server"
)

const coordinatorName = "coordinator"

// Where a coordinator listens when nobody says, and so where workers and clients
// look for one.
const (
	defaultListen = "127.0.0.1:7400"
	defaultGossip = "127.0.0.1:7401"
)

const coordinatorLong = `Run a coordinator until a signal ends it. It prints where it listens, for
clients and for workers that join, a line each, and logs to standard error.

Workers need its gossip address (millrace worker --join), clients the other one
(millrace submit --server). Beyond this machine it takes TLS and a gossip key;
millrace certs makes both for trying it out.

A signal ends it. Its log of jobs is in memory: after a restart the old jobs are
gone, and workers drop what they ran of them and go on with new ones.`

const coordinatorExample = `  # For this machine
  millrace coordinator

  # For others, with certificates that millrace certs made
  millrace coordinator --listen 0.0.0.0:7400 --gossip-key-file pki/gossip.key \
    --tls-cert pki/coordinator.crt --tls-key pki/coordinator.key \
    --tls-ca pki/ca.crt

  # On ports that are free, told to a script
  millrace coordinator --listen 127.0.0.1:0 --json

  # At most 8 slots for anna, 2 for everybody else
  millrace coordinator --quota anna=8 --quota '*=2'`

var coordinatorGroups = []flagGroup{
	{"Addresses", []string{"listen", "gossip", "advertise", "gossip-profile"}},
	{"Security", securityFlags},
	{"Jobs", []string{"keep-for", "keep-jobs", "max-jobs", "quota", "shelf-result", "shelf-bytes"}},
	{"Workers", []string{"lease", "heartbeat", "worker-gone", "target-lease", "max-workers"}},
	{"Others", []string{"help"}},
}

// coordinatorOptions are the settings of a coordinator.
type coordinatorOptions struct {
	config server.Config
	quotas map[string]string

	shelfResult, shelfBytes int64
}

func (a *app) coordinatorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: coordinatorName, Short: "Run a coordinator",
		Long: coordinatorLong, Example: coordinatorExample, Args: cobra.NoArgs,
	}
	o := addCoordinatorFlags(cmd)
	groupFlags(cmd, coordinatorGroups)
	completeFiles(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.runCoordinator(cmd.Context(), o) }
	return cmd
}

func addCoordinatorFlags(cmd *cobra.Command) *coordinatorOptions {
	o := &coordinatorOptions{}
	c := &o.config
	f := settings.Flags{FlagSet: cmd.Flags()}
	f.SortFlags = false
	c.Listen = defaultListen
	f.Text(&c.Listen, "listen", "host:port", "", "listen for clients and workers; port 0 chooses a free one")
	f.Text(&c.Gossip, "gossip", "host:port", "the port after that of --listen", "gossip with workers")
	addExposureFlags(f, exposure{&c.Advertise, &c.GossipKeyFile, &c.GossipProfile, &c.Insecure, &c.TLS}, "found by itself")
	o.jobFlags(f)
	o.workerFlags(f)
	return o
}

func (o *coordinatorOptions) jobFlags(f settings.Flags) {
	usual, c := ledger.DefaultConfig(), &o.config.Coordinator
	c.KeepFor, c.KeepJobs, c.MaxJobs = time.Hour, usual.KeepJobs, usual.MaxJobs
	f.Duration(&c.KeepFor, "keep-for", "", time.Millisecond, "keep an ended job and its result this long, if it says nothing itself")
	f.Count(&c.KeepJobs, "keep-jobs", "", 1, "remember at most so many ended jobs")
	f.Count(&c.MaxJobs, "max-jobs", "", 1, "refuse jobs beyond so many that have not ended")
	o.shelfResult, o.shelfBytes = 1<<20, 64<<20
	f.Bytes(&o.shelfResult, "shelf-result", "", 0, "keep a copy here of results up to this size, so that their workers may go")
	f.Bytes(&o.shelfBytes, "shelf-bytes", "", 0, "keep at most so much in such copies")
	f.Pairs(&o.quotas, "quota", "user=slots", "give a user at most so many slots at once; * for all others", func(user, slots string) error {
		if n, err := strconv.Atoi(slots); err != nil || n < 1 {
			return fmt.Errorf("%s=%s: the slots of a user are a whole number from 1 on", user, slots)
		}
		return nil
	})
}

func (o *coordinatorOptions) workerFlags(f settings.Flags) {
	usual, c := ledger.DefaultConfig(), &o.config.Coordinator
	c.Lease, c.TargetLease, c.MaxSessions = usual.Lease, usual.TargetLease, usual.MaxWorkers
	f.Duration(&c.Lease, "lease", "", 100*time.Millisecond, "a lease ends when its worker was silent this long")
	f.Duration(&c.Heartbeat, "heartbeat", "1s, or a third of --lease", 10*time.Millisecond, "have workers say this often that they live")
	f.Duration(&c.WorkerGone, "worker-gone", "30s, or three times --lease", time.Millisecond, "make outputs anew when their worker was away this long")
	f.Duration(&c.TargetLease, "target-lease", "", time.Millisecond, "cut batches so that each takes about this long")
	f.Count(&c.MaxSessions, "max-workers", "", 1, "refuse workers beyond so many")
}

// finish settles what depends on other settings.
func (o *coordinatorOptions) finish() error {
	c := &o.config
	if c.Gossip == "" {
		next, err := portAfter(c.Listen)
		if err != nil {
			return usage("--listen %s: %w", c.Listen, err)
		}
		c.Gossip = next
	}
	if err := o.checkTimes(); err != nil {
		return err
	}
	c.Coordinator.ShelfResult, c.Coordinator.ShelfBytes = int(o.shelfResult), int(o.shelfBytes)
	if o.shelfResult == 0 || o.shelfBytes == 0 {
		c.Coordinator.ShelfResult, c.Coordinator.ShelfBytes = -1, 0 // none
	}
	c.Coordinator.Quotas = map[string]int{}
	for user, slots := range o.quotas {
		n, _ := strconv.Atoi(slots) // checked with the flag
		if user == "*" {
			c.Coordinator.DefaultQuota = n
		} else {
			c.Coordinator.Quotas[user] = n
		}
	}
	return nil
}

// checkTimes tells which times don't fit each other.
func (o *coordinatorOptions) checkTimes() error {
	c := &o.config.Coordinator
	if c.Heartbeat > c.Lease/3 {
		return usage("--heartbeat %s is more than a third of --lease %s: two that are lost would end a lease",
			api.FormatDuration(c.Heartbeat), api.FormatDuration(c.Lease))
	}
	if c.WorkerGone > 0 && c.WorkerGone < c.Lease {
		return usage("--worker-gone %s is less than --lease %s", api.FormatDuration(c.WorkerGone), api.FormatDuration(c.Lease))
	}
	return nil
}

// portAfter is the address with the next port; any for any.
func portAfter(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", errors.New("HOST:PORT is meant, such as 0.0.0.0:7400")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil:
		return "", errors.New("its port is to be a number up to 65535")
	case n == 1<<16-1:
		return "", errors.New("there is no port after it for gossip: name one with --gossip")
	case n > 0:
		n++
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
}

func (a *app) runCoordinator(ctx context.Context, o *coordinatorOptions) error {
	a.tellStrangers()
	if err := o.finish(); err != nil {
		return err
	}
	o.config.Version, o.config.Logger = version().Version, a.logger(a.stderr)
	s, err := server.New(o.config)
	if err != nil {
		return notStarted(ctx, err)
	}
	err = a.tellProcess([]fact{{"listen", s.Addr()}, {"gossip", s.GossipAddr()}})
	if err != nil {
		return failed(err)
	}
	if err := s.Run(ctx); err != nil && ctx.Err() == nil {
		return failed(err)
	}
	return nil
}

// fact is something that a process tells of itself when it begins.
type fact struct{ name, value string }

// tellProcess prints what scripts need to know of a process: a line for each
// fact, or one object on a line.
func (a *app) tellProcess(facts []fact) error {
	if !a.json {
		for _, f := range facts {
			if err := a.print("%s %s\n", f.name, f.value); err != nil {
				return err
			}
		}
		return nil
	}
	all := make(map[string]string, len(facts))
	for _, f := range facts {
		all[f.name] = f.value
	}
	return a.printLine(all)
}
