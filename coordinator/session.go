package coordinator

import (
	"context"
	"errors"
	"io"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/coordinator/outbox"
	"github.com/millrace/millrace/coordinator/wire"
)

// session is one worker's session. The stream's goroutines use the box; the
// fields below it are the owner's.
type session struct {
	worker ledger.WorkerID
	number ledger.SessionID
	end    func(error) // ends the stream with an error
	box    *outbox.Box
	said   introduction

	out   *pb.SessionResponse // gathers until the owner's next flush
	known knownJobs
	left  bool               // the worker has said that it leaves
	holds int                // copies of results that are being made of what it holds
	held  pb.SessionResponse // acknowledgements, and the leave, that wait for them
}

// knownJobs are the jobs that a worker keeps anything of, and of each the digests
// of the contexts that it was given in its session. (The contexts themselves are
// as large as their job's spec, which nobody needs once it has ended.)
type knownJobs map[ledger.JobID]map[string]struct{}

// add says that a worker keeps something of a job.
func (k knownJobs) add(id ledger.JobID) map[string]struct{} {
	contexts := k[id]
	if contexts == nil {
		contexts = make(map[string]struct{})
		k[id] = contexts
	}
	return contexts
}

// learn says whether a context must be sent, and that it will be.
func (k knownJobs) learn(c *pb.JobContext) bool {
	contexts := k.add(ledger.JobID(c.GetJob()))
	if _, ok := contexts[c.GetDigest()]; ok {
		return false
	}
	contexts[c.GetDigest()] = struct{}{}
	return true
}

// forget says whether a worker must be told that a job is over, and that it will
// be.
func (k knownJobs) forget(id ledger.JobID) bool {
	_, ok := k[id]
	delete(k, id)
	return ok
}

// sessionStream is the stream of a session.
type sessionStream interface {
	Recv() (*pb.SessionRequest, error)
	Send(*pb.SessionResponse) error
}

// session serves one worker from its attach to its end.
func (c *Coordinator) session(ctx context.Context, stream sessionStream) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if err := checkAttach(first.GetAttach(), c.config.Version); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	attach := wire.Attached(first.GetAttach())
	s := &session{
		worker: attach.Worker, number: attach.Session, end: cancel,
		box: outbox.New(c.config.SessionQueue), known: make(knownJobs),
		said: introduced(first.GetAttach(), peerOf(ctx)),
	}
	jobs := first.GetAttach().GetJobs()
	if err := c.post(ctx, func(o *owner) { o.attach(s, attach); o.endAbsent(s, jobs) }); err != nil {
		return err
	}
	defer c.later(func(o *owner) { o.detach(s) })
	if err := c.hear(ctx, s, first); err != nil {
		return err
	}
	return c.host(ctx,
		func(ctx context.Context) error { return c.readSession(ctx, s, stream) },
		func(ctx context.Context) error { return writeSession(ctx, s, stream) })
}

// readSession brings the owner what a worker says.
func (c *Coordinator) readSession(ctx context.Context, s *session, stream sessionStream) error {
	for {
		said, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if said.GetAttach() != nil {
			return api.Errorf(api.Invalid, "worker %s attached twice in one session; only the first message may", s.worker)
		}
		if err := c.hear(ctx, s, said); err != nil {
			return err
		}
	}
}

// hear decodes a message in the session's own goroutine, and has the owner
// step through it.
func (c *Coordinator) hear(ctx context.Context, s *session, said *pb.SessionRequest) error {
	events := wire.Said(s.worker, s.number, said)
	if len(events) == 0 {
		return nil
	}
	return c.post(ctx, func(o *owner) {
		s.left = s.left || said.GetDrain()
		if h := said.GetHeartbeat(); h != nil && o.sessions[s.worker] == s {
			o.fleet.of(s.worker).spool = max(h.GetSpoolBytes(), 0)
		}
		for _, e := range events {
			if r, ok := e.(ledger.OutcomeReported); ok {
				o.warnUnseen(s, r.Outcome)
			}
			if v, ok := e.(ledger.SinkChecked); ok && v.View != ledger.SinkSeen {
				o.warnUnable(s, v.Job, v.Reason)
			}
			o.step(e)
		}
	})
}

// writeSession sends what gathers for a worker. What gathers while one message
// is being written goes out in the next.
func writeSession(ctx context.Context, s *session, stream sessionStream) error {
	for {
		message, err := s.box.Take(ctx)
		if err != nil {
			return err
		}
		if err := stream.Send(message); err != nil {
			return err
		}
	}
}

// attach begins a session.
func (o *owner) attach(s *session, e ledger.WorkerAttached) {
	o.arriving = s
	o.step(e)
	o.arriving = nil
	if o.sessions[s.worker] == s {
		o.logger.Info("worker attached", "worker", string(s.worker), "session", uint64(s.number),
			"slots", e.Slots, "leases", len(e.Leases), "version", s.said.version, "peer", s.said.peer)
	}
}

// attached takes the arriving session for the worker's, in place of one before
// it.
func (o *owner) attached(e ledger.Attached) {
	s := o.arriving
	if s == nil || s.worker != e.Worker || s.number != e.Session {
		return // it has ended meanwhile
	}
	if before := o.sessions[e.Worker]; before != nil {
		before.end(api.Errorf(api.Stale, "worker %s has begun a newer session, %d", e.Worker, e.Session))
	}
	o.sessions[e.Worker] = s
	k := o.fleet.of(e.Worker)
	k.stopProbe()
	k.said = s.said
	o.to(e.Worker, e.Session).Attached = wire.AttachAnswer(e, o.c.config.Version)
	o.resend(e.Worker)
}

func (o *owner) refused(e ledger.RefuseSession) {
	s := o.arriving
	if s == nil || s.worker != e.Worker || s.number != e.Session {
		return
	}
	o.warnRefused(e, s)
	s.end(o.refusal(e, s))
}

// warnRefused logs a refusal, unless that was just done.
func (o *owner) warnRefused(e ledger.RefuseSession, s *session) {
	unlogged, log := o.fleet.of(e.Worker).refuse(e.Kind, o.now)
	if !log {
		return
	}
	said := []any{"worker", string(e.Worker), "session", uint64(e.Session), "reason", e.Reason, "peer", s.said.peer}
	if unlogged > 0 {
		said = append(said, "unlogged", unlogged)
	}
	o.logger.Warn("session refused", said...)
}

// refusal is what a worker is told whose session is not taken up.
func (o *owner) refusal(e ledger.RefuseSession, s *session) error {
	switch e.Kind {
	case ledger.RefusedTaken:
		return api.Errorf(api.Conflict, "the name %s is taken: a worker of that name lives at %s, and this one is at %s; give one of them another name, or stop one",
			e.Worker, o.fleet.of(e.Worker).said.where(), s.said.where())
	case ledger.RefusedFull:
		return api.Errorf(api.Full, "worker %s: %s (the coordinator's --max-workers); try again later", e.Worker, e.Reason)
	}
	return api.Errorf(api.Stale, "session %d of worker %s is refused: %s", e.Session, e.Worker, e.Reason)
}

// detach ends a session. A worker that has said that it leaves, and has no
// leases left, is gone for good; of any other, nobody knows.
func (o *owner) detach(s *session) {
	if o.sessions[s.worker] != s {
		return // refused, or another has taken its place
	}
	delete(o.sessions, s.worker)
	v, _ := o.ledger.Worker(s.worker, o.now)
	gone := s.left && v.Running+v.Waiting == 0
	o.logger.Info("worker detached", "worker", string(s.worker), "session", uint64(s.number), "left", gone)
	o.step(ledger.SessionLost{Worker: s.worker, Session: s.number})
	if gone { // it need not be asked
		o.step(ledger.WorkerRefused{Worker: s.worker, Session: s.number})
	} else {
		o.probe(s)
	}
}
