package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/cmd/cli/embedded"
	"github.com/millrace/millrace/coordinator"
	"github.com/millrace/millrace/coordinator/server"
	"github.com/millrace/millrace/worker"
	"github.com/millrace/millrace/worker/processor/function"
	workerserver "github.com/millrace/millrace/worker/server"
)

// Functions of the processes that are measured.
const (
	nothing = "nothing" // for batches that are empty
	started = "started" // tells when it was called, in nanoseconds since 1970
)

func benchFunctions() (*function.Registry, error) {
	return function.NewRegistry(
		worker.Batch(nothing, func(context.Context, *worker.Input[[]byte], func([]byte)) error { return nil }),
		worker.Batch(started, func(_ context.Context, _ *worker.Input[[]byte], emit func(string)) error {
			emit(strconv.FormatInt(time.Now().UnixNano(), 10))
			return nil
		}),
	)
}

// loopback is a free port that only this machine reaches.
const loopback = "127.0.0.1:0"

// benchRole is one of the processes that `bench leases` starts, of this same
// program. Each prints one line, and ends when its standard input does, so that
// none outlives who started it.
type benchRole struct {
	kind    string
	join    string
	name    string
	slots   int
	leases  uint64
	workers int
}

// benchTold is what a role prints.
type benchTold struct {
	Address string  `json:"address,omitempty"`
	Gossip  string  `json:"gossip,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
}

func (a *app) benchProcessCommand() *cobra.Command {
	r := &benchRole{}
	cmd := &cobra.Command{
		Use: "process KIND", Short: "One of the processes that are measured", Hidden: true, Args: cobra.ExactArgs(1),
	}
	flags := cmd.Flags()
	flags.StringVar(&r.join, "join", "", "connect to this address")
	flags.StringVar(&r.name, "name", "", "the worker's name")
	flags.IntVar(&r.slots, "slots", 1, "the worker's slots")
	flags.Uint64Var(&r.leases, "leases", 0, "how many bare leases to grant")
	flags.IntVar(&r.workers, "workers", 1, "how many bare workers to wait for, or sessions to hold")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.kind = args[0]
		ctx, cancel := context.WithCancel(cmd.Context())
		defer cancel()
		go func() {
			_, _ = io.Copy(io.Discard, a.stdin) // its end is all that it says
			cancel()
		}()
		if err := r.run(ctx, a); err != nil && ctx.Err() == nil {
			return failed(err)
		}
		return nil
	}
	return cmd
}

func (r *benchRole) run(ctx context.Context, a *app) error {
	switch r.kind {
	case "coordinator":
		return r.coordinator(ctx, a)
	case "worker":
		return r.worker(ctx, a)
	case "sessions":
		return r.sessions(ctx, a)
	case "bare-coordinator":
		return r.bareCoordinator(ctx, a)
	case "bare-worker":
		conn, err := benchDial(r.join)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := a.printLine(benchTold{}); err != nil {
			return err
		}
		return bareWorker(ctx, conn)
	}
	return usage("no process is called %q", r.kind)
}

func (r *benchRole) coordinator(ctx context.Context, a *app) error {
	boss, err := server.New(server.Config{
		Listen: loopback, Gossip: loopback, Version: version().Version, Logger: a.logger(a.stderr),
	})
	if err != nil {
		return err
	}
	if err := a.printLine(benchTold{Address: boss.Addr(), Gossip: boss.GossipAddr()}); err != nil {
		return err
	}
	return boss.Run(ctx)
}

func (r *benchRole) worker(ctx context.Context, a *app) error {
	functions, err := benchFunctions()
	if err != nil {
		return err
	}
	folder, err := embedded.MakeFolder("")
	if err != nil {
		return err
	}
	defer folder.Remove()
	hand, err := workerserver.New(ctx, workerserver.Config{
		Name: r.name, Join: []string{r.join}, Slots: r.slots,
		MemoryBytes: embedded.DefaultMemory(), SpoolFolder: folder.Path,
		Labels:    map[string]string{benchLabel: r.name},
		Functions: functions, Version: version().Version, Logger: a.logger(a.stderr),
	})
	if err != nil {
		return err
	}
	if err := a.printLine(benchTold{}); err != nil {
		return err
	}
	return hand.Run(ctx)
}

func (r *benchRole) bareCoordinator(ctx context.Context, a *app) error {
	boss, err := coordinator.New(coordinator.Config{}) // for its options alone
	if err != nil {
		return err
	}
	bare := newBareServer(r.leases, r.workers)
	server := grpc.NewServer(boss.ServerOptions()...)
	pb.RegisterWorkerServiceServer(server, bare)
	if err := a.listen(server); err != nil {
		return err
	}
	defer server.Stop()
	select {
	case took := <-bare.finished:
		return a.printLine(benchTold{Seconds: took.Seconds()})
	case <-ctx.Done():
		return nil
	}
}

// listen serves on a free port of loopback, and tells which.
func (a *app) listen(server *grpc.Server) error {
	listener, err := net.Listen("tcp", loopback)
	if err != nil {
		return err
	}
	go server.Serve(listener) //nolint:errcheck // it ends with Stop
	return a.printLine(benchTold{Address: listener.Addr().String()})
}

func benchDial(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(api.MaxMessageBytes), grpc.MaxCallSendMsgSize(api.MaxMessageBytes)))
}

// benchProcesses are those that were started, to be stopped together.
type benchProcesses struct {
	app     *app
	program string
	all     []*benchChild
}

// benchChild is one of them.
type benchChild struct {
	cmd   *exec.Cmd
	stdin io.Closer
	lines *bufio.Reader
}

func (a *app) newBenchProcesses() (*benchProcesses, error) {
	program, err := os.Executable()
	return &benchProcesses{app: a, program: program}, err
}

// start starts a role, and waits for the line that says it is there.
func (p *benchProcesses) start(args ...string) (*benchChild, benchTold, error) {
	cmd := exec.Command(p.program, append([]string{"--log", p.level(), "bench", "process"}, args...)...)
	cmd.Stderr = p.app.stderr
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, benchTold{}, err
	}
	if err := cmd.Start(); err != nil {
		return nil, benchTold{}, err
	}
	child := &benchChild{cmd, stdin, bufio.NewReader(stdout)}
	p.all = append(p.all, child)
	told, err := child.told()
	return child, told, err
}

// level is what they log: that workers go away is as it should be here.
func (p *benchProcesses) level() string {
	if p.app.logLevel == "" {
		return "error"
	}
	return p.app.logLevel
}

// told is the next line of a role.
func (c *benchChild) told() (told benchTold, err error) {
	line, err := c.lines.ReadBytes('\n')
	if err != nil {
		return told, fmt.Errorf("%q ended too early: %w", c.cmd.Args[1:], err)
	}
	return told, json.Unmarshal(line, &told)
}

// stop ends all of them, those that were started last first.
func (p *benchProcesses) stop() error {
	var faults []error
	for i := len(p.all) - 1; i >= 0; i-- {
		child := p.all[i]
		child.stdin.Close()
		if err := child.cmd.Wait(); err != nil {
			faults = append(faults, fmt.Errorf("%q: %w", child.cmd.Args[1:], err))
		}
	}
	p.all = nil
	return errors.Join(faults...)
}
