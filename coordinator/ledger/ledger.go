package ledger

import "fmt"

// Ledger is the leader's side: a State, and what may be lost.
type Ledger struct {
	cfg   Config
	state *State
	term  Term
	now   Time
	steps uint64
	seed  uint64

	workers  map[WorkerID]*worker
	rumours  map[WorkerID]rumour
	ghosts   []WorkerID // names in rumours of the dead, oldest first
	classes  []*class
	labels   []Label // that tell classes apart: jobs ask for them
	spareIDs []int   // indexes of workers that were forgotten
	indexes  int     // indexes ever given out
	attached int
	thawed   Time   // when it had last stood still
	gathered Time   // until when workers may come back that the leader before had
	fleet    uint64 // rises when who may run what changes

	runs     map[JobID]*run
	runnable []*run // by priority, virtual time and number
	bands    map[int32]*band
	users    map[string]*user // who have jobs
	offers   []*worker        // to be asked at the end of the step
	looking  bool             // work has come up that idle workers must be asked about
	checking []*run           // workers are being asked about their output folders
	pleas    []*run           // they have come up in this step, and have no lease
	refused  list[*batch]     // some worker had no room for what they make
	passed   bool             // one has left a batch to another one that is idle

	timers timers
	wake   Time
	expiry Time // when ended jobs are looked through; 0 when no timer is set
	asking int  // submissions proposed and not committed

	effects []Effect
	facts   []Fact // to be proposed at the end of the step
	changed *run   // told last in this step
}

// New returns a leader's ledger over a state, in a term higher than any that
// the state knows. It panics when cfg does not check or the term is not
// higher.
func New(cfg Config, state *State, term Term, at Time) *Ledger {
	if err := cfg.Check(); err != nil {
		panic(fmt.Sprintf("ledger: %v", err))
	}
	if term <= state.term {
		panic(fmt.Sprintf("ledger: term %d is not higher than %d", term, state.term))
	}
	state.bug = cfg.Bug
	l := &Ledger{
		cfg: cfg, state: state, term: term, now: at, wake: never,
		workers: map[WorkerID]*worker{},
		rumours: map[WorkerID]rumour{},
		runs:    map[JobID]*run{},
		bands:   map[int32]*band{},
		users:   map[string]*user{},
	}
	l.propose(&TermBegan{Term: term})
	if len(state.order) > 0 {
		l.gathered = at.Add(cfg.Grace)
	}
	for _, j := range state.order {
		l.resume(j)
	}
	return l
}

// State returns the durable part, to be encoded and not changed.
func (l *Ledger) State() *State { return l.state }

// JobBase returns what the numbers of jobs begin behind: the first one is the
// next. It holds for the log, whoever leads.
func (l *Ledger) JobBase() JobID {
	if l.state.term == 0 {
		return JobID(l.term) - 1 // as the log is about to say
	}
	return l.state.base
}

// Step takes what happened, at a time and with a random seed of its own, and
// returns what to do. The slice is valid until the next Step.
func (l *Ledger) Step(at Time, seed uint64, e Event) []Effect {
	clear(l.effects)
	l.effects = l.effects[:0]
	l.changed = nil
	l.now = max(l.now, at) // a new leader's clock may lag the old one's
	l.seed = seed
	l.steps++
	l.thaw()
	l.expire() // a lease past its deadline is never live, whatever the event
	l.take(e)
	l.match()
	l.makeWay()
	l.flush()
	return l.effects
}

func (l *Ledger) take(e Event) {
	switch e := e.(type) {
	case JobSubmitted:
		l.jobSubmitted(e)
	case JobCancelled:
		l.jobCancelled(e)
	case JobPaused:
		l.pause(e.Request, e.Job, true)
	case JobResumed:
		l.pause(e.Request, e.Job, false)
	case WorkerAttached:
		l.workerAttached(&e)
	case SessionLost:
		l.sessionLost(e)
	case Heartbeat:
		l.heartbeat(e)
	case CreditGranted:
		l.creditGranted(e)
	case OutcomeReported:
		l.outcomeReported(&e)
	case SinkChecked:
		l.sinkChecked(e)
	case WorkerDraining:
		l.workerDraining(e)
	case OutputLost:
		l.outputLost(e)
	case ResultRequested:
		l.resultRequested(e)
	case ResultConsumed:
		l.resultConsumed(e)
	case ReaderGone:
		l.readerGone(e)
	case Gossiped:
		l.gossiped(e)
	case WorkerRefused:
		l.workerRefused(e)
	case WorkersCordoned:
		l.workersCordoned(e)
	case WorkersDrained:
		l.workersDrained(e)
	case JobRemoved:
		l.jobRemoved(e)
	case ResultShelved:
		l.resultShelved(e)
	case Committed:
		l.committed(e)
	case Ticked:
	default:
		panic(fmt.Sprintf("ledger: unknown event %T", e))
	}
}

// emit orders an effect.
func (l *Ledger) emit(e Effect) { l.effects = append(l.effects, e) }

// propose puts a fact into the entry that this step appends.
func (l *Ledger) propose(f Fact) { l.facts = append(l.facts, f) }

// change tells watchers of a job, once a step for the same one.
func (l *Ledger) change(r *run) {
	if l.changed != r {
		l.changed = r
		l.emit(Changed{r.job.id})
	}
}

// flush appends what was proposed, and says when to wake up.
func (l *Ledger) flush() {
	if len(l.facts) > 0 {
		l.emit(Append{l.facts})
		l.facts = nil // the log keeps them
	}
	if next := l.timers.next(); next != l.wake && next != never {
		l.wake = next
		l.emit(WakeAt{next})
	}
}
