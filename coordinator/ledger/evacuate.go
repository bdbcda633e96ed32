package ledger

import (
	"cmp"
	"slices"
	"time"
)

// A worker that drains takes its outputs with it. Those that are still needed
// are moved before, by merge leases of other workers: of neighbours together
// where they are collected, and each as it is where they are parts of a result.
// When nothing is left to be moved, or nobody could take it, the worker may go.
// It goes anyway when its time is up; what it still holds is lost then, and
// made again where it is needed.

// LetGo tells a worker that drains that no output of it is needed any more, or
// that nobody could take it over: it may leave once its leases and outcomes are
// settled. It is told once in a session.
type LetGo struct {
	Worker  WorkerID
	Session SessionID
}

func (LetGo) effect() {}

// evacuateEvery is how often it is looked what a draining worker still holds.
const evacuateEvery = 50 * time.Millisecond

// evacuate moves what a worker that drains holds, and lets it go when that is
// done.
func (l *Ledger) evacuate(w *worker) {
	if !w.attached || !w.draining || w.letGo {
		return
	}
	if w.evacuateAt <= l.now {
		w.evacuateAt = l.now.Add(evacuateEvery)
		l.timers.push(timer{at: w.evacuateAt, kind: dueEvacuation, worker: w})
	}
	if w.leases.n > 0 || w.reported.n > 0 || l.holdsNeeded(w) {
		return
	}
	w.letGo = true
	l.emit(LetGo{w.id, w.session})
}

// evacuationDue looks again at a worker that drains.
func (l *Ledger) evacuationDue(w *worker, at Time) {
	if w.evacuateAt == at && l.workers[w.id] == w {
		l.evacuate(w)
	}
}

// holdsNeeded says whether a worker holds an output that somebody reads, or
// takes over, and has taken over what can be.
func (l *Ledger) holdsNeeded(w *worker) bool {
	held := l.state.holders[w.id]
	if held == nil {
		return false
	}
	needed, to := false, refuges{}
	for e := range held.all() {
		r := l.runs[e.job.id]
		if r == nil || e.out.Kind == OutputFile || e.stage < 0 || e.losing || e.absent {
			continue
		}
		if r.job.state.Over() && !r.job.moves(e.stage) {
			continue // nobody reads it now
		}
		needed = l.isRead(r, e) || l.moveOff(r, e, to) || needed
	}
	return needed
}

// isRead says whether somebody is about to read an output, or to merge it.
func (l *Ledger) isRead(r *run, e *entry) bool {
	return e.busy() || e.stage < r.job.last() && r.stages[e.stage+1].begun()
}

// moveOff has another worker take over an output, with neighbours of the same
// worker where that does not matter. It says whether somebody can.
func (l *Ledger) moveOff(r *run, e *entry, all refuges) bool {
	k := &r.stages[e.stage]
	if r.job.state != StateRunning && !r.job.moves(e.stage) || r.closing || !r.mergeable(k) {
		return false
	}
	to := all.of(l, k, e.out.Worker).least()
	if to == nil {
		return false
	}
	if r.job.paused || l.now < r.until {
		return true // later
	}
	first, last := e, e
	if e.stage < r.job.last() {
		first, last = l.neighboursOf(e)
	}
	b := l.mergeFor(r, k, first, last, to)
	b.moves = true
	to.others = l.cfg.MergeEvery // at once
	l.relist(r)
	l.enqueueMerge(b)
	all[k].sink(0)
	return true
}

// neighboursOf returns the first and last of the neighbouring outputs around one
// that the same worker holds, and nobody has plans with.
func (l *Ledger) neighboursOf(e *entry) (first, last *entry) {
	joins := func(x *entry) bool { return x.out.ID == "" || l.free(x, e.out.Worker, false) }
	first, last = e, e
	n := 1
	for x := e.place.prev; x != nil && n < l.cfg.MergeFanIn && x.val.to == first.from && joins(x.val); x = x.prev {
		if first = x.val; first.out.ID != "" {
			n++
		}
	}
	for x := e.place.next; x != nil && n < l.cfg.MergeFanIn && x.val.from == last.to && joins(x.val); x = x.next {
		if last = x.val; last.out.ID != "" {
			n++
		}
	}
	return first, last
}

// refuges are the workers that can take over outputs of stages from another one.
// They are found once for all that it holds of a stage, of which there may be as
// much as there are workers.
type refuges map[*work]byLoad

// byLoad are workers as a heap: the one with the least to do comes first.
type byLoad []*worker

// of returns those of a stage.
func (x refuges) of(l *Ledger, k *work, from WorkerID) byLoad {
	if h, found := x[k]; found {
		return h
	}
	var h byLoad
	for _, w := range l.workers { // sorted below
		if w.able() && w.id != from && l.allows(k.run, k, w.class) {
			h = append(h, w)
		}
	}
	slices.SortFunc(h, (*worker).busierThan)
	x[k] = h
	return h
}

// least returns the worker with the least to do, nil when there is none.
func (h byLoad) least() *worker {
	if len(h) == 0 {
		return nil
	}
	return h[0]
}

// sink puts a worker in its place that has more to do than before.
func (h byLoad) sink(i int) {
	for {
		down := 2*i + 1
		if down+1 < len(h) && h[down+1].busierThan(h[down]) < 0 {
			down++
		}
		if down >= len(h) || h[i].busierThan(h[down]) <= 0 {
			return
		}
		h[i], h[down] = h[down], h[i]
		i = down
	}
}

// busierThan compares what two workers have to do, and then their names.
func (w *worker) busierThan(o *worker) int {
	return cmp.Or(cmp.Compare((w.leases.n+w.merges.n)*o.slots, (o.leases.n+o.merges.n)*w.slots), cmp.Compare(w.id, o.id))
}
