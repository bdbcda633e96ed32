package ledger

import "time"

// Label is a worker's label, or one that a job asks of workers.
type Label struct{ Key, Value string }

// Settings is what the ledger must know of a job.
type Settings struct {
	// Priority: a job of higher priority is served first.
	Priority int32
	// Weight is the job's share against jobs of the same priority; 0 means 1.
	Weight float64
	// Delay from submission before the source is cut.
	Delay time.Duration
	// Deadline from submission after which the job fails; no limit when 0.
	Deadline time.Duration
	// BatchTimeout kills an attempt; no limit when 0. The worker does it.
	BatchTimeout time.Duration
	// MaxAttempts at one batch (retries + 1); 0 means 4.
	MaxAttempts uint32
	// RetryBudget is how many attempts may fail in the whole job; no limit
	// when 0.
	RetryBudget uint64
	// SkipLimit is how many bad records may be skipped in the whole job.
	SkipLimit uint64
	// MaxConcurrency is how many leases may be out at a time; no limit when 0.
	MaxConcurrency uint32
	// MaxSpoolBytes is how large the job's outputs may be together on one
	// worker; no limit when 0. The worker sees to it.
	MaxSpoolBytes int64
	// User whose job it is; quotas are counted by it. Empty is a user, too.
	User string
	// Keep: the result is kept when the job is done, and can be read as often
	// as wanted. Otherwise it can be read once, while the job runs.
	Keep bool
	// KeepFor is how long the job, and its result, is kept once it has ended;
	// 0 means Config.KeepFor.
	KeepFor time.Duration
	// Labels that a worker must carry to run anything of the job.
	Labels []Label
	// PlanRequires are the processors that planning needs.
	PlanRequires []string
}

// Plan is what a job will do, as far as the ledger must know.
type Plan struct {
	Fragments []Fragment
	Stages    []Stage
	// Payload is the rest of the plan, for others.
	Payload []byte
}

// fragmentBytes is about how much memory a fragment takes beside its payload.
const fragmentBytes = 100

// bytes is about how much memory a plan takes.
func (p *Plan) bytes() int64 {
	n := len(p.Payload)
	for i := range p.Fragments {
		n += fragmentBytes + len(p.Fragments[i].Payload) + len(p.Fragments[i].Cuts)*8
	}
	for i := range p.Stages {
		n += len(p.Stages[i].Payload)
	}
	return int64(n)
}

// Unit is what a fragment's positions count.
type Unit uint8

// The units, with the numbers of the contract.
const (
	UnitUnspecified Unit = iota // counted as bytes
	UnitBytes                   // bytes of a text file
	UnitRows                    // rows of a columnar file
	UnitRecords                 // records of an inline source or a range
)

// Fragment is an independently readable piece of the source.
type Fragment struct {
	// Unit of its positions.
	Unit Unit
	// Whole: it must be one split.
	Whole bool
	// Extent is how many positions it has; at least 1.
	Extent int64
	// SizeBytes is its size in bytes; 0 where it has none.
	SizeBytes int64
	// Records in it; -1 where unknown.
	Records int64
	// Cuts are the only inner positions where it may be cut, rising; it may
	// be cut anywhere when there are none.
	Cuts []int64
	// Payload is the rest of the fragment, for others.
	Payload []byte
}

// StageInput is what a stage reads.
type StageInput uint8

// The inputs, with the numbers of the contract.
const (
	InputUnspecified StageInput = iota // read as the source
	InputSource                        // the source's fragments
	InputCollect                       // all outputs of the stage before, in one batch
)

// Stage is one stage as it runs. Only the first reads the source.
type Stage struct {
	Name  string
	Input StageInput
	Cut   Cut
	// Requires are the processors that a worker needs.
	Requires []string
	Output   OutputKind
	// Mergeable: neighbouring outputs may be merged into one by a merge lease.
	Mergeable bool
	// PrefixLimit is how many records the outputs of the first stage must have
	// together, in source order: the rest of the source is left out then. All
	// of it is needed when nil.
	PrefixLimit *int64
	// Payload is the rest of the stage, for others.
	Payload []byte
}

// Cut is how the source is cut into batches.
type Cut struct {
	Rule CutRule
	// Size is the batches, records or bytes that a fixed rule asks for.
	Size int64
	// MaxFiles in one batch of whole files; no limit but the ledger's own
	// when 0.
	MaxFiles uint32
	// WholeFiles: fragments are never cut.
	WholeFiles bool
}

// CutRule is the rule of a cut.
type CutRule uint8

// The rules, with the numbers of the contract.
const (
	CutUnspecified CutRule = iota // late
	CutLate                       // by measured speed, smaller toward the end
	CutOne                        // everything in one batch
	CutBatches                    // a number of batches
	CutRecords                    // records a batch, at the fragments' cuts
	CutBytes                      // about so many bytes a batch
)

// OutputKind is how an output is kept.
type OutputKind uint8

// The kinds, with the numbers of the contract.
const (
	OutputNone   OutputKind = iota // no outputs
	OutputBytes                    // bytes as a processor wrote them
	OutputArrow                    // an Arrow IPC stream
	OutputSorted                   // an Arrow IPC stream, sorted by key
	OutputFile                     // a file for the sink; the commit moves it in place
)

// Output names an output that a worker holds; the zero value names none.
type Output struct {
	ID      OutputID
	Worker  WorkerID
	Kind    OutputKind
	Bytes   int64
	Records int64
	Path    string
}

// LeaseKind is what a lease asks for.
type LeaseKind uint8

// The kinds, with the numbers of the contract.
const (
	LeaseUnspecified LeaseKind = iota // not a lease
	LeasePlan                         // make the job's plan
	LeaseProcess                      // run a stage's steps
	LeaseMerge                        // merge neighbouring outputs of a stage
	LeaseCommit                       // move the sink's files in place
)

// Split is a half-open range of one fragment.
type Split struct {
	Fragment int
	From, To int64
}

// Lease is the right to run one attempt of one batch.
type Lease struct {
	Fence Fence
	Kind  LeaseKind
	// Stage is its index in the plan; 0 for planning and commits.
	Stage int
	// Splits of the source, in source order.
	Splits []Split
	// Inputs that are outputs, in source order.
	Inputs []Output
	// From and To are the positions that it covers.
	From, To Position
	Timeout  time.Duration
	// Alone: it takes all slots of its worker.
	Alone bool
	// MaySkip is how many bad records the job may still skip.
	MaySkip uint64
	// Bytes is what it spends of the worker's credit in bytes.
	Bytes int64
}

// HeldLease is a lease in a worker's inventory. Of the lease its fence, kind,
// stage, positions and the names of its inputs are looked at.
type HeldLease struct {
	Lease   Lease
	Started bool
}

// Count is a processor's own counter.
type Count struct {
	Name  string
	Value int64
}

// Counters is what an attempt counted, or a sum of that.
type Counters struct {
	RecordsIn, BytesIn   int64
	RecordsOut, BytesOut int64
	RecordsSkipped       int64
	// Custom are the processor's own, by rising name.
	Custom []Count
}

// OutcomeClass is how an attempt ended.
type OutcomeClass uint8

// The classes, with the numbers of the contract, and one of the ledger's own.
const (
	OutcomeUnspecified   OutcomeClass = iota // no outcome
	OutcomeDone                              // all records are in the output
	OutcomeDoneWithSkips                     // done, but for skipped records
	OutcomeRetryable                         // another attempt may succeed
	OutcomeFatal                             // another attempt would fail alike
	OutcomeKilledMemory                      // used too much memory
	OutcomeKilledTime                        // ran too long
	OutcomeKilledSignal                      // died by somebody's signal
	OutcomeInputGone                         // an input is not there any more
	OutcomeReturned                          // given back; spends nothing
	OutcomeCancelled                         // ended by a revoke; spends nothing
	OutcomeMissing                           // an output that it reads could not be had; spends nothing
	OutcomeNoRoom                            // other jobs fill the worker's spool; spends nothing while another has room, or may get some
	OutcomeUnable                            // the worker can run no batch of the stage; spends nothing
	OutcomeExpired                           // the worker fell silent; only the ledger says so
)

// Outcome is what became of one attempt.
type Outcome struct {
	Fence  Fence
	Class  OutcomeClass
	Output Output
	// Counters of the attempt.
	Counters Counters
	// Failure is what went wrong, for others; kept as it is.
	Failure []byte
	// Reason is what Failure says, for people, in class OutcomeUnable.
	Reason string
	// Elapsed is how long the processor ran.
	Elapsed time.Duration
	// Missing are inputs that could not be had, in class OutcomeMissing.
	Missing []Missing
	// Plan, for a planning lease that is done.
	Plan *Plan
	// Granted is the lease as it was granted. It is needed in an inventory
	// only: a new leader may not know the lease.
	Granted *Lease
}
