package ledger

import "time"

// JobState is where a job is in its life.
type JobState uint8

// The states, with the numbers of the contract.
const (
	StateUnspecified JobState = iota // no job
	StatePlanning                    // a worker makes the plan
	StateRunning                     // batches run
	StateCommitting                  // the sink's files are being moved in place
	StateDone                        // everything is done
	StateFailed                      // the job failed
	StateCancelled                   // the job was cancelled
)

// Over says whether the job has ended.
func (s JobState) Over() bool { return s >= StateDone }

// Stats is a job's progress in numbers.
type Stats struct {
	// BatchesDone in all stages; planning, merges and commits do not count.
	BatchesDone int64
	// BatchesRunning now, of all kinds.
	BatchesRunning int64
	// PositionsDone and PositionsTotal of the source stage.
	PositionsDone, PositionsTotal int64
	// Counters of winners: input of the source stage, output of the last
	// stage, the processors' own of all stages.
	Counters Counters
	// Retries are attempts that failed and spent a batch's budget.
	Retries int64
	// Wasted are finished attempts whose work was thrown away.
	Wasted int64
	// Merges done.
	Merges int64
	// BatchRecords and BatchTime are means over the source stage's batches.
	BatchRecords float64
	BatchTime    time.Duration
	// Elapsed since submission, until the end.
	Elapsed time.Duration
	// Remaining by the speed so far; negative while unknown.
	Remaining time.Duration
}

// JobView is how a job is. Its slices belong to the ledger: they are read, and
// not kept beyond the next Step.
type JobView struct {
	ID       JobID
	Key      string
	State    JobState
	Paused   bool
	PlanOnly bool
	Spec     []byte
	// Plan, once there is one; nil again when the job was forgotten.
	Plan      *Plan
	Submitted Time
	// Ended is 0 before the end.
	Ended Time
	// Class, Reason and Failure say why the job failed. Reason is a sentence
	// of the ledger's own, or the client's why it was cancelled; Failure is
	// the worker's.
	Class   OutcomeClass
	Reason  string
	Failure []byte
	// Skips is what workers said of skipped records, at most 20.
	Skips [][]byte
	// ResultRead: the whole result was delivered.
	ResultRead bool
	Stats      Stats
}
