// Package agent is a worker as it runs: the thin shell around the session
// machine. It moves messages between the machine and the coordinator, runs the
// attempts that the machine starts, and uploads outputs when asked. What starts
// when, and what may be reported, is decided by worker/session; how a batch is
// computed, by worker/attempt.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/attempt"
	"github.com/millrace/millrace/worker/exchange"
	"github.com/millrace/millrace/worker/processor/command"
	"github.com/millrace/millrace/worker/processor/function"
	"github.com/millrace/millrace/worker/processor/sql"
	"github.com/millrace/millrace/worker/roots"
	"github.com/millrace/millrace/worker/session"
)

// DefaultSpoolBytes bounds the spool when Config says nothing.
const DefaultSpoolBytes = 64 << 30

// inboxSize bounds the events that wait for the agent's goroutine. Its senders
// wait when it is full.
const inboxSize = 4096

// Config is what a worker is made with.
type Config struct {
	// Name is the worker's name, unique in the fleet.
	Name string
	// Slots is how many batches run at once, 1 to session.MaxSlots.
	Slots int
	// MemoryBytes is what all slots together may use for batches.
	MemoryBytes int64
	// SpoolFolder is where the spool's own folder is made.
	SpoolFolder string
	// SpoolBytes bounds the spool; DefaultSpoolBytes when 0.
	SpoolBytes int64
	// Labels say which jobs it may run.
	Labels map[string]string
	// Zone says where it is, for people and for the choice among equals.
	Zone string
	// Version is its program's.
	Version string
	// Incarnation is the number of its process, which is higher at every start;
	// the time of New when 0.
	Incarnation uint64
	// DataAddresses are where others fetch its outputs; none when nobody can.
	DataAddresses []string
	// Roots are the folders whose files it serves. When nil it works for its own
	// user, who may read everything, by relative paths too.
	Roots *roots.Roots
	// AllowCommands are the programs that jobs may run.
	AllowCommands command.Allowed
	// Fetch fetches outputs of other workers; nil where there are none.
	Fetch exchange.Fetcher
	// DrainWithin is how long a drain that names no time waits for running
	// batches; session.DefaultDrain when 0.
	DrainWithin time.Duration
	// Functions are the binary's own; none when nil.
	Functions *function.Registry
	// WarmSQL says that a query is expected: its engine starts at once.
	WarmSQL bool
	// Alone says that there is no other worker and that the coordinator ends
	// with this one, so that all jobs do: what they left aside in their sinks is
	// removed at the end.
	Alone bool
	// Conn leads to the coordinator.
	Conn grpc.ClientConnInterface
	// Renew is called when what goes through Conn seems to get nowhere, though it
	// is not broken: a new connection may. It may be nil, and must not block.
	Renew func()
	// Attached is told the address of each coordinator that takes the worker. It
	// may be nil, and must not block.
	Attached func(address string)
	// Logger takes a line for each transition; slog's default when nil.
	Logger *slog.Logger
}

// Check returns all that is wrong with the worker's name and its limits.
func (c Config) Check() error {
	var faults []error
	if c.Name == "" || len(c.Name) > 63 {
		faults = append(faults, fmt.Errorf("a worker's name has 1 to 63 bytes, not %d", len(c.Name)))
	}
	if c.MemoryBytes <= 0 {
		faults = append(faults, fmt.Errorf("a worker's memory is %d bytes; give more than 0", c.MemoryBytes))
	}
	if c.SpoolBytes < 0 {
		faults = append(faults, fmt.Errorf("a worker's spool is %d bytes; give more than 0", c.SpoolBytes))
	}
	faults = append(faults, session.Config{Slots: c.Slots, Drain: c.DrainWithin}.Check())
	return errors.Join(faults...)
}

// Agent is a worker. Everything but the channels and the configuration belongs
// to the goroutine of Run.
type Agent struct {
	config  Config
	log     *slog.Logger
	client  pb.WorkerServiceClient
	machine *session.Machine
	started time.Time // the machine's time counts from here

	inbox   chan event
	over    chan struct{} // closed when nobody reads the inbox any more
	wake    *time.Timer
	workers sync.WaitGroup // attempts and uploads
	leave   bool
	broken  error     // why the last session broke; nil since one is attached
	told    time.Time // when that was logged
	fault   error     // why the worker gave up; nil when it just left

	spool    *exchange.Spool
	runner   *attempt.Runner
	engine   *sql.Engine
	link     *link
	contexts map[string]*pb.JobContext // by digest
	running  []*running
	slots    chan *running // to the goroutines that run attempts
	ending   map[uint64]bool
	looking  map[uint64]bool // jobs at whose output folder it looks
}

// event is something for the agent's goroutine: an event of the machine's, a
// response that has to be decoded first, or the end of all.
type event struct {
	machine  session.Event
	broken   error    // for session.Broken and session.Refused
	ended    *running // for session.Finished
	session  session.Number
	response *pb.SessionResponse
	sight    *pb.SinkSight // of an output folder
	stop     bool
}

// running is an attempt under way.
type running struct {
	fence  session.Fence
	at     int // its place among those that run
	work   *work
	live   attempt.Live
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// work is what a lease asks for.
type work struct {
	lease *pb.Lease
	job   *pb.JobContext
}

// New makes a worker. Its spool is made, and what crashed workers left in the
// same folder is removed; nothing runs yet.
func New(config Config) (*Agent, error) {
	if config.SpoolBytes == 0 {
		config.SpoolBytes = DefaultSpoolBytes
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if config.Functions == nil {
		config.Functions, _ = function.NewRegistry()
	}
	if config.Incarnation == 0 {
		config.Incarnation = uint64(time.Now().UnixNano())
	}
	err := config.Check()
	if config.Conn == nil {
		err = errors.Join(err, errors.New("a worker needs a connection to its coordinator"))
	}
	if err != nil {
		return nil, err
	}
	spool, err := exchange.Open(config.SpoolFolder, config.Name, config.SpoolBytes)
	if err != nil {
		return nil, err
	}
	a := &Agent{
		config: config, log: config.Logger, client: pb.NewWorkerServiceClient(config.Conn),
		machine: session.New(session.Config{
			Slots: config.Slots, Session: session.Number(config.Incarnation), Drain: config.DrainWithin,
		}),
		started: time.Now(),
		inbox:   make(chan event, inboxSize), over: make(chan struct{}), spool: spool,
		contexts: map[string]*pb.JobContext{},
		slots:    make(chan *running, config.Slots), ending: map[uint64]bool{}, looking: map[uint64]bool{},
	}
	a.engine = sql.NewEngine(sql.Options{TempDir: spool.Dir(), MaxTempBytes: config.SpoolBytes})
	if config.WarmSQL {
		a.engine.Warm()
	}
	a.runner = attempt.NewRunner(attempt.Config{
		Worker: config.Name, Slots: config.Slots, MemoryBytes: config.MemoryBytes,
		Spool: spool, Alone: config.Alone, Fetch: config.Fetch, Roots: config.Roots, Plan: a.plan, Steps: a.step,
	})
	return a, nil
}

// Drain asks the worker to leave: running batches may finish within the time
// given (the default when 0), waiting ones go back.
func (a *Agent) Drain(within time.Duration) {
	a.log.Info("worker drains", "worker", a.config.Name)
	a.knock(event{machine: session.DrainAsked{Within: within}})
}

// Spool is where the worker keeps its outputs.
func (a *Agent) Spool() *exchange.Spool { return a.spool }

// Run takes part until the worker has drained, until the coordinator has refused
// it for good, or until ctx ends, which stops everything at once; the error of
// either it then returns. It returns when all that it started has ended, and the
// spool is gone.
func (a *Agent) Run(parent context.Context) error {
	ctx, cancel := context.WithCancel(parent)
	defer close(a.over)
	defer context.AfterFunc(ctx, func() { a.knock(event{stop: true}) })()
	a.wake = time.AfterFunc(0, func() { a.knock(event{machine: session.Ticked{}}) })
	defer a.wake.Stop()
	for range a.config.Slots {
		go a.runSlot()
	}
	for !a.leave && ctx.Err() == nil {
		a.wait(ctx)
	}
	cancel()
	return errors.Join(parent.Err(), a.fault, a.close())
}

// wait waits for the next thing to happen, and handles it with all else that
// happened meanwhile. All comes by one channel, since a choice among several
// takes longer than an empty batch may.
func (a *Agent) wait(ctx context.Context) {
	a.handle(ctx, <-a.inbox)
	for range len(a.inbox) {
		a.handle(ctx, <-a.inbox)
	}
	a.flush()
}

// close stops what runs, and waits for it.
func (a *Agent) close() error {
	for _, r := range a.running {
		r.cancel(attempt.ErrDrained)
	}
	a.disconnect()
	close(a.slots)
	done := make(chan struct{})
	go func() { a.workers.Wait(); close(done) }()
	for {
		select {
		case <-a.inbox: // attempts still tell how they ended
		case <-done:
			a.endRest()
			return errors.Join(a.runner.Close(), a.engine.Close(), a.spool.Close())
		}
	}
}

// post tells the agent's goroutine of an event. It is for those that the agent
// waits for when it ends.
func (a *Agent) post(e event) { a.inbox <- e }

// knock is post for those that it does not wait for.
func (a *Agent) knock(e event) {
	select {
	case a.inbox <- e:
	case <-a.over:
	}
}

// handle steps the machine and does what it wants.
func (a *Agent) handle(ctx context.Context, e event) {
	input := e.machine
	if e.stop {
		a.leave = true
		return
	}
	if e.sight != nil {
		a.tellSight(e.sight)
		return
	}
	if e.response != nil {
		a.learn(ctx, e.response)
		response := a.decode(e.response)
		if l := a.link; l != nil && l.number == e.session {
			l.answered(&response)
			if attached := e.response.GetAttached(); attached != nil {
				a.attached(l, attached)
			}
		}
		input = session.Received{Session: e.session, Response: response}
	}
	if e.ended != nil {
		a.forget(e.ended)
	}
	if e.broken != nil {
		a.broke(e)
	}
	now := session.Time(time.Since(a.started))
	for _, effect := range a.machine.Step(now, rand.Uint64(), input) {
		a.do(ctx, effect)
	}
}

func (a *Agent) do(ctx context.Context, effect session.Effect) {
	switch e := effect.(type) {
	case session.Connect:
		a.connect(ctx, e.Session)
	case session.Send:
		a.send(e)
	case session.SendHeartbeat:
		a.heartbeat(e)
	case session.Start:
		a.start(ctx, e.Lease)
	case session.Kill:
		a.kill(e)
	case session.Suspend, session.Resume:
		// All that an attempt publishes is its outcome, which the machine
		// holds back: its files lie in the spool or aside in the sink, and a
		// commit moves the same winners whoever does it.
	case session.DropOutput:
		a.spool.Drop(string(e.ID))
	case session.EndJob:
		a.ending[uint64(e.Job)] = true
		a.endJobs()
	case session.Leave:
		a.leave = true
	case session.GiveUp:
		a.leave, a.fault = true, api.AsError(a.broken)
	case session.WakeAt:
		a.wake.Reset(max(0, e.At.Sub(session.Time(time.Since(a.started)))))
	default:
		panic(fmt.Sprintf("agent: unknown effect %T", e))
	}
}

func (a *Agent) start(ctx context.Context, lease session.Lease) {
	r := &running{fence: lease.Fence, at: len(a.running), work: lease.Work.(*work)}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	a.running = append(a.running, r)
	a.workers.Add(1)
	a.slots <- r
}

func (a *Agent) kill(e session.Kill) {
	at := slices.IndexFunc(a.running, func(r *running) bool { return r.fence == e.Fence })
	if at < 0 {
		return
	}
	switch r := a.running[at]; e.Why {
	case session.KillTimeout:
		r.cancel(attempt.ErrTimeout)
	case session.KillDrain:
		r.cancel(attempt.ErrDrained)
	default:
		r.cancel(attempt.ErrRevoked)
	}
}

// runSlot runs attempts, one after the other.
func (a *Agent) runSlot() {
	for r := range a.slots {
		outcome := a.runner.Run(r.ctx, r.work.lease, r.work.job, &r.live)
		r.cancel(nil)
		a.post(event{machine: session.Finished{Outcome: machineOutcome(outcome, r.work.lease)}, ended: r})
		a.workers.Done()
	}
}

// forget ends the agent's part in an attempt that has ended.
func (a *Agent) forget(r *running) {
	last := len(a.running) - 1
	a.running[r.at] = a.running[last]
	a.running[r.at].at = r.at
	a.running[last] = nil
	a.running = a.running[:last]
	a.endJobs()
}
