package ledger

import (
	"fmt"
	"maps"
	"slices"
)

// CheckSink asks a worker whether it sees the output folder of a job. What is
// lost of it is asked again when the worker attaches.
type CheckSink struct {
	Worker  WorkerID
	Session SessionID
	Job     JobID
}

func (CheckSink) effect() {}

// SinkView is what a worker sees of an output folder.
type SinkView uint8

// The views, with the numbers of the contract.
const (
	SinkUnknown  SinkView = iota // it could not say
	SinkSeen                     // the folder that was planned
	SinkUnseen                   // another folder, or none
	SinkUnserved                 // it serves no such folder
)

// SinkChecked answers a [CheckSink].
type SinkChecked struct {
	Worker  WorkerID
	Session SessionID
	Job     JobID
	View    SinkView
	// Reason is why it does not see the folder, for people.
	Reason string
}

func (SinkChecked) event() {}

// writes returns the stage that writes files, nil when none does or it is not
// to run now.
func (r *run) writes() *work {
	if r.job.state != StateRunning || r.closing || len(r.stages) == 0 {
		return nil
	}
	if k := &r.stages[len(r.stages)-1]; k.plan.Output == OutputFile {
		return k
	}
	return nil
}

// checkSink asks all workers whether they see the output folder of a job that
// was planned by one of them. That nothing is written before they have answered
// is so for a short while only.
func (l *Ledger) checkSink(r *run, by *worker) {
	k := r.writes()
	if k == nil {
		return
	}
	if by != nil {
		k.saw(by)
	}
	for _, w := range l.present() {
		l.askSink(r, w, w.able() && l.allows(r, k, w.class))
	}
	if len(k.bars) > 0 {
		r.sinkBy, r.planner = l.now.Add(l.cfg.SinkWait), by
		l.timers.push(timer{at: r.sinkBy, kind: dueJob, run: r})
		l.checking = append(l.checking, r)
		l.settleSink(r)
	}
}

// present returns the attached workers, by name.
func (l *Ledger) present() (all []*worker) {
	for _, id := range slices.Sorted(maps.Keys(l.workers)) {
		if w := l.workers[id]; w.attached {
			all = append(all, w)
		}
	}
	return all
}

// askSinks asks all workers about the folder of a job that is to write again:
// those that have not said what they see.
func (l *Ledger) askSinks(r *run) {
	for _, w := range l.present() {
		l.askSink(r, w, false)
	}
}

// saw notes that a worker sees the output folder.
func (k *work) saw(w *worker) {
	if k.sees == nil {
		k.sees = map[WorkerID]uint64{}
	}
	k.sees[w.id] = w.incarnation
}

// checkSinks asks a worker that attaches about the folders of all jobs that
// write, unless it has said what it sees.
func (l *Ledger) checkSinks(w *worker) {
	for _, j := range l.state.order {
		if r := l.runs[j.id]; r != nil {
			l.askSink(r, w, false)
		}
	}
	l.settleSinks()
}

func (l *Ledger) askSink(r *run, w *worker, atStart bool) {
	k := r.writes()
	if k == nil || !l.allows(r, k, w.class) {
		return
	}
	if was, ok := k.sees[w.id]; ok && was == w.incarnation {
		return
	}
	b := k.bar(w)
	if b != nil && !b.asked {
		return
	}
	if b == nil {
		l.setBar(k, w, &bar{asked: true, at: l.now, atStart: atStart})
	}
	l.emit(CheckSink{w.id, w.session, r.job.id})
}

// sinkChecked takes what a worker says of an output folder.
func (l *Ledger) sinkChecked(e SinkChecked) {
	w, r := l.of(e.Worker, e.Session), l.runs[e.Job]
	if w == nil {
		return
	}
	l.heard(w)
	if r == nil || r.writes() == nil {
		return
	}
	k := r.writes()
	b := k.bar(w)
	if b == nil || !b.asked {
		return
	}
	if e.View == SinkSeen {
		k.saw(w)
		l.setBar(k, w, nil)
	} else {
		l.setBar(k, w, &bar{reason: e.Reason, unseen: e.View == SinkUnseen, atStart: b.atStart})
	}
	l.change(r)
	l.settleSink(r)
	l.touch(r)
}

// settleSinks looks for which jobs all workers have answered that can.
func (l *Ledger) settleSinks() {
	for _, r := range slices.Clone(l.checking) {
		l.settleSink(r)
	}
}

// settleSink lets a job write when all have answered that were there when it was
// planned, or had their time. It fails when one of them has another folder:
// what that wrote nobody would find, and that it is left out nobody would see.
func (l *Ledger) settleSink(r *run) {
	if r.sinkBy == 0 {
		return
	}
	k := r.writes()
	if k != nil && l.runs[r.job.id] == r && l.now < r.sinkBy && l.unanswered(k) {
		return
	}
	r.sinkBy = 0
	l.checking = slices.DeleteFunc(l.checking, func(x *run) bool { return x == r })
	if k == nil || l.runs[r.job.id] != r {
		return
	}
	if reason := l.otherFolder(r, k); reason != "" && !l.cfg.Bug.has(BugLaxMarker) {
		l.close(r, &JobClosed{State: StateFailed, Class: OutcomeUnable, Reason: reason})
		return
	}
	l.touch(r)
}

// unanswered says whether a worker that was there when the job was planned has
// not said what it sees.
func (l *Ledger) unanswered(k *work) bool {
	for id, b := range k.bars { // in any order: it is a question of yes or no
		if w := l.workers[id]; b.asked && b.atStart && w != nil && w.attached && k.bar(w) == b {
			return true
		}
	}
	return false
}

// otherFolder says which of the workers that were there when the job was planned
// have another output folder; empty when none has. Who is cordoned, or has gone,
// does not count.
func (l *Ledger) otherFolder(r *run, k *work) string {
	var names []WorkerID
	for id, b := range k.bars { // sorted below
		if w := l.workers[id]; b.atStart && b.unseen && w != nil && w.attached && !w.cordoned && k.bar(w) == b {
			names = append(names, id)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	do := "does"
	if len(names) > 1 {
		do = "do"
	}
	by := "the worker that planned the job"
	if r.planner != nil {
		by = string(r.planner.id)
	}
	return fmt.Sprintf("the output folder is not the same on all workers: %s %s not see what %s left in it; "+
		"mount it there, or keep the job from there with --label, or cordon what lacks it; %s says: %s", listed(names), do, by, names[0], k.bars[names[0]].reason)
}
