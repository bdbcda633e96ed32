package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// A worker that fails whatever it gets, while others do the same work, is
// paused, and the attempts that it spent are refunded. After a while it is tried
// with one batch at a time. When all fail alike it is the work, and nobody is
// paused.

// AttemptsRefunded: a worker has failed what others do: the attempts that it
// spent, of all jobs, are given back.
type AttemptsRefunded struct {
	Worker WorkerID
}

func (*AttemptsRefunded) fact() {}

// tally is how many attempts a worker has spent.
type tally struct {
	worker WorkerID
	spent  uint32
}

// maxTallies bounds the workers whose failures a job with a budget remembers.
const maxTallies = 64

// quarantine is what a worker's failures have come to.
type quarantine struct {
	failed []place // different batches, with none done between; at most as many as count
	streak int     // failures, with none done between
	since  Time    // of the first of them
	wait   time.Duration
	until  Time // when it is tried
	trial  bool // it is being tried: it gets one batch at a time
}

// unrefunded returns how many of the attempts in a list will not be given back.
func (l *Ledger) unrefunded(by []tally, spent int64) int64 {
	for _, t := range by {
		if w := l.workers[t.worker]; w != nil && w.refunding > 0 {
			spent -= int64(t.spent)
		}
	}
	return spent
}

// spentInAll is how many attempts of a job have failed, refunds left out.
func (l *Ledger) spentInAll(r *run) uint64 {
	spent := l.unrefunded(r.job.tallies, r.job.retries-r.job.refunded+int64(r.failing))
	for b := range r.all.all() {
		if b.counted && (b.refund || b.worker.refunding > 0) {
			spent--
		}
	}
	return uint64(max(spent, 0))
}

// place is where a batch is.
type place struct {
	job   JobID
	stage int
	from  Position
}

// blames says whether an outcome may be the worker's fault.
func (c OutcomeClass) blames() bool {
	switch c {
	case OutcomeRetryable, OutcomeKilledMemory, OutcomeKilledTime, OutcomeKilledSignal:
		return true
	}
	return false
}

// faulted takes note of a worker's failure of a batch. It says whether what the
// worker spent is to be refunded, when the failure has been proposed.
func (l *Ledger) faulted(w *worker, b *batch, class OutcomeClass) bool {
	if !class.blames() {
		return false
	}
	q := &w.quarantine
	if q.streak++; q.streak == 1 {
		q.since = l.now
	}
	at := place{b.run.job.id, b.work.index, b.from}
	if len(q.failed) < l.cfg.QuarantineAfter && !slices.Contains(q.failed, at) {
		q.failed = append(q.failed, at)
	}
	switch {
	case l.cfg.Bug.has(BugNoQuarantine):
		return false
	case w.paused && q.trial:
		l.pauseFor(w, min(2*q.wait, l.cfg.QuarantineMax))
	case w.paused: // it had that lease before
	case len(q.failed) >= l.cfg.QuarantineAfter && w.able() && b.work.doneElsewhere(w, q.since) &&
		l.elsewhere(b.run, b.work, []WorkerID{w.id}):
		l.reconsider(w, func() { w.paused = true })
		l.pauseFor(w, l.cfg.QuarantineMin)
	default:
		return false
	}
	return l.elsewhere(b.run, b.work, []WorkerID{w.id}) // otherwise nobody does what it fails
}

// pauseFor keeps a worker from leases for a time.
func (l *Ledger) pauseFor(w *worker, d time.Duration) {
	q := &w.quarantine
	q.wait, q.until, q.trial = d, l.now.Add(d), false
	l.timers.push(timer{at: q.until, kind: dueTrial, worker: w})
	l.seat(w)
}

// refund proposes to give back what a worker spent.
func (l *Ledger) refund(w *worker) {
	w.refunding++
	l.propose(&AttemptsRefunded{w.id})
}

// followRefunded follows a refund.
func (l *Ledger) followRefunded(f *AttemptsRefunded) {
	if w := l.workers[f.Worker]; w != nil && w.refunding > 0 {
		w.refunding--
	}
}

// trialDue tries a worker in quarantine with a batch.
func (l *Ledger) trialDue(w *worker, at Time) {
	if w.paused && w.quarantine.until == at && l.workers[w.id] == w {
		w.quarantine.trial = true
		l.changeWorker(w)
		l.offer(w)
	}
}

// cleared takes note that a worker has done a batch.
func (l *Ledger) cleared(w *worker, k *work) {
	if w.quarantine.streak > 0 {
		w.quarantine = quarantine{}
	}
	if w.paused {
		l.reconsider(w, func() { w.paused = false })
	}
	if k.doneBy != w.id {
		k.otherBy, k.otherAt = k.doneBy, k.doneAt
	}
	k.doneBy, k.doneAt = w.id, l.now
}

// doneElsewhere says whether another worker has done a batch of a stage since a
// time.
func (k *work) doneElsewhere(w *worker, since Time) bool {
	return k.doneBy != "" && k.doneBy != w.id && k.doneAt >= since ||
		k.otherBy != "" && k.otherBy != w.id && k.otherAt >= since
}

// onTrial says whether a worker in quarantine may have a batch.
func (w *worker) onTrial() bool {
	return w.quarantine.trial && w.standing() == StandingQuarantined && w.leases.n == 0
}

// amnesty tries every worker in quarantine at once, when there is no other.
func (l *Ledger) amnesty() {
	for _, c := range l.classes {
		if c.able > 0 {
			return
		}
	}
	var paused []*worker
	for _, w := range l.workers { // sorted below
		if w.paused && w.attached && !w.quarantine.trial {
			paused = append(paused, w)
		}
	}
	slices.SortFunc(paused, func(a, b *worker) int { return cmp.Compare(a.id, b.id) })
	for _, w := range paused {
		w.quarantine.until, w.quarantine.trial = l.now, true
		l.offer(w)
	}
}

func (q *quarantine) reason(at Time) string {
	if at < q.until {
		return fmt.Sprintf("it failed %d times what others do: it is tried again in %v", q.streak, shown(q.until.Sub(at)))
	}
	return fmt.Sprintf("it failed %d times what others do: it is tried with one batch at a time", q.streak)
}

// attemptsRefunded gives back what a worker spent of live jobs' attempts.
func (s *State) attemptsRefunded(f *AttemptsRefunded) bool {
	for _, j := range s.order {
		if j.state.Over() {
			continue
		}
		for i := range j.tallies {
			if t := &j.tallies[i]; t.worker == f.Worker {
				j.refunded += int64(t.spent)
				t.spent = 0
			}
		}
		j.planning.refund(f.Worker)
		j.committed.refund(f.Worker)
		for i := range j.stages {
			j.stages[i].refund(f.Worker)
		}
	}
	return true
}

// refund gives back what a worker spent of a stage's ranges. They keep their
// bounds, and remember who failed them.
func (g *stage) refund(w WorkerID) {
	for _, x := range g.failed.from(0) {
		for i := range x.by {
			if t := &x.by[i]; t.worker == w {
				x.spent -= t.spent
				t.spent = 0
			}
		}
	}
}

// tallied adds a spent attempt of a worker. Those that failed lately come last;
// no more than most are remembered.
func tallied(by []tally, w WorkerID, most int) []tally {
	out := make([]tally, 0, min(len(by)+1, most))
	one := tally{w, 1}
	for _, t := range by {
		if t.worker == w {
			one.spent += t.spent
		} else {
			out = append(out, t)
		}
	}
	if len(out) == most {
		out = out[1:]
	}
	return append(out, one)
}

// blamed returns the workers that failed a range lately.
func (f *failure) blamed() []WorkerID {
	out := make([]WorkerID, len(f.by))
	for i := range f.by {
		out[i] = f.by[i].worker
	}
	return out
}
