package ledger

import "time"

// batch is a range that was leased and is not done, and its lease.
type batch struct {
	run      *run
	work     *work
	id       BatchID
	kind     LeaseKind
	phase    batchPhase
	from, to Position
	bytes    int64 // what a lease of it spends of the worker's room

	attempt Attempt // the last that was granted
	// renumber: its next lease gets another batch number, since this one may
	// have been used for attempts that nobody here remembers.
	renumber bool
	retryAt  Time // when the back-off ends
	anybody  Time // from when on a worker that failed it may have it again
	lost     int  // how often it was lost with its worker, for nothing, in all

	unreached []WorkerID // workers that did not get its inputs lately
	misses    uint32     // how often that was
	awaits    []*worker  // were not asked for its input, and were expected back

	full    []WorkerID   // workers that had no room for its output lately
	cramps  uint32       // how often in a row nobody had
	cramped bool         // nobody had, and its job begins nothing new before it
	refused node[*batch] // in Ledger.refused

	// The rest is about the lease.
	fence   Fence
	worker  *worker // who has it, or who is to merge
	granted Time
	cost    int64         // what its job was charged for it, in nanoseconds
	ran     time.Duration // how long, as far as known when it has failed
	started bool          // the worker has said so
	alone   bool
	moves   bool    // a merge that only takes outputs over from a worker that leaves
	thief   *worker // for whom it was asked back
	asked   bool    // back, for a job that has none
	owed    bool    // its worker reported an outcome, and wants an answer
	refund  bool    // what its failure spends is to be given back
	counted bool    // its failure is proposed, and spends an attempt
	limbo   bool    // its input is lost; the commit of that will dissolve it
	undone  bool    // the output that was reported is lost already
	output  OutputID
	skipped int64
	spent   uint32   // attempts of a merge
	inputs  []*entry // of a merge

	place node[*batch] // in a list of its worker's
	every node[*batch] // in run.all
}

// batchPhase is where a batch is in its life.
type batchPhase uint8

const (
	batchReady    batchPhase = iota // waits for a worker
	batchBacksOff                   // waits for its time
	batchLeased                     // a worker has it
	batchReported                   // done, if the log agrees
	batchFailing                    // failed, if the log agrees
	batchOver                       // nothing any more
)

func (l *Ledger) newBatch(r *run, k *work, kind LeaseKind, from, to Position) *batch {
	r.lastBatch++
	return l.addBatch(&batch{run: r, work: k, id: r.lastBatch, kind: kind, from: from, to: to, bytes: l.bytesOf(r, k, from, to)})
}

func (l *Ledger) addBatch(b *batch) *batch {
	b.place.val, b.every.val = b, b
	b.run.batches[b.id] = b
	b.run.all.push(&b.every)
	if b.kind == LeaseMerge {
		b.run.merging++
	}
	return b
}

// drop ends a batch.
func (l *Ledger) drop(b *batch) {
	switch b.phase {
	case batchReady:
		if b.kind != LeaseMerge {
			b.work.ready.remove(b.from)
		}
	case batchLeased:
		l.unlease(b, 0)
	case batchReported:
		b.run.skipping -= b.skipped
	case batchFailing:
		b.uncount()
	}
	r := b.run
	b.enter(batchOver)
	l.relieve(b)
	r.leaveMerge(b)
	b.place.leave()
	b.every.leave()
	if r.batches[b.id] == b {
		delete(r.batches, b.id)
	}
}

// uncount takes a batch out of the failures that are proposed.
func (b *batch) uncount() {
	if b.counted {
		b.counted = false
		b.run.failing--
	}
}

// leaveMerge frees the inputs of a merge.
func (r *run) leaveMerge(b *batch) {
	if b.kind != LeaseMerge {
		return
	}
	r.merging--
	for _, e := range b.inputs {
		if e.merge == b {
			e.merge = nil
		}
	}
	b.inputs = nil
}

// leased returns the batch that a fence is a live lease of, nil otherwise.
func (l *Ledger) leased(f Fence) *batch {
	r := l.runs[f.Job]
	if r == nil {
		return nil
	}
	b := r.batches[f.Batch]
	if b == nil || b.phase != batchLeased {
		return nil
	}
	if b.fence != f && !l.cfg.Bug.has(BugStaleFence) {
		return nil
	}
	return b
}

// unlease takes a batch off its worker.
func (l *Ledger) unlease(b *batch, elapsed int64) {
	w, r := b.worker, b.run
	b.place.leave()
	l.lease(b, -1)
	if b.alone {
		elapsed *= int64(w.slots)
	}
	l.charge(r, elapsed-b.cost)
	r.out -= b.cost
	b.cost = 0
	if b.alone {
		w.alone, b.alone = false, false
	}
	if t := b.thief; t != nil && t.stealing == b {
		t.stealing = nil
		l.offer(t)
	}
	b.thief = nil
	if l.cfg.Bug.has(BugLoseCredit) && w.credit > 0 {
		w.credit--
	}
	l.offer(w)
	if int(r.job.settings.MaxConcurrency) == r.leases+1 {
		l.move(r, max(r.vtime, l.startOf(r)-int64(l.cfg.TargetLease))) // what its limit kept from it is not saved up
		l.touch(r)
		l.unblock(r)
	}
}

// release makes a batch ready for another worker; it has spent nothing.
func (l *Ledger) release(b *batch) {
	l.unlease(b, 0)
	l.ready(b)
}

// ready puts a batch among those that wait for a worker.
func (l *Ledger) ready(b *batch) {
	b.enter(batchReady)
	b.started, b.owed = false, false
	if b.kind == LeaseMerge {
		l.enqueueMerge(b)
		return
	}
	b.work.ready.put(b.from, b)
	if l.cfg.Bug.has(BugDoubleGrant) && b.attempt > 1 {
		b.work.pending.add(b.from, b.to)
	}
	l.touch(b.run)
}

// lost takes a lease back whose worker is known to have it no more. That is
// the machine's fault, unless it happens again and again.
func (l *Ledger) lost(b *batch) {
	if !l.thawing() {
		b.lost++
	}
	if b.lost > l.cfg.MaxLost {
		l.fail(b, OutcomeExpired, nil)
		return
	}
	l.release(b)
}

// dissolve gives a batch up: its range is nobody's again.
func (l *Ledger) dissolve(b *batch, reason string) {
	if b.phase == batchLeased && b.worker.attached {
		l.emit(Revoke{b.worker.id, b.worker.session, b.fence, false, reason})
	}
	l.refuseOwed(b, reason)
	l.drop(b)
	if b.kind != LeaseMerge {
		l.reopen(b.run, b.work, b.from, b.to)
	}
}

// reopen makes those positions of a range pending that are not done. What was
// tried before keeps its bounds.
func (l *Ledger) reopen(r *run, k *work, from, to Position) {
	k.pending.add(from, to)
	at := from
	if _, e, ok := k.stage.done.floor(from); ok {
		at = e.from
	}
	for _, e := range k.stage.done.from(at) {
		if e.from >= to {
			break
		}
		k.pending.remove(e.from, e.to)
	}
	l.touch(r)
}

// refuseOwed answers the worker that waits for an answer about a batch.
func (l *Ledger) refuseOwed(b *batch, reason string) {
	if b.owed && b.worker.attached {
		l.emit(Refuse{b.worker.id, b.worker.session, b.fence, reason})
	}
	b.owed = false
}

// bytesOf returns what a batch spends of a worker's room: what it reads.
func (l *Ledger) bytesOf(r *run, k *work, from, to Position) int64 {
	switch {
	case k.index == 0:
		return r.job.layout.sizeOf(from, to)
	case k.index > 0:
		return r.stages[k.index-1].stage.bytes
	}
	return 0
}
