package ledger

// Event is something that happened. [Ledger.Step] takes these types, by value.
type Event interface{ event() }

// JobSubmitted: a client wants a job. It is answered when the job is durable.
type JobSubmitted struct {
	Request RequestID
	// Key makes the submission idempotent; none when empty. The same key with
	// another Spec is refused.
	Key      string
	Settings Settings
	// Spec is the job as its user wrote it, encoded alike for equal jobs.
	Spec     []byte
	PlanOnly bool
}

// JobCancelled: a client wants no more of a job.
type JobCancelled struct {
	Request RequestID
	Job     JobID
	Reason  string
}

// JobPaused: a client wants no new leases of a job.
type JobPaused struct {
	Request RequestID
	Job     JobID
}

// JobResumed: a client wants a paused job to go on.
type JobResumed struct {
	Request RequestID
	Job     JobID
}

// WorkerAttached: a worker opened a session and told what it holds.
type WorkerAttached struct {
	Worker  WorkerID
	Session SessionID
	// Incarnation is the number of its process, which rises when the worker is
	// started again; 0 where it is not known.
	Incarnation uint64
	Slots       int
	Memory      int64
	Labels      []Label
	// Processors are what it can run. "command:*" stands for every program.
	Processors []string
	// Zone is where it is, for people and for the choice among equals.
	Zone string
	// Leases that it holds, running or waiting; not those of Outcomes.
	Leases []HeldLease
	// Outcomes that nobody has acknowledged, each with Granted.
	Outcomes []Outcome
	// Outputs in its spool.
	Outputs []OutputID
}

// SessionLost: a session broke or fell silent. The worker's leases wait for
// their deadline, unless the second witness says that it is dead, too.
type SessionLost struct {
	Worker  WorkerID
	Session SessionID
}

// Progress is a lease that has started, and how far it is.
type Progress struct {
	Fence   Fence
	Records int64
	Bytes   int64
}

// Heartbeat: a worker lives. It renews all leases of the session.
type Heartbeat struct {
	Worker   WorkerID
	Session  SessionID
	Sequence uint64
	Progress []Progress
}

// CreditGranted: a worker is ready to take so many leases, and bytes of input,
// more.
type CreditGranted struct {
	Worker  WorkerID
	Session SessionID
	Batches uint32
	Bytes   int64
}

// OutcomeReported: a worker says what became of an attempt.
type OutcomeReported struct {
	Worker  WorkerID
	Session SessionID
	Outcome Outcome
}

// WorkerDraining: a worker wants no more leases.
type WorkerDraining struct {
	Worker  WorkerID
	Session SessionID
}

// OutputLost: outputs can't be read any more.
type OutputLost struct {
	Outputs []OutputID
}

// ResultRequested: a client reads a job's result. From now on [OutputReady]
// tells the outputs to deliver; asking again starts at the first that was not
// consumed. Of a kept result nothing is told or consumed (see [Ledger.Result]):
// what is lost of it is made again.
type ResultRequested struct {
	Job JobID
}

// ResultConsumed: an output was delivered to the client that reads the result.
// Outputs are consumed in the order in which they were told.
type ResultConsumed struct {
	Job    JobID
	Output OutputID
}

// ReaderGone: the client that read a job's result has gone away. What it has
// not consumed waits for another one.
type ReaderGone struct {
	Job JobID
}

// Committed: facts that were proposed are durable, in the log's order.
type Committed struct {
	Facts []Fact
}

// Ticked: time has passed; the answer to a [WakeAt].
type Ticked struct{}

func (JobSubmitted) event()    {}
func (JobCancelled) event()    {}
func (JobPaused) event()       {}
func (JobResumed) event()      {}
func (WorkerAttached) event()  {}
func (SessionLost) event()     {}
func (Heartbeat) event()       {}
func (CreditGranted) event()   {}
func (OutcomeReported) event() {}
func (WorkerDraining) event()  {}
func (OutputLost) event()      {}
func (ResultRequested) event() {}
func (ResultConsumed) event()  {}
func (ReaderGone) event()      {}
func (Committed) event()       {}
func (Ticked) event()          {}
