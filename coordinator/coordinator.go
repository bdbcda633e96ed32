// Package coordinator is the shell around the ledger: it carries events in
// from gRPC calls and the clock, and effects out to workers and clients. What
// is decided here is how they travel: queues, message sizes, and what happens
// to a peer that is too slow. What is done with a job is decided in
// [github.com/millrace/millrace/coordinator/ledger], and never here.
//
// One goroutine owns the ledger and all that belongs to it (owner); calls knock
// by sending it a function. A handler decodes, knocks, waits and encodes.
package coordinator

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/coordinator/relay"
)

// errStopped is what a call gets that the coordinator outlives no more.
var errStopped = api.Errorf(api.Unavailable, "the coordinator is stopping; try again when it is back")

// Coordinator serves jobs to clients and leases to workers.
type Coordinator struct {
	config Config
	names  jobNames // whole once the coordinator is ready
	relay  *relay.Relay
	health *health.Server

	inbox   chan func(*owner)
	ready   chan struct{}   // closed when the ledger is there, and names with it
	stopped context.Context // ends, with errStopped, when the ledger has
	stop    context.CancelCauseFunc
	calls   gate

	probes chan struct{} // holds one for each worker that is being probed
	dial   dialer
}

// New makes a coordinator, or tells everything that is wrong with its config.
func New(config Config) (*Coordinator, error) {
	config = config.withDefaults()
	if err := config.check(); err != nil {
		return nil, err
	}
	c := &Coordinator{
		config: config,
		names:  jobNames{prefix: strings.ToLower(rand.Text()[:5]) + "-"},
		relay:  relay.New(config.UploadIdle),
		health: health.NewServer(),
		inbox:  make(chan func(*owner), config.Inbox),
		ready:  make(chan struct{}),
		probes: make(chan struct{}, maxProbes),
		dial:   (&net.Dialer{}).DialContext,
	}
	c.stopped, c.stop = context.WithCancelCause(context.Background())
	c.health.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	return c, nil
}

// Run serves until the context ends, and returns when everything that it
// started has ended: streams that are open get UNAVAILABLE. It is called once.
// Calls that arrive before it wait; calls that arrive after it fail.
func (c *Coordinator) Run(ctx context.Context) error {
	o, err := newOwner(c, time.Now())
	if err == nil {
		close(c.ready)
		c.health.Resume()
		err = o.run(ctx)
	}
	c.health.Shutdown()
	c.stop(errStopped)
	c.calls.close()
	return err
}

// Register adds the services to a server: jobs, the fleet, workers, health and,
// where the server can tell what it serves, reflection.
func (c *Coordinator) Register(server grpc.ServiceRegistrar) {
	pb.RegisterJobServiceServer(server, &jobService{c: c})
	pb.RegisterFleetServiceServer(server, &fleetService{c: c})
	pb.RegisterWorkerServiceServer(server, &workerService{c: c})
	healthpb.RegisterHealthServer(server, c.health)
	if reflected, ok := server.(reflection.GRPCServer); ok {
		reflection.Register(reflected)
	}
}

// What a connection is held to.
const (
	// keepaliveAfter a silence of the peer the connection is probed.
	keepaliveAfter = 30 * time.Second
	// keepaliveAnswer is how long the probe's answer may take.
	keepaliveAnswer = 10 * time.Second
	// keepaliveMin is how often a peer may probe.
	keepaliveMin = 5 * time.Second
	// streamWindow is how many bytes may wait unread in one stream: each of
	// the uploads of a result may hold so many beside its own buffer.
	streamWindow = 256 << 10
	// connWindow is the same for all streams of a connection.
	connWindow = 16 << 20
)

// ServerOptions are the options that a server for this coordinator must be
// made with: message sizes, keepalive and windows.
func (c *Coordinator) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(c.config.MaxMessage),
		grpc.MaxSendMsgSize(maxMessage), // a lease may name as many files as a plan, and more of each
		grpc.InitialWindowSize(streamWindow),
		grpc.InitialConnWindowSize(connWindow),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveAfter, Timeout: keepaliveAnswer}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepaliveMin, PermitWithoutStream: true}),
	}
}

// jobOf is the job of a name that a client gave.
func (c *Coordinator) jobOf(ctx context.Context, name string) (ledger.JobID, error) {
	select {
	case <-c.ready:
		return c.names.number(name)
	case <-c.stopped.Done():
		return 0, errStopped
	case <-ctx.Done():
		return 0, outward(context.Cause(ctx))
	}
}

// knock has the owner call f, unless too much waits for it already.
func (c *Coordinator) knock(f func(*owner)) error {
	select {
	case c.inbox <- f:
		return nil
	case <-c.stopped.Done():
		return errStopped
	default:
		return api.Errorf(api.Full, "%d calls wait for the coordinator already; try again in a moment", c.config.Inbox)
	}
}

// post has the owner call f, once there is room.
func (c *Coordinator) post(ctx context.Context, f func(*owner)) error {
	select {
	case c.inbox <- f:
		return nil
	case <-c.stopped.Done():
		return errStopped
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// later has the owner call f, whatever has become of the call meanwhile.
func (c *Coordinator) later(f func(*owner)) {
	_ = c.post(context.Background(), f) // the owner has ended otherwise, and f with it
}

// ask has the owner call f, which may answer at once or later, once.
func ask[T any](ctx context.Context, c *Coordinator, f func(o *owner, answer func(T, error))) (T, error) {
	return answered(ctx, c, c.knock, f)
}

// askPatiently is ask for a stream that was let in already.
func askPatiently[T any](ctx context.Context, c *Coordinator, f func(o *owner, answer func(T, error))) (T, error) {
	return answered(ctx, c, func(g func(*owner)) error { return c.post(ctx, g) }, f)
}

func answered[T any](ctx context.Context, c *Coordinator, send func(func(*owner)) error, f func(o *owner, answer func(T, error))) (T, error) {
	type result struct {
		value T
		err   error
	}
	var none T
	done := make(chan result, 1)
	err := send(func(o *owner) {
		f(o, func(value T, err error) { done <- result{value, err} })
	})
	if err != nil {
		return none, outward(err)
	}
	select {
	case r := <-done:
		return r.value, r.err
	case <-c.stopped.Done():
		return none, errStopped
	case <-ctx.Done():
		return none, outward(context.Cause(ctx))
	}
}

// outward is an error as it may leave the process.
func outward(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errStopped):
		return errStopped
	}
	return api.AsError(err)
}
