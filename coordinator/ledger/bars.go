package ledger

import (
	"fmt"
	"slices"
	"strings"
)

// A worker may be able to run nothing of a stage: it lacks a program, or it has
// another output folder than the one that was planned. It says so, and gets
// nothing more of the stage until its process was started again. That spends
// nothing, and is no fault. The job fails when nobody is left.
//
// Of the stage that writes files each worker is asked beforehand whether it sees
// the folder, and gets nothing of it before it has said so.

// bar is why a worker gets nothing of a stage.
type bar struct {
	incarnation uint64 // of the worker's process
	reason      string // why it can't, once it has said so
	asked       bool   // it has not said what it sees of the output folder
	at          Time   // when it was asked first
	atStart     bool   // it was there when the job was planned
	unseen      bool   // its output folder is another one
}

// bar returns why a worker gets nothing of a stage, nil when nothing is known
// against it.
func (k *work) bar(w *worker) *bar {
	if b := k.bars[w.id]; b != nil && b.incarnation == w.incarnation {
		return b
	}
	return nil
}

// setBar notes something against a worker, or takes it back when that is nil.
func (l *Ledger) setBar(k *work, w *worker, b *bar) {
	l.fleet++ // there are more slots for the stage, or fewer
	if b == nil {
		delete(k.bars, w.id)
		return
	}
	if k.bars == nil {
		k.bars = map[WorkerID]*bar{}
	}
	b.incarnation = w.incarnation
	k.bars[w.id] = b
}

// barred says whether a worker gets nothing of a stage. Who can't run it is asked
// once more when nobody is left who may.
func (l *Ledger) barred(k *work, w *worker) bool {
	b := k.bar(w)
	if b == nil || l.cfg.Bug.has(BugForgetBar) && !b.asked || l.cfg.Bug.has(BugBlindWriter) && b.asked {
		return false
	}
	return b.asked || l.hopeful(k)
}

// hopeful says whether somebody may be able to run a stage, now or soon.
func (l *Ledger) hopeful(k *work) bool {
	if k.hopeAt != l.steps { // it is asked for each worker that is barred
		k.hopeAt = l.steps
		k.hope = l.hopes(k)
	}
	return k.hope
}

func (l *Ledger) hopes(k *work) bool {
	if l.elsewhere(k.run, k, nil) {
		return true
	}
	_, until := l.expected(k, nil)
	until = max(until, l.gathered)
	if until > l.now && k.hopeUntil != until {
		k.hopeUntil = until
		l.timers.push(timer{at: until, kind: dueJob, run: k.run})
	}
	return until > l.now
}

// expected returns the workers that may run a stage soon, without some, and
// until when that may be.
func (l *Ledger) expected(k *work, not []WorkerID) (some []*worker, until Time) {
	for id, w := range l.workers { // sorted below
		at := l.expectedUntil(k, w)
		if at <= l.now || slices.Contains(not, id) || !l.allows(k.run, k, w.class) {
			continue
		}
		some, until = append(some, w), max(until, at)
	}
	slices.SortFunc(some, func(x, y *worker) int { return strings.Compare(string(x.id), string(y.id)) })
	return some, until
}

// expectedUntil is until when a worker that gets nothing of a stage now may be
// given something soon; 0 when it is not expected to be.
func (l *Ledger) expectedUntil(k *work, w *worker) Time {
	b := k.bar(w)
	switch {
	case b != nil && b.asked && w.attached && !w.draining && !w.cordoned:
		return b.at.Add(l.cfg.SinkWait)
	case b != nil && !b.asked || !l.returning(w):
		return 0
	case w.attached:
		return l.patience(w)
	}
	return w.goneAt
}

// cannot takes an outcome that says that a worker can run nothing of a stage.
func (l *Ledger) cannot(w *worker, b *batch, o *Outcome) {
	r, k := b.run, b.work
	l.emit(Ack{w.id, w.session, o.Fence})
	l.relieve(b)
	l.unlease(b, int64(o.Elapsed))
	l.setBar(k, w, &bar{reason: o.Reason})
	switch {
	case b.ahead():
		b.misses++ // it counts when everything before it is done
		l.backOff(b, b.misses)
	case l.hopes(k):
		l.ready(b)
	default:
		b.enter(batchFailing)
		f := &JobClosed{State: StateFailed, Class: OutcomeUnable, Reason: l.nobody(k)}
		if l.cfg.LoneWorker {
			f.Reason, f.Failure = FailedForGood, o.Failure
		}
		l.close(r, f)
		l.giveUp(b)
	}
}

// nobody is why a job ends of which nobody can run a stage: the first reasons
// that workers have, with their names.
func (l *Ledger) nobody(k *work) string {
	var reasons []string // each once
	names := map[string][]WorkerID{}
	for _, x := range l.barsOf(k) {
		if names[x.Reason] == nil {
			reasons = append(reasons, x.Reason)
		}
		names[x.Reason] = append(names[x.Reason], x.Worker)
	}
	said := make([]string, 0, maxNamed+1)
	for _, reason := range reasons[:min(len(reasons), maxNamed)] {
		said = append(said, listed(names[reason])+": "+reason)
	}
	if more := len(reasons) - maxNamed; more > 0 {
		said = append(said, fmt.Sprintf("and %d reasons more", more))
	}
	return "no worker that may run it can: " + strings.Join(said, "; ")
}

// Barred is a worker that gets nothing of a job's stage, and why.
type Barred struct {
	Worker WorkerID
	Reason string
}

// unanswered is what is said of a worker that has not said whether it sees the
// output folder.
const unanswered = "it has not answered whether it sees the output folder"

// barsOf returns the attached workers that get nothing of a stage, by name.
func (l *Ledger) barsOf(k *work) (list []Barred) {
	for id, b := range k.bars { // sorted below
		w := l.workers[id]
		switch {
		case w == nil || !w.attached || k.bar(w) == nil:
		case b.asked:
			list = append(list, Barred{id, unanswered})
		default:
			list = append(list, Barred{id, b.reason})
		}
	}
	slices.SortFunc(list, func(x, y Barred) int { return strings.Compare(string(x.Worker), string(y.Worker)) })
	return list
}

// explainBars returns which workers get nothing of a stage.
func (l *Ledger) explainBars(k *work) (waits []Wait) {
	for _, x := range l.barsOf(k) {
		if k.bars[x.Worker].asked {
			continue // they are counted
		}
		waits = append(waits, Wait{Kind: WaitBarred, Name: string(x.Worker), Why: x.Reason})
	}
	return waits[:min(len(waits), maxNamed)]
}
