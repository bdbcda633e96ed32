package session

import "time"

// Time is an instant on the worker's own monotonic clock, in nanoseconds.
type Time int64

// Add returns the instant d later.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns how long t is after u.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Number numbers a worker's sessions; each attach has a higher one.
type Number uint64

// JobID numbers a job.
type JobID uint64

// BatchID numbers a batch in its job.
type BatchID uint64

// Term numbers the leaderships of coordinators.
type Term uint64

// OutputID names an output in the spool.
type OutputID string

// Fence names one attempt of one batch.
type Fence struct {
	Job     JobID
	Batch   BatchID
	Attempt uint32
	Term    Term
}

// Lease is the right to run one attempt of one batch.
type Lease struct {
	Fence Fence
	// Bytes is the input that the lease spends of the credit.
	Bytes int64
	// Alone asks for all slots at once.
	Alone bool
	// Timeout is how long it may run before it is killed; 0 for ever.
	Timeout time.Duration
	// Work is what is to be done, for the shell alone.
	Work any
}

// Class is how an attempt ended; the numbers are those of the contract's
// OutcomeClass.
type Class uint8

// The classes, in the contract's order.
const (
	// None is no outcome.
	None Class = iota
	// Done has all records in its output.
	Done
	// DoneWithSkips has all but the skipped and counted records in its output.
	DoneWithSkips
	// Retryable failed; another attempt may succeed.
	Retryable
	// Fatal failed; another attempt would fail alike.
	Fatal
	// KilledMemory was killed for using too much memory.
	KilledMemory
	// KilledTime was killed for running too long.
	KilledTime
	// KilledSignal died by a signal from elsewhere.
	KilledSignal
	// InputGone did not find an input as it was planned.
	InputGone
	// Returned was given back; it spends no attempt.
	Returned
	// Cancelled was revoked; it spends no attempt.
	Cancelled
	// OutputMissing did not get another batch's output.
	OutputMissing
)

var classNames = [...]string{"none", "done", "done-with-skips", "retryable", "fatal",
	"killed-memory", "killed-time", "killed-signal", "input-gone", "returned", "cancelled", "output-missing"}

// String names the class as scripts do.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "unknown"
}

// Output is an output that lies in the spool.
type Output struct {
	ID  OutputID
	Job JobID
	// Body is what else there is to tell of it, for the shell alone.
	Body any
}

// Outcome is what became of one attempt.
type Outcome struct {
	Fence Fence
	Class Class
	// Output is the output; its ID is empty where there is none.
	Output Output
	// Elapsed is how long it ran.
	Elapsed time.Duration
	// Body is counters, failure and plan, for the shell alone.
	Body any
	// Granted is the lease, and set only in an inventory: its reader may be a
	// coordinator that did not grant it.
	Granted *Lease
}

// Held is a lease in the inventory.
type Held struct {
	Lease Lease
	// Started tells a running lease from one that waits for a slot.
	Started bool
}

// Attach is the inventory that begins a session.
type Attach struct {
	Session  Number
	Slots    int
	Leases   []Held
	Outcomes []Outcome
	Outputs  []Output
}

// Message is what goes to the coordinator. Its parts are independent.
type Message struct {
	// Attach is set in the first message of a session, and only there.
	Attach *Attach
	// Batches and Bytes are more credit.
	Batches int
	Bytes   int64
	// Outcomes are new ones.
	Outcomes []Outcome
	// Drain says that the worker leaves.
	Drain bool
}

// Merge adds what a later message of the same session says, so that what
// gathers while one is being written goes out together.
func (m *Message) Merge(next Message) {
	if next.Attach != nil {
		m.Attach = next.Attach
	}
	m.Batches += next.Batches
	m.Bytes += next.Bytes
	m.Outcomes = append(m.Outcomes, next.Outcomes...)
	m.Drain = m.Drain || next.Drain
}

// Attached answers an attach.
type Attached struct {
	Term Term
	// Lease is how long a lease lasts from the sending of what won or renewed
	// it.
	Lease time.Duration
	// Heartbeat is how often to send one.
	Heartbeat time.Duration
	// Keep are the leases of the inventory that go on.
	Keep []Fence
	// Drop are the leases of the inventory that must stop, as must those in
	// neither list.
	Drop []Fence
}

// Ack answers an outcome.
type Ack struct {
	Fence Fence
	// Stale says that the outcome changed nothing.
	Stale bool
}

// Revoke takes a lease back.
type Revoke struct {
	Fence Fence
	// IfWaiting spares a lease that has started.
	IfWaiting bool
}

// Response is what the coordinator says. Its parts are independent, and are
// acted upon in the order of the fields.
type Response struct {
	Attached *Attached
	Grants   []Lease
	Acks     []Ack
	Revokes  []Revoke
	// Heartbeat is the sequence of the last heartbeat that it heard; 0 for
	// none.
	Heartbeat   uint64
	DropOutputs []OutputID
	Drain       bool
	// DrainWithin is, with Drain, how long running leases may still take; the
	// worker's own time when 0.
	DrainWithin time.Duration
	// Leave says to a worker that drains that none of its outputs is needed any
	// more, or that nobody can take them over.
	Leave     bool
	EndedJobs []JobID
}
