package ledger

// State is the durable part of the ledger: what facts made of it.
type State struct{}

// NewState returns a state without any job.
func NewState() *State { return nil }

// Restore returns the state of a snapshot (none when empty) with facts applied.
func Restore(snapshot []byte, facts ...Fact) (*State, error) { return nil, nil }

// Apply changes the state by a fact, alike on every replica. It says whether
// the fact took hold; one that does not fit any more changes nothing.
func (s *State) Apply(f Fact) bool { return false }

// Encode returns a snapshot of the state.
func (s *State) Encode() []byte { return nil }

// Term returns the highest term that began.
func (s *State) Term() Term { return 0 }

// AppendFact appends the encoding of a fact to b.
func AppendFact(b []byte, f Fact) []byte { return b }

// DecodeFact decodes one fact.
func DecodeFact(b []byte) (Fact, error) { return nil, nil }

// Ledger is the leader's side: a State and what may be lost.
type Ledger struct{}

// New returns a leader's ledger over a state, in a term higher than any that
// the state knows. It panics when cfg does not check.
func New(cfg Config, state *State, term Term, at Time) *Ledger { return nil }

// Step takes what happened, at a time and with a random seed of its own, and
// returns what to do. The slice is valid until the next Step.
func (l *Ledger) Step(at Time, seed uint64, e Event) []Effect { return nil }

// State returns the durable part, to be encoded and not changed.
func (l *Ledger) State() *State { return nil }

// Job returns how a job is at a time.
func (l *Ledger) Job(id JobID, at Time) (JobView, bool) { return JobView{}, false }

// Jobs returns at most limit jobs, newest first.
func (l *Ledger) Jobs(limit int, at Time) []JobView { return nil }

// Explain returns why what waits of a job is waiting.
func (l *Ledger) Explain(id JobID) []Wait { return nil }
