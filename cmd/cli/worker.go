package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/api"
	"github.com/millrace/millrace/cmd/cli/embedded"
	"github.com/millrace/millrace/cmd/cli/settings"
	"github.com/millrace/millrace/worker/agent"
	"github.com/millrace/millrace/worker/server"
	"github.com/millrace/millrace/worker/session"
)

const workerName = "worker"

const workerLong = `Run a worker until it is drained or a signal ends it. It finds the coordinator
by gossip: any member of the fleet's will do for --join. It prints its name and
its addresses, a line each, and logs to standard error.

Jobs read and write files below its data roots only, and run the programs that
it allows; without any it has ranges, inline records, queries and functions to
run. All workers of a job that reads or writes files should see the same ones by
the same paths.

The first SIGTERM or SIGINT drains it: it takes no new leases, finishes what
runs within --drain-within, gives back the rest, and leaves. The second stops it
at once.`

const workerExample = `  # Beside a coordinator on this machine
  millrace worker --data-root /data

  # On another one, with TLS
  millrace worker --join coordinator.example:7401 --data-root /data \
    --gossip-key-file pki/gossip.key --tls-cert pki/worker.crt \
    --tls-key pki/worker.key --tls-ca pki/ca.crt

  # Four batches at once, and which programs jobs may run
  millrace worker --slots 4 --data-root . --allow-command wc --allow-command jq

  # A label that jobs can ask for
  millrace worker --label gpu=yes --data-root /data`

var workerGroups = []flagGroup{
	{"The fleet", []string{"join", "name", "label", "zone"}},
	{"What it may use", []string{"slots", "max-memory", "spool", "spool-bytes", "data-root", "allow-command"}},
	{"Addresses", []string{"listen", "gossip", "advertise", "gossip-profile"}},
	{"Security", securityFlags},
	{"Others", []string{"drain-within", "help"}},
}

func (a *app) workerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: workerName, Short: "Run a worker",
		Long: workerLong, Example: workerExample, Args: cobra.NoArgs,
	}
	config := addWorkerFlags(cmd)
	groupFlags(cmd, workerGroups)
	completeFiles(cmd)
	for _, name := range []string{"data-root", "spool"} {
		if err := cmd.MarkFlagDirname(name); err != nil {
			panic(err) // a flag that is not there
		}
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.runWorker(cmd.Context(), config) }
	return cmd
}

// addWorkerFlags adds the settings of a worker. They are in the configuration
// once they are settled; workerConfig fills in the rest.
func addWorkerFlags(cmd *cobra.Command) *server.Config {
	c := &server.Config{Join: []string{defaultGossip}, DrainWithin: session.DefaultDrain, SpoolBytes: agent.DefaultSpoolBytes}
	f := settings.Flags{FlagSet: cmd.Flags()}
	f.SortFlags = false
	f.List(&c.Join, "join", "host:port", "", "join the fleet that these are members of; names are looked up again and again", nil)
	f.Text(&c.Name, "name", "name", "the host's and random letters", "its name, unique in the fleet; a cordon goes by it")
	f.Pairs(&c.Labels, "label", "name=value", "say for which jobs it is", checkLabel)
	f.Text(&c.Zone, "zone", "zone", "", "say where it is: a rack, a building")
	f.Count(&c.Slots, "slots", "all cores", 1, "run this many batches at once")
	f.Bytes(&c.MemoryBytes, "max-memory", "70% of what is free", 64<<20, "memory for batches")
	f.Text(&c.SpoolFolder, "spool", "folder", "TMPDIR, or /tmp", "keep outputs in a folder of its own in this one")
	f.Bytes(&c.SpoolBytes, "spool-bytes", "", 64<<10, "keep at most so much there")
	f.List(&c.DataRoots, "data-root", "folder", "", "let jobs read and write files below this folder", nil)
	f.List(&c.AllowCommands, "allow-command", "program", "", "let jobs run this program, as they write it; * for all", nil)
	f.Text(&c.Listen, "listen", "host:port", "a free port", "serve outputs there")
	f.Text(&c.Gossip, "gossip", "host:port", "a free port", "gossip there")
	addExposureFlags(f, exposure{&c.Advertise, &c.GossipKeyFile, &c.GossipProfile, &c.Insecure, &c.TLS}, "from where it reaches --join")
	f.Duration(&c.DrainWithin, "drain-within", "", 0, "a drain waits so long for running batches")
	return c
}

// checkLabel refuses what no worker can carry.
func checkLabel(name, v string) error {
	if len(name) > api.MaxLabelBytes || len(v) > api.MaxLabelBytes {
		return fmt.Errorf("%s=%s: a label's name and value have at most %d bytes each", name, v, api.MaxLabelBytes)
	}
	return nil
}

// workerConfig fills in what flags don't say.
func (a *app) workerConfig(c *server.Config) error {
	if c.Slots == 0 {
		c.Slots = runtime.GOMAXPROCS(0)
	}
	if c.MemoryBytes == 0 {
		c.MemoryBytes = embedded.FreeMemory()
	}
	if c.SpoolFolder == "" {
		c.SpoolFolder = os.TempDir()
	}
	for i, root := range c.DataRoots {
		absolute, err := filepath.Abs(root)
		if err != nil {
			return failed(err)
		}
		c.DataRoots[i] = absolute
	}
	c.Functions, c.Version, c.Logger = a.functions, version().Version, a.logger(a.stderr)
	return nil
}

func (a *app) runWorker(ctx context.Context, c *server.Config) error {
	a.tellStrangers()
	if err := a.workerConfig(c); err != nil {
		return err
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(max(c.MemoryBytes/2, minGoMemory)) // the rest is for queries
	}
	a.patient.Store(true)
	s, err := server.New(ctx, *c)
	if err != nil {
		return notStarted(ctx, err)
	}
	err = a.tellProcess([]fact{{"name", s.Name()}, {"data", s.DataAddr()}, {"gossip", s.GossipAddr()}})
	if err != nil {
		return failed(err)
	}
	defer context.AfterFunc(ctx, func() { s.Drain(0) })()
	err = s.Run(a.hurry)
	if err != nil || a.hurry.Err() != nil {
		return a.stoppedOr(a.hurry, err)
	}
	return nil
}

// stoppedOr is how a process ends that was not able to go on: by a signal, if
// one ended ctx, or with the error.
func (a *app) stoppedOr(ctx context.Context, err error) error {
	if status, ok := isInterrupted(ctx); ok {
		return &failure{status, nil}
	}
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		err = errors.New("stopped for no reason that is known")
	}
	return failed(err)
}

// notStarted is why a process could not be made: of a wrong setting, unless it
// is the network, or a signal.
func notStarted(ctx context.Context, err error) error {
	var network *net.OpError
	var names *net.DNSError
	var address *net.AddrError
	switch status, ok := isInterrupted(ctx); {
	case ok:
		return &failure{status, nil}
	case errors.As(err, &address): // no network has it
	case errors.As(err, &network), errors.As(err, &names):
		return failed(err)
	}
	return &failure{statusUsage, err}
}
