package ledger

import (
	"slices"
	"time"
)

// WorkersCordoned: an operator wants workers to get no new leases, or to get
// them again. It is answered when that is durable.
type WorkersCordoned struct {
	Request  RequestID
	Workers  []WorkerID
	Cordoned bool
}

// WorkersDrained: an operator wants workers to finish what they run within a
// time, return what waits, and leave. Those that are not attached are left out.
type WorkersDrained struct {
	Workers []WorkerID
	Within  time.Duration
}

// DrainWorker tells a worker to drain: running leases may take so long.
type DrainWorker struct {
	Worker  WorkerID
	Session SessionID
	Within  time.Duration
}

// CordonSet: workers get no new leases, or get them again.
type CordonSet struct {
	Asked    Asked
	Workers  []WorkerID
	Cordoned bool
}

func (WorkersCordoned) event() {}
func (WorkersDrained) event()  {}
func (DrainWorker) effect()    {}
func (*CordonSet) fact()       {}

// maxCordoned bounds the names that are cordoned: workers come and go, and
// their cordons stay.
const maxCordoned = 100_000

func (l *Ledger) workersCordoned(e WorkersCordoned) {
	if e.Cordoned && len(l.state.cordoned)+len(e.Workers) > maxCordoned {
		l.answer(e.Request, AnswerFull, 0, false)
		return
	}
	l.propose(&CordonSet{Asked{l.term, e.Request}, slices.Clone(e.Workers), e.Cordoned})
}

func (s *State) cordonSet(f *CordonSet) bool {
	for _, id := range f.Workers {
		if f.Cordoned {
			s.cordoned[id] = true
		} else {
			delete(s.cordoned, id)
		}
	}
	return true
}

func (l *Ledger) followCordoned(f *CordonSet) {
	for _, id := range f.Workers {
		switch w := l.workers[id]; {
		case w == nil || l.cfg.Bug.has(BugIgnoreCordon):
		case l.cfg.Bug.has(BugUncordonSleeps) && w.attached && !f.Cordoned:
			l.rejoin(w, func() { w.cordoned = false })
			l.seat(w)
		default:
			l.reconsider(w, func() { w.cordoned = f.Cordoned })
		}
	}
	l.answerAsked(f.Asked, AnswerOK, 0, false)
}

func (l *Ledger) workersDrained(e WorkersDrained) {
	for _, id := range e.Workers {
		w := l.workers[id]
		if w == nil || !w.attached {
			continue
		}
		w.drainBy = l.now.Add(e.Within)
		l.orderDrain(w)
	}
}

// orderDrain has a worker drain, if an operator said so.
func (l *Ledger) orderDrain(w *worker) {
	if w.drainBy == 0 {
		return
	}
	if !l.cfg.Bug.has(BugDrainGrants) {
		l.reconsider(w, func() { w.draining = true })
	}
	l.emit(DrainWorker{w.id, w.session, max(w.drainBy.Sub(l.now), 0)})
	l.evacuate(w)
}
