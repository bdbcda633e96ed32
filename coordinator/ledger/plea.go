package ledger

import "time"

// A job that comes up must not wait behind all that larger ones have had
// fetched ahead: when nobody has a free slot for it, one worker is asked to
// give back what waits there. The job goes first then.

// pleads notes that a job has come up and has no lease.
func (l *Ledger) pleads(r *run) {
	if !r.pleading && r.leases == 0 {
		r.pleading = true
		l.pleas = append(l.pleas, r)
	}
}

// makeWay hears the jobs that have come up, and found nobody in this step.
func (l *Ledger) makeWay() {
	pleas := l.pleas
	l.pleas = l.pleas[:0]
	for _, r := range pleas {
		r.pleading = false
		l.plead(r)
	}
	clear(pleas)
}

// plead asks a worker for what waits there and is behind a job in order, so
// that the job gets a lease soon. It is tried again elsewhere while it has
// none.
func (l *Ledger) plead(r *run) {
	if !r.listed || r.leases > 0 || l.capped(r) || r.reserved != nil || l.cfg.Bug.has(BugSmallWaits) {
		return
	}
	k := r.current()
	for _, c := range l.classes {
		if !l.allows(r, k, c) {
			continue
		}
		for w := range c.over.all() {
			if w.able() && l.askBack(w, r) {
				l.after(l.cfg.TargetLease/4, timer{kind: duePlea, run: r})
				return
			}
		}
	}
}

// pleaDue pleads again, if a job has still no lease.
func (l *Ledger) pleaDue(r *run) {
	if l.runs[r.job.id] == r && r.listed {
		l.pleads(r)
	}
}

// freePleas is how often a job is heard however short the leases are that wait
// before it: for its plan and its first batches.
const freePleas = 3

// askBack asks a worker for the leases that wait there, if they take long and a
// job goes before them.
func (l *Ledger) askBack(w *worker, r *run) bool {
	waits := w.leases.n - w.slots
	if w.alone {
		waits = w.leases.n - 1
	}
	var cost time.Duration
	n := w.leases.tail
	for ; waits > 0 && n != nil; waits, n = waits-1, n.prev {
		b := n.val
		if b.asked || b.thief != nil || !b.run.givesWay(r) {
			return false // it is to be had soon, or in its right
		}
		cost += time.Duration(b.cost)
	}
	if r.pleas >= freePleas && cost/time.Duration(w.slots) < l.cfg.MinLease {
		return false
	}
	asked := false
	for b := w.leases.tail; b != n; b = b.prev {
		if !b.val.started {
			b.val.asked, asked = true, true
			l.emit(Revoke{w.id, w.session, b.val.fence, true, "another job has none"})
		}
	}
	if asked {
		r.pleas++
		w.promised = r
	}
	return asked
}

// keepPromise gives a worker a batch of the job for which it was asked for what
// waited there, unless that has a lease by now or others are more urgent.
func (l *Ledger) keepPromise(w *worker) bool {
	r := w.promised
	if r == nil {
		return false
	}
	if !r.listed || r.leases > 0 || l.capped(r) || l.urgent(r) {
		w.promised = nil
		return false
	}
	k := r.current()
	if !l.allows(r, k, w.class) || l.serveFrom(r, k, w) != granted {
		return false
	}
	w.promised = nil
	return true
}

// urgent says whether a job of a higher priority than another may be served.
func (l *Ledger) urgent(r *run) bool {
	for _, first := range l.runnable {
		if !l.capped(first) {
			return first.band != r.band
		}
	}
	return false
}

// givesWay says whether a job is not before another one that has come up.
func (r *run) givesWay(other *run) bool {
	if r.band != other.band {
		return r.band.priority < other.band.priority
	}
	return r != other && r.vtime >= other.vtime
}
