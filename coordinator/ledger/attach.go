package ledger

import (
	"fmt"
	"slices"
	"time"
)

// workerAttached takes up a worker's session, with everything that it holds.
func (l *Ledger) workerAttached(e *WorkerAttached) {
	w, refused := l.admit(e)
	if refused != nil {
		l.emit(*refused)
		return
	}
	held := make(map[Fence]bool, len(e.Leases))
	a := Attached{Worker: w.id, Session: w.session, Term: l.term, Lease: l.cfg.Lease, Heartbeat: w.heartbeat}
	answer := len(l.effects)
	l.emit(a) // first, whatever the inventory brings about
	for i := range e.Leases {
		h := &e.Leases[i]
		if b := l.adopt(w, &h.Lease, h.Started); b != nil {
			held[h.Lease.Fence] = true
			b.started = b.started || h.Started
			a.Keep = append(a.Keep, h.Lease.Fence)
		} else {
			a.Drop = append(a.Drop, h.Lease.Fence)
		}
	}
	l.effects[answer] = a
	for i := range e.Outcomes {
		held[e.Outcomes[i].Fence] = true
		l.oldOutcome(w, &e.Outcomes[i])
	}
	for b := range w.leases.all() {
		if !held[b.fence] {
			l.lost(b) // the grant did not arrive, the worker has crashed, or the job is about to end
		}
	}
	l.changeWorker(w)
	l.checkSinks(w)
	l.audit(w, e)
	l.orderDrain(w)
	l.offerMerges(w)
	l.roomOn(w)
	l.weigh(w) // what gossip thinks of it is not forgotten
	l.looking = true
}

// admit opens a worker's session, or says why not.
func (l *Ledger) admit(e *WorkerAttached) (*worker, *RefuseSession) {
	w := l.workers[e.Worker]
	refuse := func(kind Refusal, reason string) (*worker, *RefuseSession) {
		return nil, &RefuseSession{e.Worker, e.Session, kind, reason}
	}
	switch {
	case w != nil && l.taken(w, e.Incarnation):
		return refuse(RefusedTaken, "another process of that name is alive")
	case w != nil && e.Session <= w.session:
		return refuse(RefusedStale, "the worker has a later session")
	case (w == nil || !w.attached) && l.attached >= l.cfg.MaxWorkers:
		return refuse(RefusedFull, fmt.Sprintf("%d workers are attached: there may not be more", l.attached))
	}
	if w == nil {
		w = l.addWorker(e.Worker)
	}
	if w.attached {
		l.detach(w)
	}
	if w.class != nil {
		w.hungry.leave()
		w.over.leave()
	}
	l.incarnate(w, e)
	w.labels, w.processors = slices.Clone(e.Labels), slices.Sorted(slices.Values(e.Processors))
	w.class = l.classOf(w)
	w.session, w.attached, w.draining, w.silent = e.Session, true, w.drainBy > 0, false
	w.letGo, w.evacuateAt = false, 0
	w.slots, w.memory, w.zone = min(max(e.Slots, 1), l.cfg.MaxSlots), e.Memory, e.Zone
	w.renewed, w.credit, w.room = l.now, 0, 0
	w.attachedAt, w.heardAt, w.heartbeat = l.now, l.now, l.heartbeatNow()
	l.join(w, +1)
	l.seat(w)
	return w, nil
}

// incarnate forgets what was true of a worker's process before this one, or of
// its absence.
func (l *Ledger) incarnate(w *worker, e *WorkerAttached) {
	w.refused, w.dead = false, false
	if l.cfg.Bug.has(BugForgetCordon) {
		w.cordoned = false
	}
	if w.class == nil || w.incarnation != e.Incarnation {
		w.incarnation, w.opinion = e.Incarnation, l.rumoured(e)
		w.paused, w.quarantine, w.drainBy = false, quarantine{}, 0
	}
}

// taken says whether the process of a worker's name lives on, and is not the
// one that attaches. One that leaves, or that a witness calls dead, gives way.
func (l *Ledger) taken(w *worker, incarnation uint64) bool {
	switch {
	case w.class == nil || w.incarnation == incarnation || l.cfg.Bug.has(BugTwoOfAName):
		return false
	case w.refused || w.opinion.deadly() || w.draining && !w.attached:
		return false
	}
	return l.now < w.hushed()
}

// heartbeatNow returns how often a worker that attaches now is to say that it
// lives: the more there are, the more seldom, so that all together say it no
// more than a thousand times a second; but three times in a lease.
func (l *Ledger) heartbeatNow() time.Duration {
	scaled := time.Duration(l.attached+1) * time.Millisecond
	return max(l.cfg.Heartbeat, min(scaled, l.cfg.Lease/3))
}

// oldOutcome takes an outcome of an inventory. It may belong to a lease that
// this leader does not know.
func (l *Ledger) oldOutcome(w *worker, o *Outcome) {
	if b := l.leased(o.Fence); b != nil && b.worker == w {
		l.finish(w, b, o)
		return
	}
	if o.Class == OutcomeReturned || o.Class == OutcomeCancelled || o.Class == OutcomeMissing {
		l.emit(Ack{w.id, w.session, o.Fence})
		return
	}
	if e := l.state.outputs[o.Output.ID]; e == nil && o.Granted != nil && l.fresh(w, o.Fence) {
		x := *o.Granted
		x.Fence = o.Fence
		done := o.Class == OutcomeDone || o.Class == OutcomeDoneWithSkips
		if b := l.adopt(w, &x, done); b != nil {
			l.finish(w, b, o)
			return
		}
	}
	l.unknown(w, o, false)
}

// fresh says whether an outcome is not one that waits for its commit.
func (l *Ledger) fresh(w *worker, f Fence) bool {
	r := l.runs[f.Job]
	if r == nil {
		return false
	}
	b := r.batches[f.Batch]
	return b == nil || b.fence != f || b.worker != w || !b.owed
}

// adopt makes a lease live that a worker holds, nil when it can't be: the
// range is done, or is another one's by now. A worker that has started wins
// over a duplicate that was begun meanwhile.
func (l *Ledger) adopt(w *worker, x *Lease, started bool) *batch {
	r := l.runs[x.Fence.Job]
	if r == nil || r.closing || x.Fence.Term > l.term {
		return nil
	}
	if b := r.batches[x.Fence.Batch]; b != nil && b.fence == x.Fence && b.phase == batchLeased {
		if b.worker != w {
			return nil
		}
		return b
	}
	k := r.workOf(x)
	if k == nil || !l.adoptable(r, k, x, started) {
		return nil
	}
	if x.Kind == LeaseMerge {
		return l.adoptMerge(r, k, w, x)
	}
	b := l.claim(r, k, x)
	b.attempt = max(b.attempt, x.Fence.Attempt)
	b.fence = x.Fence
	b.alone = x.Alone
	l.hand(b, w)
	l.seat(w)
	l.relist(r)
	l.change(r)
	return b
}

// workOf returns the work that a lease is of, if the job is at it.
func (r *run) workOf(x *Lease) *work {
	k := (*work)(nil)
	switch x.Kind {
	case LeasePlan:
		k = &r.planning
	case LeaseCommit:
		k = &r.commit
	case LeaseProcess, LeaseMerge:
		if x.Stage >= 0 && x.Stage < len(r.stages) {
			k = &r.stages[x.Stage]
		}
	}
	if k == nil || r.job.state != stateOf(k.index) || x.From < 0 || x.From >= x.To || x.To > k.stage.total {
		return nil
	}
	return k
}

// adoptable says whether nothing stands against a lease: nothing of it is
// done, its inputs are the ones of now, and whoever else has some of its range
// has to give way.
func (l *Ledger) adoptable(r *run, k *work, x *Lease, started bool) bool {
	if x.Kind == LeaseMerge {
		return !k.stage.closed && !r.collecting(k.index+1)
	}
	if k.stage.overlapsDone(x.From, x.To) || !l.sameInputs(r, k, x) || k.index != 0 && r.merging > 0 {
		return false
	}
	if _, f, ok := k.stage.failed.floor(x.To - 1); ok && f.to > x.From && (f.from != x.From || f.to != x.To) {
		return false
	}
	for b := range r.all.all() {
		if b.work != k || b.kind == LeaseMerge || b.from >= x.To || x.From >= b.to {
			continue
		}
		if b.phase == batchReported || b.phase == batchFailing || b.phase == batchLeased && !started {
			return false
		}
	}
	other := r.batches[x.Fence.Batch]
	return other == nil || other.work == k && other.from < x.To && x.From < other.to
}

// collecting says whether a lease of a collect stage is out or just done.
func (r *run) collecting(index int) bool {
	for b := range r.all.all() {
		if b.work.index == index && b.kind == LeaseProcess && (b.phase == batchLeased || b.phase == batchReported) {
			return true
		}
	}
	return false
}

// sameInputs says whether a lease that reads outputs reads the right ones.
func (l *Ledger) sameInputs(r *run, k *work, x *Lease) bool {
	from := 0
	switch {
	case k.index > 0:
		from = k.index - 1
	case k.index == commitStage:
		from = r.job.last()
	default:
		return true
	}
	g := r.job.stage(from)
	return g.complete() && slices.EqualFunc(g.list(), x.Inputs, func(a, b Output) bool { return a.ID == b.ID })
}

// claim returns a batch for exactly a lease's range, taking it from whoever
// has some of it.
func (l *Ledger) claim(r *run, k *work, x *Lease) *batch {
	var same *batch
	for b := range r.all.all() {
		if b.work != k || b.kind == LeaseMerge || b.from >= x.To || x.From >= b.to {
			continue
		}
		if b.from == x.From && b.to == x.To && (b.phase == batchReady || b.phase == batchBacksOff) && same == nil {
			same = b
			continue
		}
		l.dissolve(b, "the worker that had it before has come back")
	}
	k.pending.remove(x.From, x.To)
	if same == nil {
		same = l.addBatch(&batch{
			run: r, work: k, id: x.Fence.Batch, kind: x.Kind, from: x.From, to: x.To,
			bytes: l.bytesOf(r, k, x.From, x.To), renumber: true,
		})
		r.lastBatch = max(r.lastBatch, same.id)
		return same
	}
	if same.phase == batchReady {
		k.ready.remove(same.from)
	}
	l.rename(same, x.Fence.Batch)
	return same
}

// rename gives a batch the number by which its worker knows it.
func (l *Ledger) rename(b *batch, id BatchID) {
	if b.id == id {
		return
	}
	delete(b.run.batches, b.id)
	b.id, b.renumber = id, true
	b.run.batches[id] = b
	b.run.lastBatch = max(b.run.lastBatch, id)
}

// audit compares a worker's outputs with those that it should have: what it
// has for nothing it drops, what it lacks is lost.
func (l *Ledger) audit(w *worker, e *WorkerAttached) {
	has := make(map[OutputID]bool, len(e.Outputs)+len(e.Outcomes))
	for i := range e.Outcomes {
		has[e.Outcomes[i].Output.ID] = true
	}
	var useless []OutputID
	for _, id := range e.Outputs {
		if x := l.state.outputs[id]; !has[id] && (x == nil || x.out.Worker != w.id) && !w.hasReported(id) {
			useless = append(useless, id)
		}
		has[id] = true
	}
	if len(useless) > 0 {
		l.emit(DropOutputs{w.id, w.session, useless})
	}
	for b := range w.reported.all() {
		b.undone = b.undone || b.output != "" && !has[b.output]
	}
	if held := l.state.holders[w.id]; held != nil {
		for x := range held.all() {
			switch {
			case has[x.out.ID]:
				x.absent, x.doubts = false, nil
			case x.out.Kind != OutputFile:
				l.lose(x)
			}
		}
	}
}

// hasReported says whether an output belongs to an outcome that waits for its
// commit.
func (w *worker) hasReported(id OutputID) bool {
	for b := range w.reported.all() {
		if b.output == id {
			return true
		}
	}
	return false
}
