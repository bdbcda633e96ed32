package ledger

import (
	"fmt"
	"slices"
)

// Missing is an output that an attempt needed and could not have.
type Missing struct {
	Output OutputID
	// Gone: its holder answered that it does not have it. Otherwise the holder
	// could not be reached, and may still have it.
	Gone bool
	// Reason is for people.
	Reason string
}

// An output that can't be reached counts as lost when two workers have said so,
// or one so many times.
const doubtsByOne = 3

// maxMissing is how often outputs of a job may be missing, beside once for each
// batch that the job has done: where workers can't reach each other nothing
// would ever come of trying again.
const maxMissing = 200

// outputsMissing takes an outcome that says that outputs could not be had. What
// is gone is lost, and made again; what is out of reach is tried from
// elsewhere. Either spends nothing of the batch's budget.
func (l *Ledger) outputsMissing(b *batch, o *Outcome) {
	r := b.run
	l.emit(Ack{b.worker.id, b.worker.session, o.Fence})
	b.ran = o.Elapsed
	l.relieve(b)
	l.unlease(b, int64(o.Elapsed))
	b.enter(batchFailing)
	if r.missed++; r.missed > maxMissing+r.job.batches {
		l.close(r, &JobClosed{
			State: StateFailed, Class: OutcomeMissing, Failure: o.Failure,
			Reason: fmt.Sprintf("outputs could not be had %d times: workers do not reach each other", r.missed),
		})
		l.giveUp(b)
		return
	}
	lost := false
	for _, e := range b.inputs {
		lost = lost || e.absent
	}
	for i := range o.Missing {
		if e := l.state.outputs[o.Missing[i].Output]; e != nil && b.needs(e) && l.doubt(e, b.worker, o.Missing[i].Gone) {
			l.lose(e)
			lost = true
		}
	}
	b.unreached = blame(b.unreached, b.worker.id)
	switch {
	case lost && b.kind == LeaseMerge:
		l.giveUp(b)
	case lost || l.losing(b):
		b.limbo = true
	default:
		b.misses++
		l.backOff(b, b.misses)
	}
}

// giveUp drops a batch that is failing, and sees what its job does without.
func (l *Ledger) giveUp(b *batch) {
	k, from, to := b.work, b.from, b.to
	merge := b.kind == LeaseMerge
	l.drop(b)
	if !merge {
		l.reopen(b.run, k, from, to)
	}
	l.moveOn(b.run)
}

// needs says whether a batch reads an entry's output.
func (b *batch) needs(e *entry) bool {
	if b.kind == LeaseMerge {
		return e.merge == b
	}
	return e.job == b.run.job && e.stage == b.inputStage()
}

// doubt notes that a worker did not get an output, and says whether it counts
// as lost by that.
func (l *Ledger) doubt(e *entry, w *worker, gone bool) bool {
	if gone || l.cfg.Bug.has(BugHastyLost) {
		return true
	}
	e.doubts = append(e.doubts, w.id)
	return len(e.doubts) >= doubtsByOne || slices.ContainsFunc(e.doubts, func(id WorkerID) bool { return id != w.id })
}
