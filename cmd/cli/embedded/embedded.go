// Package embedded runs a coordinator and a worker in this process, joined by an
// in-memory connection: the same services and the same session as in a cluster.
// How the two are wired, where their files lie and how much memory they get is
// decided here; what they do is not.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/millrace/millrace/api"
	"github.com/millrace/millrace/coordinator"
	"github.com/millrace/millrace/worker/agent"
	"github.com/millrace/millrace/worker/processor/command"
	"github.com/millrace/millrace/worker/processor/function"
)

// The in-memory connection: what lies in it at once, in bytes, for each
// direction, and what a stream may send before the other side has read it.
const (
	pipeBytes   = 256 << 10
	windowBytes = 4 << 20
)

// Config says what the worker may use.
type Config struct {
	// Slots is how many batches run at once.
	Slots int
	// MemoryBytes is what all of them together may use.
	MemoryBytes int64
	// Folder holds intermediate outputs. It must exist, and is the caller's.
	Folder string
	// Labels are the worker's: it stands for a whole fleet.
	Labels map[string]string
	// Functions are the binary's own.
	Functions *function.Registry
	// WarmSQL says that a query is expected.
	WarmSQL bool
	// Version is the program's.
	Version string
	// Logger takes what coordinator and worker have to say.
	Logger *slog.Logger
}

// Cluster is a running coordinator with its one worker.
type Cluster struct {
	// Client leads to the coordinator.
	Client *api.Client

	listener *bufconn.Listener
	server   *grpc.Server
	conns    []*grpc.ClientConn
	alive    context.Context
	end      context.CancelCauseFunc
	ended    chan error // one for each of parts
	parts    int
}

// errClosed ends what Close stops.
var errClosed = errors.New("the embedded cluster is closed")

// Alive ends when Close is called, or when a part has ended by itself, which is
// the cause then: nothing goes on without it.
func (c *Cluster) Alive() context.Context { return c.alive }

// Start starts both. They run until Close.
func Start(config Config) (*Cluster, error) {
	boss, err := coordinator.New(coordinator.Config{Logger: config.Logger, LoneWorker: true})
	if err != nil {
		return nil, err
	}
	c := &Cluster{listener: bufconn.Listen(pipeBytes), ended: make(chan error, 3)}
	c.alive, c.end = context.WithCancelCause(context.Background())
	c.server = grpc.NewServer(boss.ServerOptions()...)
	boss.Register(c.server)
	c.run("coordinator", func() error { return boss.Run(c.alive) })
	c.run("server", func() error { return c.server.Serve(c.listener) })
	if err := c.join(config); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// join makes the worker and the client, each with a connection of its own, so
// that a result never stands in a lease's way.
func (c *Cluster) join(config Config) error {
	forWorker, err := c.dial()
	if err != nil {
		return err
	}
	forClient, err := c.dial()
	if err != nil {
		return err
	}
	c.Client = api.NewClient(forClient)
	hand, err := agent.New(agent.Config{
		Alone: true, AllowCommands: command.Allowed{command.Any},
		Name: fmt.Sprintf("embedded-%d", os.Getpid()), Slots: config.Slots,
		MemoryBytes: config.MemoryBytes, SpoolFolder: config.Folder, Labels: config.Labels,
		WarmSQL: config.WarmSQL, Version: config.Version, Functions: config.Functions, Conn: forWorker, Logger: config.Logger,
	})
	if err != nil {
		return err
	}
	c.run("worker", func() error { return hand.Run(c.alive) })
	return nil
}

func (c *Cluster) dial() (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient("passthrough:///embedded",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return c.listener.DialContext(ctx)
		}),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableServiceConfig(),
		grpc.WithStaticStreamWindowSize(windowBytes), grpc.WithStaticConnWindowSize(windowBytes),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(api.MaxMessageBytes), grpc.MaxCallSendMsgSize(api.MaxMessageBytes)),
	)
	if err == nil {
		c.conns = append(c.conns, conn)
	}
	return conn, err
}

// run runs a part. One that ends before Close takes the others with it.
func (c *Cluster) run(name string, part func() error) {
	c.parts++
	go func() {
		err := part()
		c.end(fmt.Errorf("the embedded %s has ended: %w", name, err))
		c.ended <- err
	}()
}

// Close stops everything at once, and returns when all of it has ended. The
// error is why a part had ended before.
func (c *Cluster) Close() error {
	c.end(errClosed)
	for _, conn := range c.conns {
		conn.Close() // what it says of streams that end is what was asked for
	}
	c.server.Stop()
	var faults []error
	for range c.parts {
		faults = append(faults, besidesStop(<-c.ended))
	}
	return errors.Join(faults...)
}

// besidesStop is what there is in an error but that Close was called.
func besidesStop(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var left []error
		for _, e := range joined.Unwrap() {
			left = append(left, besidesStop(e))
		}
		return errors.Join(left...)
	}
	if stopped(err) {
		return nil
	}
	return err
}

// stopped says whether err is only that Close was called.
func stopped(err error) bool {
	return errors.Is(err, errClosed) || errors.Is(err, context.Canceled) || errors.Is(err, grpc.ErrServerStopped)
}
