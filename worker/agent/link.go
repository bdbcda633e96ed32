package agent

import (
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/session"
)

// link is one session's stream. What gathers while a message is being written
// goes out in the next one; a heartbeat waits for no more than that.
type link struct {
	number session.Number
	cancel context.CancelFunc
	wake   chan struct{}
	open   atomic.Bool // it stands, as far as gRPC knows
	peer   string      // the other end's address, set before anything that it says is posted

	// The agent's goroutine alone uses these.
	last  session.Fence // of the outcome told last; zero before
	quiet bool          // the coordinator has answered the attach and all outcomes

	mu      sync.Mutex
	stream  stream // nil before it is open
	message session.Message
	pending bool     // message holds something
	jobs    []uint64 // for the attach in message
	beat    *pb.Heartbeat
	sights  []*pb.SinkSight // answers to what was asked of output folders
	writing bool
	spare   []session.Outcome // room for those of a message
}

type stream = grpc.BidiStreamingClient[pb.SessionRequest, pb.SessionResponse]

// connect opens a stream for a session, in place of the one before.
func (a *Agent) connect(ctx context.Context, number session.Number) {
	if a.link != nil && a.link.open.Load() && a.config.Renew != nil {
		a.config.Renew()
	}
	a.disconnect()
	ctx, cancel := context.WithCancel(ctx)
	l := &link{number: number, cancel: cancel, wake: make(chan struct{}, 1)}
	a.link = l
	a.workers.Add(1)
	go func() {
		defer a.workers.Done()
		defer cancel()
		err := a.serve(ctx, l)
		l.open.Store(false)
		a.post(event{machine: ended(number, err), session: number, broken: err})
	}()
}

// ended is what the end of a link means: it broke, or the coordinator does not
// want the worker. Another one of its name may go; a worker of another kind, or with
// a certificate for something else, does not change by waiting.
func ended(number session.Number, err error) session.Event {
	if err == nil {
		return session.Broken{Session: number}
	}
	switch api.CodeOf(err) {
	case api.Invalid, api.Forbidden:
		return session.Refused{Session: number, Final: true}
	case api.Conflict:
		return session.Refused{Session: number}
	}
	return session.Broken{Session: number}
}

// attached notes that a coordinator has taken the worker.
func (a *Agent) attached(l *link, r *pb.Attached) {
	a.broken = nil
	a.log.Info("attached", "worker", a.config.Name, "session", uint64(a.machine.Session()), "term", r.GetTerm(),
		"lease", r.GetLease().AsDuration(), "heartbeat", r.GetHeartbeat().AsDuration(),
		"kept", len(r.GetKeep()), "dropped", len(r.GetDrop()), "coordinator", l.peer, "coordinator_version", r.GetVersion())
	if a.config.Attached != nil {
		a.config.Attached(l.peer)
	}
}

// repeatAfter is how often it is said again that sessions break for one and the
// same reason.
const repeatAfter = 30 * time.Second

// broke says why a session broke, unless the worker has given it up itself.
func (a *Agent) broke(e event) {
	if a.link == nil || a.link.number != e.session {
		return
	}
	again := a.broken != nil && a.broken.Error() == e.broken.Error() && time.Since(a.told) < repeatAfter
	if a.broken = e.broken; again {
		return
	}
	a.told = time.Now()
	log := a.log.With("worker", a.config.Name, "session", uint64(e.session), "error", api.AsError(e.broken).Message)
	switch refused, ok := e.machine.(session.Refused); {
	case !ok:
		log.Info("no session")
	case refused.Final:
		log.Warn("the coordinator refuses the worker, which ends")
	default:
		log.Warn("the coordinator refuses the worker, which tries again and ends if it goes on", "for", session.DefaultGiveUpAfter)
	}
}

func (a *Agent) disconnect() {
	if a.link != nil {
		a.link.cancel()
		a.link = nil
	}
}

// maxResponse bounds a message of the coordinator's, in bytes. It is not 4 MiB,
// gRPC's own, since a lease may name all files of a source.
const maxResponse = 1 << 30

// serve opens the stream and reads it until it ends.
func (a *Agent) serve(ctx context.Context, l *link) error {
	stream, err := a.client.Session(ctx, grpc.MaxCallRecvMsgSize(maxResponse))
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.stream = stream
	l.mu.Unlock()
	l.open.Store(true)
	a.post(event{machine: session.Opened{Session: l.number}})
	written := make(chan error, 1)
	go func() { written <- a.write(ctx, l) }()
	for err == nil {
		var response *pb.SessionResponse
		if response, err = stream.Recv(); err == nil {
			if l.peer == "" {
				if p, ok := peer.FromContext(stream.Context()); ok {
					l.peer = p.Addr.String()
				}
			}
			a.post(event{session: l.number, response: response})
		}
	}
	l.cancel()
	wrote := <-written
	if errors.Is(err, io.EOF) {
		err = wrote // whose own error says only that the stream has ended
	}
	return err
}

// write sends what gathers, until the link ends.
func (a *Agent) write(ctx context.Context, l *link) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
		}
		runtime.Gosched() // others may be about to add to it: what is sent is on its way at once
		if err := a.writeOnce(l); err != nil {
			return err
		}
	}
}

// writeOnce writes what gathered, if there is anything and nobody is at it. Only
// the agent's goroutine adds, and it looks again when it has.
func (a *Agent) writeOnce(l *link) error {
	l.mu.Lock()
	if l.writing || !l.pending && l.beat == nil && l.sights == nil {
		l.mu.Unlock()
		return nil
	}
	message, beat, jobs, sights, to := l.message, l.beat, l.jobs, l.sights, l.stream
	l.message, l.beat, l.jobs, l.sights, l.pending = session.Message{Outcomes: l.spare}, nil, nil, nil, false
	l.writing, l.spare = true, nil
	l.mu.Unlock()

	request := a.encode(message, beat, jobs)
	request.Sinks = sights
	err := to.Send(request)
	if err != nil {
		l.cancel()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writing = false
	if cap(message.Outcomes) <= maxSpare {
		clear(message.Outcomes)
		l.spare = message.Outcomes[:0]
	}
	return err
}

// maxSpare is how many outcomes a message may have had whose room is used again.
const maxSpare = 4096

// send adds to what goes out; it goes with the next flush.
func (a *Agent) send(e session.Send) {
	l := a.link
	if l == nil || l.number != e.Session {
		return
	}
	if n := len(e.Message.Outcomes); n > 0 {
		l.last = e.Message.Outcomes[n-1].Fence
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.message.Merge(e.Message)
	if e.Message.Attach != nil {
		l.jobs = a.jobs()
	}
	l.pending = true
}

// flush has what gathered written. A few outcomes after a silence are written
// here and now, since the way by another goroutine takes longer than all else
// that is done for an empty batch. That never waits: the other side has heard all
// that was written before, so there is room for a little.
func (a *Agent) flush() {
	l := a.link
	if l == nil {
		return
	}
	l.mu.Lock()
	pending, alone, outcomes := l.pending, l.pending && l.quiet && small(l.message), len(l.message.Outcomes)
	l.mu.Unlock()
	switch {
	case alone:
		l.quiet = outcomes == 0
		a.writeOnce(l) //nolint:errcheck // the link ends by it
	case pending:
		l.quiet = false
		l.wakeUp()
	}
}

// A message that is written at once has few outcomes, each a few bytes long.
const (
	fewOutcomes = 4
	fewBytes    = 1 << 10
)

// small says whether a message is short, whatever it is about.
func small(m session.Message) bool {
	if m.Attach != nil || len(m.Outcomes) > fewOutcomes {
		return false
	}
	return !slices.ContainsFunc(m.Outcomes, func(o session.Outcome) bool {
		told, ok := o.Body.(report)
		return ok && proto.Size(told.outcome) > fewBytes
	})
}

// answered takes note of the answers to an attach, and to outcomes.
func (l *link) answered(r *session.Response) {
	l.quiet = l.quiet || r.Attached != nil || slices.ContainsFunc(r.Acks, func(a session.Ack) bool { return a.Fence == l.last })
}

func (l *link) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// heartbeat sends a heartbeat with the progress of all that runs.
func (a *Agent) heartbeat(e session.SendHeartbeat) {
	l := a.link
	if l == nil || l.number != e.Session {
		return
	}
	beat := &pb.Heartbeat{Sequence: e.Sequence, SpoolBytes: a.spool.Used()}
	for _, r := range a.running {
		beat.Progress = append(beat.Progress, r.live.Progress(r.work.lease.GetFence()))
	}
	l.mu.Lock()
	l.beat = beat
	l.mu.Unlock()
	l.wakeUp()
}
