package ledger

import "time"

// Fact is a durable fact. Facts change a [State] only by [State.Apply]. The
// types are used by pointer.
type Fact interface{ fact() }

// Stage indexes of what is not a stage of the plan.
const (
	planStage   = -1
	commitStage = -2
)

// Asked names a client's request, and the leader that is to answer it.
type Asked struct {
	Term    Term
	Request RequestID
}

// TermBegan: a leader began its term.
type TermBegan struct {
	Term Term
}

// JobAdded: a job was submitted. Its number is the next free one, unless its
// key is known.
type JobAdded struct {
	At       Time
	Asked    Asked
	Key      string
	Settings Settings
	Spec     []byte
	PlanOnly bool
}

// JobPlanned: the job has a plan.
type JobPlanned struct {
	At    Time
	Fence Fence
	Job   JobID
	Plan  *Plan
}

// PauseSet: the job was paused or resumed.
type PauseSet struct {
	Asked  Asked
	Job    JobID
	Paused bool
}

// JobClosed: the job failed or was cancelled.
type JobClosed struct {
	At    Time
	Asked Asked
	Job   JobID
	State JobState
	Class OutcomeClass
	// Reason is the ledger's or the client's; Failure is a worker's.
	Reason  string
	Failure []byte
	// Untried: the last failure ends the job, and is not tried again.
	Untried bool
	// Inputs are what the batch read of the source that ended the job: the
	// first of it.
	Inputs []Input
}

// Input is a range of a fragment, with the fragment's payload.
type Input struct {
	Fragment []byte
	From, To int64
}

// maxInputs is how much of a failed batch's input is told.
const maxInputs = 3

// JobForgotten: an ended job, and its unread result, is kept no longer.
type JobForgotten struct {
	Asked Asked
	Job   JobID
}

// RangeDone: an attempt won its batch.
type RangeDone struct {
	At       Time
	Fence    Fence
	Stage    int
	From, To Position
	Worker   WorkerID
	Output   Output
	Counters Counters
	Elapsed  time.Duration
	// Skips is what the worker says of the records that it skipped.
	Skips []byte
}

// RangeFailed: an attempt failed, and spent some of its batch's budget. At
// splits the range in two batches of their own; it is kept whole when 0.
type RangeFailed struct {
	Fence    Fence
	Stage    int
	From, To Position
	Worker   WorkerID
	Class    OutcomeClass
	Failure  []byte
	SplitAt  Position
}

// OutputsLost: done ranges are undone, because their outputs are gone. Of a
// kept result that is done they are undone only when they are Wanted.
type OutputsLost struct {
	Job     JobID
	Stage   int
	Outputs []OutputID
	Wanted  bool
}

// OutputsMerged: neighbouring outputs were replaced by one. When it Moves them
// off a worker that leaves, that may be after the job is done.
type OutputsMerged struct {
	Fence    Fence
	Stage    int
	From, To Position
	Inputs   []OutputID
	Output   Output
	Moves    bool
}

// ResultRead: the client has the result's outputs up to a position.
type ResultRead struct {
	Job    JobID
	Output OutputID
}

// WorkWasted: a finished attempt's work was thrown away.
type WorkWasted struct {
	Job JobID
}

func (*TermBegan) fact()     {}
func (*JobAdded) fact()      {}
func (*JobPlanned) fact()    {}
func (*PauseSet) fact()      {}
func (*JobClosed) fact()     {}
func (*JobForgotten) fact()  {}
func (*RangeDone) fact()     {}
func (*RangeFailed) fact()   {}
func (*OutputsLost) fact()   {}
func (*OutputsMerged) fact() {}
func (*ResultRead) fact()    {}
func (*WorkWasted) fact()    {}
