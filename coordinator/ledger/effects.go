package ledger

import "time"

// Effect is an order to the shell. Effects are carried out in their order; one
// that is lost on its way to a worker is made good by the worker's next
// attach. The types are returned by value.
type Effect interface{ effect() }

// Append proposes facts to the log, as one entry. They come back by
// [Committed], or never, when this leader is none any more.
type Append struct {
	Facts []Fact
}

// Answer answers a client's request.
type Answer struct {
	Request RequestID
	Code    AnswerCode
	Job     JobID
	// Existed: the submission's key was known.
	Existed bool
}

// AnswerCode says what the client can do next.
type AnswerCode uint8

// The codes.
const (
	AnswerOK       AnswerCode = iota // it is durable
	AnswerNotFound                   // there is no such job
	AnswerKeyTaken                   // the key belongs to another job
	AnswerEnded                      // the job has ended
	AnswerFull                       // there are too many: try again later
	AnswerRunning                    // the job has not ended
)

// Attached answers an attach: the leases of the inventory that go on, and
// those that must stop. Acks and refusals of its outcomes, outputs to drop and
// grants follow as effects of their own.
type Attached struct {
	Worker    WorkerID
	Session   SessionID
	Term      Term
	Lease     time.Duration
	Heartbeat time.Duration
	Keep      []Fence
	Drop      []Fence
}

// RefuseSession ends a session that the ledger does not take up.
type RefuseSession struct {
	Worker  WorkerID
	Session SessionID
	Kind    Refusal
	Reason  string
}

// Refusal is why a session is refused, and with it what its worker can do.
type Refusal uint8

// The refusals.
const (
	RefusedStale Refusal = iota // the worker has a later session: this one is over
	RefusedTaken                // another process of that name is alive: rename it, or stop the other one
	RefusedFull                 // too many workers are attached: try again later
)

// Renewed answers a heartbeat: the leases of the session are renewed.
type Renewed struct {
	Worker   WorkerID
	Session  SessionID
	Sequence uint64
}

// Grant gives a lease to a worker.
type Grant struct {
	Worker  WorkerID
	Session SessionID
	Lease   *Lease
}

// Revoke ends a lease, or asks for one back that has not started.
type Revoke struct {
	Worker    WorkerID
	Session   SessionID
	Fence     Fence
	IfWaiting bool
	Reason    string
}

// Ack tells a worker that its outcome is durably taken.
type Ack struct {
	Worker  WorkerID
	Session SessionID
	Fence   Fence
}

// Refuse tells a worker that its outcome changed nothing, and that its output
// can be deleted.
type Refuse struct {
	Worker  WorkerID
	Session SessionID
	Fence   Fence
	Reason  string
}

// DropOutputs tells a worker that outputs are not needed any more.
type DropOutputs struct {
	Worker  WorkerID
	Session SessionID
	Outputs []OutputID
}

// OutputReady tells outputs of a job's result that can be delivered, following
// those told before, in source order. Last: there are no more after these.
// Restart: those told before and not consumed are void, since one of them was
// lost or the result was requested anew; these follow the last consumed one.
type OutputReady struct {
	Job     JobID
	Outputs []Output
	Last    bool
	Restart bool
}

// Changed tells watchers that a job is not as it was.
type Changed struct {
	Job JobID
}

// JobEnded tells that a job has ended. Its result may still be unread.
type JobEnded struct {
	Job   JobID
	State JobState
}

// EndJob tells all workers that everything of a job can be deleted.
type EndJob struct {
	Job JobID
}

// WakeAt asks for a [Ticked] at a time, unless another event comes later than
// that. The last one holds.
type WakeAt struct {
	At Time
}

func (Append) effect()        {}
func (Answer) effect()        {}
func (Attached) effect()      {}
func (RefuseSession) effect() {}
func (Renewed) effect()       {}
func (Grant) effect()         {}
func (Revoke) effect()        {}
func (Ack) effect()           {}
func (Refuse) effect()        {}
func (DropOutputs) effect()   {}
func (OutputReady) effect()   {}
func (Changed) effect()       {}
func (JobEnded) effect()      {}
func (EndJob) effect()        {}
func (WakeAt) effect()        {}
