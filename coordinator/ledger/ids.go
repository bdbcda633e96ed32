package ledger

import "time"

// Time is a moment in nanoseconds since 1970, on the leader's clock.
type Time int64

// Add returns the moment d later.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns the time from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// never is later than every moment that is.
const never = Time(1<<63 - 1)

// JobID is a job's number, from 1.
type JobID uint64

// BatchID is a batch's number in its job, from 1.
type BatchID uint64

// Attempt is the number of an attempt at a batch, from 1. It rises with every
// grant of the batch, whether the grant before spent its budget or not.
type Attempt uint32

// Term is a leader's term, from 1.
type Term uint64

// WorkerID is a worker's name.
type WorkerID string

// SessionID is a session's number; a worker's later session has a higher one.
type SessionID uint64

// OutputID is the name of an output, unique over all workers and all time.
type OutputID string

// RequestID is the shell's name for a request of a client that wants an
// [Answer]; 0 wants none.
type RequestID uint64

// Position is a place in a stage's input: for the source, counted over all
// fragments, each as wide as its extent. The input of a collect stage, of
// planning and of a commit is the one position 0.
type Position int64

// Fence names one attempt of one batch; a stale one can change nothing.
type Fence struct {
	Job     JobID
	Batch   BatchID
	Attempt Attempt
	Term    Term
}
