package ledger

// mergeable says whether outputs of a stage are merged at all: those that are
// collected, or wait for the client.
func (r *run) mergeable(k *work) bool {
	return k.plan != nil && k.plan.Mergeable && k.plan.Output != OutputFile
}

// begun says whether the one batch of a collect stage is leased or done.
func (k *work) begun() bool { return k.pending.empty() && k.ready.len() == 0 }

// Merges are made where the outputs lie: of neighbours that one worker holds, as
// long as that keeps them few. Outputs of several workers are merged together,
// by the one that holds most of them, when a collect would have to fetch too
// many otherwise, or when the ledger would have to remember too many.
const (
	mixCollected = 8  // times MergeFanIn outputs of a stage that is collected
	mixResult    = 64 // the same of a result, which is only read
)

// mixes says whether outputs of several workers are merged together while a
// stage runs.
func (l *Ledger) mixes(r *run, k *work) bool {
	many := mixCollected
	if k.index == r.job.last() {
		many = mixResult
	}
	return k.stage.outputs > many*l.cfg.MergeFanIn
}

// considerMerge looks whether a new output completes a run of neighbours that
// are enough to be merged. A run holds nothing that was merged more often than
// the new one, so that merges form a tree.
func (l *Ledger) considerMerge(r *run, k *work, e *entry) {
	if !r.mergeable(k) || k.stage.outputs <= l.cfg.MergeFanIn || r.job.state != StateRunning {
		return
	}
	if k.index < r.job.last() && r.stages[k.index+1].begun() {
		return
	}
	mixed := l.mixes(r, k)
	had := r.had(k)
	joins := func(x *entry) bool {
		return x.out.ID == "" || x.from >= had && x.level <= e.level && l.free(x, e.out.Worker, mixed) && x.out.Bytes < l.cfg.MergeInputBytes
	}
	if !joins(e) {
		return
	}
	first, n := e, 1
	for n < l.cfg.MergeFanIn && first.place.prev != nil {
		x := first.place.prev.val
		if x.to != first.from || !joins(x) {
			break
		}
		if first = x; x.out.ID != "" {
			n++
		}
	}
	last := e
	for n < l.cfg.MergeFanIn && last.place.next != nil {
		x := last.place.next.val
		if x.from != last.to || !joins(x) {
			break
		}
		if last = x; x.out.ID != "" {
			n++
		}
	}
	if n >= l.cfg.MergeFanIn {
		l.merge(r, k, first, last)
	}
}

// had is up to where a client has the outputs of a stage already: what lies
// before is not merged with what it still wants.
func (r *run) had(k *work) Position {
	if p := r.reading; p != nil && k.index == r.job.last() {
		return p.delivered
	}
	return 0
}

// free says whether an output is a worker's, or it does not matter whose, and
// nobody has plans with it.
func (l *Ledger) free(e *entry, w WorkerID, mixed bool) bool {
	return !e.busy() && (mixed || e.out.Worker == w)
}

// busy says whether somebody has plans with an output.
func (e *entry) busy() bool {
	return e.merge != nil || e.told || e.reading || e.losing
}

// merge makes a batch that merges neighbouring entries, for the worker that
// holds most of them.
func (l *Ledger) merge(r *run, k *work, first, last *entry) {
	w := l.nearest(r, k, first, last)
	if w == nil || r.closing {
		return
	}
	b := l.mergeFor(r, k, first, last, w)
	l.relist(r) // the collect must wait
	l.enqueueMerge(b)
}

// mergeFor makes a merge batch for a worker. It begins and ends with an output.
func (l *Ledger) mergeFor(r *run, k *work, first, last *entry, w *worker) *batch {
	for first.out.ID == "" {
		first = first.place.next.val
	}
	for last.out.ID == "" {
		last = last.place.prev.val
	}
	r.lastBatch++
	b := &batch{run: r, work: k, id: r.lastBatch, kind: LeaseMerge, worker: w}
	b.take(first, last)
	return l.addBatch(b)
}

// nearest returns the worker that holds the most bytes of outputs from one entry
// to another, of those that may be given leases of a stage; nil when there is
// none.
func (l *Ledger) nearest(r *run, k *work, first, last *entry) *worker {
	var best *worker
	var most int64
	bytes := map[WorkerID]int64{}
	for e := first; ; e = e.place.next.val {
		if id := e.out.Worker; e.out.ID != "" {
			bytes[id] += e.out.Bytes + 1
			if w := l.workers[id]; bytes[id] > most && w != nil && w.able() && l.allows(r, k, w.class) {
				best, most = w, bytes[id]
			}
		}
		if e == last {
			return best
		}
	}
}

// take pins the inputs of a merge.
func (b *batch) take(first, last *entry) {
	b.from, b.to = first.from, last.to
	for e := first; ; e = e.place.next.val {
		e.merge = b
		b.inputs = append(b.inputs, e)
		if e == last {
			return
		}
	}
}

// enqueueMerge has a merge wait for its worker.
func (l *Ledger) enqueueMerge(b *batch) {
	b.phase = batchReady
	w := b.worker
	if !w.able() || b.run.closing {
		l.drop(b)
		l.moveOn(b.run)
		return
	}
	w.merges.push(&b.place)
	l.offer(w)
}

// unmerge gives up a merge that has not been granted.
func (l *Ledger) unmerge(b *batch) {
	r := b.run
	l.drop(b)
	l.moveOn(r)
}

// grantMerge grants the merge of a worker that waits longest.
func (l *Ledger) grantMerge(w *worker) bool {
	for b := range w.merges.all() {
		if !l.mayMerge(b.run) {
			continue
		}
		l.grant(b, w)
		return true
	}
	return false
}

// unblock offers the merges of a job again that it might not have granted.
func (l *Ledger) unblock(r *run) {
	if !r.blocked || l.mergesHeld(r) || r.user.full(l.cfg.Bug) {
		return
	}
	r.blocked = false
	for b := range r.all.all() {
		if b.kind == LeaseMerge && b.phase == batchReady {
			l.offer(b.worker)
		}
	}
}

// offerMerges makes the merges that a worker's outputs need, when it comes
// back.
func (l *Ledger) offerMerges(w *worker) {
	held := l.state.holders[w.id]
	if held == nil {
		return
	}
	for e := range held.all() {
		if r := l.runs[e.job.id]; r != nil && e.stage >= 0 && !e.busy() && r.job.state == StateRunning {
			l.considerMerge(r, &r.stages[e.stage], e)
		}
	}
}

// gather merges the outputs of a stage that is complete, when they are too
// many for the collect that follows.
func (l *Ledger) gather(r *run) {
	k := r.current()
	if k == nil || k.index <= 0 || k.begun() {
		return
	}
	before := &r.stages[k.index-1]
	if !r.mergeable(before) || r.merging > 0 || before.stage.outputs <= l.cfg.MergeFanIn {
		return
	}
	l.mergeRuns(r, before, false)
	if r.merging == 0 {
		l.mergeRuns(r, before, true)
	}
}

// mergeRuns merges every run of neighbours that one worker holds, or that
// several hold. Short runs are not worth a lease, and large outputs of others
// not the way.
func (l *Ledger) mergeRuns(r *run, k *work, mixed bool) {
	least := max(l.cfg.MergeFanIn/8, 2)
	var first, last *entry
	n := 0
	for e := range k.stage.order.all() {
		switch {
		case e.out.ID == "":
			continue
		case n > 0 && n < l.cfg.MergeFanIn && l.free(e, first.out.Worker, mixed) && !(mixed && e.out.Bytes >= l.cfg.MergeInputBytes):
			last, n = e, n+1
			continue
		case n >= least:
			l.merge(r, k, first, last)
		}
		first, last, n = e, e, 1
		if e.busy() || mixed && e.out.Bytes >= l.cfg.MergeInputBytes {
			n = 0
		}
	}
	if n >= least {
		l.merge(r, k, first, last)
	}
}

// mergeFailed tries a merge again, or gives it or its job up. Nothing of it is
// durable, for the outputs are still there.
func (l *Ledger) mergeFailed(b *batch, class OutcomeClass, failure []byte) {
	r := b.run
	l.answerOutcome(b, true)
	b.spent++
	switch {
	case class == OutcomeInputGone: // what it holds itself is not there
		for _, e := range b.inputs {
			if e.out.ID != "" && e.out.Worker == b.worker.id {
				l.lose(e)
			}
		}
		l.drop(b)
		l.moveOn(r)
	case b.moves && (class == OutcomeFatal || b.spent >= r.maxAttempts()):
		l.drop(b) // it was only to be moved
		l.moveOn(r)
	case class == OutcomeFatal || b.spent >= r.maxAttempts():
		l.close(r, &JobClosed{State: StateFailed, Class: class, Reason: "merging outputs failed", Failure: failure})
		l.drop(b)
	case class == OutcomeExpired:
		l.drop(b)
		l.moveOn(r)
	default:
		l.backOff(b, b.spent)
	}
}

// adoptMerge takes up a merge lease that a worker holds, if its inputs are the
// ones of now.
func (l *Ledger) adoptMerge(r *run, k *work, w *worker, x *Lease) *batch {
	run := k.stage.tiles(x.From, x.To)
	ids := make([]OutputID, len(x.Inputs))
	for i := range ids {
		ids[i] = x.Inputs[i].ID
	}
	if r.batches[x.Fence.Batch] != nil || !sameOutputs(run, ids) {
		return nil
	}
	for _, e := range run {
		if e.out.ID != "" && e.busy() {
			return nil
		}
	}
	b := &batch{run: r, work: k, id: x.Fence.Batch, kind: LeaseMerge, worker: w, attempt: x.Fence.Attempt, fence: x.Fence, renumber: true}
	b.take(run[0], run[len(run)-1])
	l.addBatch(b)
	r.lastBatch = max(r.lastBatch, b.id)
	l.hand(b, w)
	l.seat(w)
	l.relist(r)
	return b
}

// followMerged follows the commit of a merge.
func (l *Ledger) followMerged(f *OutputsMerged, took bool) {
	r := l.runs[f.Fence.Job]
	if r == nil {
		return
	}
	lost := false
	if b := r.reported(f.Fence, batchReported); b != nil {
		lost = b.undone
		l.answerOutcome(b, took)
		l.drop(b)
	} else if took {
		for b := range r.all.all() {
			if b.kind == LeaseMerge && b.work.index == f.Stage && b.phase != batchOver && !b.intact() {
				l.dissolve(b, "its inputs were merged already")
			}
		}
	}
	if took {
		l.followOutput(r, r.work(f.Stage), f.Output, lost)
	}
	l.moveOn(r)
}
