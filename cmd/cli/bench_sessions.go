package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/cmd/cli/embedded"
	"github.com/millrace/millrace/worker/agent"
)

const sessionsLong = `Attach so many workers to one coordinator, each with a connection and a session
of its own, in a few processes, and tell what they cost it.

idle_cpu_percent         the coordinator's, of a core, while nothing happens
memory_per_session_bytes by which the coordinator grew, for each
attach_seconds           until all were attached
few_leases_per_s         empty batches a second with two of these workers
leases_per_s             the same with all
held                     the second by the first`

// sessionOptions are the flags of `bench sessions`.
type sessionOptions struct {
	sessions, processes int
	batches             uint64
	idle                time.Duration
}

// sessionFigures are what `bench sessions` tells.
type sessionFigures struct {
	Sessions int     `json:"sessions"`
	Attach   float64 `json:"attach_seconds"`
	Idle     float64 `json:"idle_cpu_percent"`
	Memory   int64   `json:"memory_per_session_bytes"`
	Few      float64 `json:"few_leases_per_s"`
	Rate     float64 `json:"leases_per_s"`
	Held     float64 `json:"held"`
}

func (a *app) benchSessionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "sessions", Short: "Attach many workers, and tell what they cost the coordinator",
		Long: sessionsLong, Example: "  millrace bench sessions --sessions 500", Args: cobra.NoArgs,
	}
	o, flags := &sessionOptions{}, cmd.Flags()
	flags.IntVar(&o.sessions, "sessions", 500, "attach so many workers")
	flags.IntVar(&o.processes, "processes", 5, "run them in so many processes")
	flags.Uint64Var(&o.batches, "batches", 300_000, "lease this many batches")
	flags.DurationVar(&o.idle, "idle", 5*time.Second, "measure this long while nothing happens")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.processes < 1 || o.sessions < o.processes || o.batches < 1 {
			return usage("--processes is %d of %d sessions, --batches %d: at least one of each", o.processes, o.sessions, o.batches)
		}
		figures, err := a.benchSessions(cmd.Context(), o)
		if err != nil {
			return failed(err)
		}
		return a.tellSessions(figures)
	}
	return cmd
}

func (a *app) benchSessions(ctx context.Context, o *sessionOptions) (f sessionFigures, err error) {
	processes, err := a.newBenchProcesses()
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, processes.stop()) }()
	boss, told, err := processes.start("coordinator")
	if err != nil {
		return f, err
	}
	client, err := api.Dial(told.Address)
	if err != nil {
		return f, err
	}
	defer client.Close()

	before, err := resident(boss.cmd.Process.Pid)
	if err != nil {
		return f, err
	}
	many, err := o.attachAll(ctx, processes, client, told.Address, &f)
	if err != nil {
		return f, err
	}
	if err := o.measureIdle(ctx, boss.cmd.Process.Pid, before, &f); err != nil {
		return f, err
	}
	if f.Rate, err = rateOf(ctx, client, f.Sessions, o.batches); err != nil {
		return f, err
	}
	for _, child := range many {
		child.stdin.Close()
	}
	if err := untilAttached(ctx, client, 0); err != nil {
		return f, err
	}
	if _, _, err = processes.start("sessions", "--join", told.Address, "--workers", "2", "--name", "few"); err == nil {
		f.Few, err = rateOf(ctx, client, 2, o.batches)
		f.Held = math.Round(100*f.Rate/f.Few) / 100
	}
	return f, err
}

// attachAll starts the workers, and waits until all are attached.
func (o *sessionOptions) attachAll(ctx context.Context, processes *benchProcesses, client *api.Client, address string, f *sessionFigures) ([]*benchChild, error) {
	began := time.Now()
	var children []*benchChild
	for i, many := range shares(o.sessions, o.processes) {
		child, _, err := processes.start("sessions", "--join", address, "--workers", strconv.Itoa(many), "--name", fmt.Sprintf("many-%d", i))
		if err != nil {
			return nil, err
		}
		children, f.Sessions = append(children, child), f.Sessions+many
	}
	err := untilAttached(ctx, client, f.Sessions)
	f.Attach = math.Round(100*time.Since(began).Seconds()) / 100
	return children, err
}

// measureIdle tells what the sessions cost the coordinator while nothing happens.
func (o *sessionOptions) measureIdle(ctx context.Context, boss int, before int64, f *sessionFigures) (err error) {
	if f.Idle, err = idleShare(ctx, boss, o.idle); err != nil {
		return err
	}
	after, err := resident(boss)
	f.Memory = (after - before) / int64(f.Sessions)
	return err
}

// rateOf is how many empty batches a second so many workers are leased.
func rateOf(ctx context.Context, client *api.Client, workers int, batches uint64) (float64, error) {
	if err := untilAttached(ctx, client, workers); err != nil {
		return 0, err
	}
	if _, _, err := lease(ctx, client, emptyBatches(min(batches, 1000))); err != nil {
		return 0, err
	}
	done, seconds, err := lease(ctx, client, emptyBatches(batches))
	return math.Round(float64(done) / seconds), err
}

// untilAttached waits until just so many workers have a session.
func untilAttached(ctx context.Context, client *api.Client, want int) error {
	for tick := time.Tick(20 * time.Millisecond); ; {
		workers, err := client.Workers(ctx)
		if err != nil {
			return err
		}
		attached := 0
		for _, w := range workers {
			if w.GetState() == pb.WorkerState_WORKER_STATE_READY {
				attached++
			}
		}
		if attached == want {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick:
		}
	}
}

// idleShare is the processor time of a process over a time, in percent of a core.
func idleShare(ctx context.Context, pid int, over time.Duration) (float64, error) {
	before, err := processorTime(pid)
	if err != nil {
		return 0, err
	}
	select {
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-time.After(over):
	}
	after, err := processorTime(pid)
	return math.Round(1000*(after-before).Seconds()/over.Seconds()) / 10, err
}

// clockTicks a second are what Linux counts processor time in, everywhere.
const clockTicks = 100

// processorTime is what a process has used of all cores, as Linux tells it.
func processorTime(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("the coordinator's processor time: %w", err)
	}
	_, rest, _ := strings.Cut(string(data), ") ") // after the name, which may hold anything
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("the coordinator's processor time: %q", data)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / clockTicks, errors.Join(err1, err2)
}

// resident is the memory that a process has, in bytes, as Linux tells it.
func resident(pid int) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("the coordinator's memory: %w", err)
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0, fmt.Errorf("the coordinator's memory: %q", data)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

func (a *app) tellSessions(f sessionFigures) error {
	if a.json {
		return a.printJSON(f)
	}
	_, err := fmt.Fprintf(a.stdout, `%s, attached after %.2f s
idle coordinator           %8.1f %% of a core
memory of a session        %8s
leases                     %8s /s, with two workers %s /s: %.2f of it
`, count(int64(f.Sessions), "session", "sessions"), f.Attach, f.Idle, size(f.Memory),
		grouped(int64(f.Rate)), grouped(int64(f.Few)), f.Held)
	return err
}

// sessions runs so many workers in this process, each with a connection, a
// session and a spool of its own, and no data plane.
func (r *benchRole) sessions(ctx context.Context, a *app) error {
	folder, err := embedded.MakeFolder("")
	if err != nil {
		return err
	}
	defer folder.Remove()
	hands := make([]*agent.Agent, r.workers)
	for i := range hands {
		conn, err := benchDial(r.join)
		if err != nil {
			return err
		}
		defer conn.Close()
		spool := filepath.Join(folder.Path, strconv.Itoa(i))
		if err := os.Mkdir(spool, 0o700); err != nil {
			return err
		}
		if hands[i], err = a.benchAgent(fmt.Sprintf("%s-%d", r.name, i), spool, conn); err != nil {
			return err
		}
	}
	ended := make(chan error)
	for _, hand := range hands {
		go func() { ended <- hand.Run(ctx) }()
	}
	err = a.printLine(benchTold{})
	for range hands {
		err = errors.Join(err, <-ended)
	}
	return err
}

// benchAgent is a worker of one slot without a process of its own.
func (a *app) benchAgent(name, spool string, conn grpc.ClientConnInterface) (*agent.Agent, error) {
	functions, err := benchFunctions()
	if err != nil {
		return nil, err
	}
	return agent.New(agent.Config{
		Name: name, Slots: 1, MemoryBytes: embedded.DefaultMemory(), SpoolFolder: spool,
		Functions: functions, Version: version().Version, Conn: conn, Logger: a.logger(a.stderr),
	})
}
