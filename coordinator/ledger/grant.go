package ledger

import "slices"

// served is what came of looking for a batch for a worker.
type served uint8

const (
	nothing served = iota // there is none for any worker of its class
	unfit                 // there may be one for another worker of its class
	another               // another worker was granted it: look again
	granted
)

// match brings hungry workers and waiting batches together.
func (l *Ledger) match() {
	for l.looking || len(l.offers) > 0 {
		if l.looking {
			l.looking = false
			l.feed()
		}
		offers := l.offers
		l.offers = nil
		for _, w := range offers {
			w.offered = false
			l.feedOne(w)
		}
		if l.offers == nil {
			l.offers = offers[:0]
		}
	}
}

// feed serves all workers, those first that need it most, whatever their class
// is, until nothing is left for them.
func (l *Ledger) feed() {
	for _, c := range l.classes {
		c.dry = false
	}
	for h := range hungers {
		for _, c := range l.classes {
			if !c.dry {
				l.feedClass(c, h)
			}
		}
	}
}

// feedClass serves the workers of a class that need it as much as is said, each
// taking its turn, until nothing is left for them.
func (l *Ledger) feedClass(c *class, h hunger) {
	for n := c.hungry[h].head; n != nil; {
		next := n.next
		switch l.serve(n.val) {
		case nothing:
			c.dry = true
			return
		case granted:
			next = c.hungry[h].head
		}
		if next != nil && next.in != &c.hungry[h] { // it was served instead
			next = c.hungry[h].head
		}
		n = next
	}
}

// feedOne serves one worker as long as it is hungry.
func (l *Ledger) feedOne(w *worker) {
	for w.hungry.in != nil {
		if l.serve(w) != granted {
			if w.leases.n < w.slots {
				l.steal(w)
			}
			return
		}
	}
}

// serve looks for a batch for a hungry worker.
func (l *Ledger) serve(w *worker) served {
	switch {
	case w.reserved != nil && w.leases.n > 0:
		return unfit // it must come to rest
	case w.reserved != nil:
		return l.serveReserved(w)
	}
	if w.others >= l.cfg.MergeEvery && l.grantMerge(w) {
		return granted
	}
	if l.keepPromise(w) {
		return granted
	}
	best, kept := nothing, false // kept: its next slot is a bounded job's
	for _, r := range l.runnable {
		k := r.current()
		if !l.allows(r, k, w.class) {
			continue
		}
		kept = kept || l.nextIs(w, r, k)
		if l.capped(r) {
			continue
		}
		if kept {
			return unfit
		}
		switch l.serveFrom(r, k, w) {
		case granted:
			return granted
		case another:
			return l.serve(w)
		case unfit:
			best = unfit
		}
		if w.reserved != nil {
			return unfit
		}
	}
	if !kept && l.grantMerge(w) {
		return granted
	}
	return best
}

// serveReserved gives a worker that has come to rest the lone batch that it
// was kept free for.
func (l *Ledger) serveReserved(w *worker) served {
	r := w.reserved
	w.reserved, r.reserved = nil, nil
	if k := r.current(); r.listed && !l.capped(r) && l.allows(r, k, w.class) {
		if _, from, to := l.pick(r, k, w); k.lone(from, to) && l.serveFrom(r, k, w) == granted {
			return granted
		}
	}
	return l.serve(w)
}

// serveFrom grants the next batch of a job to a worker.
func (l *Ledger) serveFrom(r *run, k *work, w *worker) served {
	b, from, to := l.pick(r, k, w)
	if from == to {
		return unfit
	}
	if k.index > 0 {
		if best := l.nearer(r, k, w); best != nil && l.serveFrom(r, k, best) == granted {
			return another
		}
	}
	bytes := l.bytesOf(r, k, from, to)
	alone := k.lone(from, to) && bytes >= l.cfg.AloneBytes
	if w.leases.n > 0 {
		if alone {
			l.reserve(r, w)
			return unfit
		}
		if bytes > w.room {
			r.refusedRoom = max(r.refusedRoom, w.room+1)
			return unfit
		}
	}
	if b == nil {
		k.pending.remove(from, to)
		b = l.newBatch(r, k, leaseKind(k), from, l.holed(k, from, to))
	} else {
		k.ready.remove(b.from)
	}
	if r.reserved != nil {
		l.unreserve(r)
		l.looking = true // others may have been turned away for its sake
	}
	b.alone = alone
	l.grant(b, w)
	return granted
}

// leaseKind returns what the leases of a stage ask for.
func leaseKind(k *work) LeaseKind {
	switch k.index {
	case planStage:
		return LeasePlan
	case commitStage:
		return LeaseCommit
	}
	return LeaseProcess
}

// lone says whether a range is all that its stage has.
func (k *work) lone(from, to Position) bool {
	return k.index >= 0 && from == 0 && to == k.stage.total
}

// reserve keeps a worker free of other leases, so that a lone batch gets it.
func (l *Ledger) reserve(r *run, w *worker) {
	if r.reserved == nil {
		r.reserved, w.reserved = w, r
		l.seat(w)
	}
}

// unreserve lets the worker go that was kept free for a job.
func (l *Ledger) unreserve(r *run) {
	w := r.reserved
	w.reserved, r.reserved = nil, nil
	l.offer(w)
}

// pick returns the earliest range that a job has for a worker: of a batch that
// was leased before, or to be cut. It is empty when there is none for it.
func (l *Ledger) pick(r *run, k *work, w *worker) (*batch, Position, Position) {
	if l.barred(k, w) {
		return nil, 0, 0
	}
	last := r.lastStart(k)
	from, end, cut := k.pending.first()
	cut = cut && from <= last && r.cramped == 0
	for _, b := range k.ready.from(0) {
		if cut && b.from > from || b.from > last {
			break
		}
		if !l.avoids(b, w) {
			return b, b.from, b.to
		}
	}
	if cut {
		return nil, from, l.cutEnd(r, k, w, from, end)
	}
	return nil, 0, 0
}

// grant leases a batch to a worker.
func (l *Ledger) grant(b *batch, w *worker) {
	r := b.run
	if l.passed { // that one may be busy now
		l.passed, l.looking = false, true
	}
	if b.renumber {
		l.rename(b, r.lastBatch+1)
		b.renumber = false
	}
	b.attempt++
	b.fence = Fence{r.job.id, b.id, b.attempt, l.term}
	r.band.clock = max(r.band.clock, r.settled())
	l.hand(b, w)
	w.credit--
	w.room -= b.bytes
	if b.kind == LeaseMerge {
		w.others = 0
	} else if w.merges.n > 0 {
		w.others++
	}
	w.hungry.leave() // it goes behind those that need a batch as much
	l.seat(w)
	l.relist(r)
	l.emit(Grant{w.id, w.session, l.leaseOf(b)})
	l.change(r)
	l.askRefused(r)
}

// hand makes a worker the holder of a batch's lease.
func (l *Ledger) hand(b *batch, w *worker) {
	b.enter(batchLeased)
	b.worker, b.granted = w, l.now
	b.started, b.owed, b.undone, b.ran, b.asked, b.refund = false, false, false, 0, false, false
	w.leases.push(&b.place)
	w.alone = w.alone || b.alone
	l.lease(b, +1)
	b.cost = l.estimate(b)
	b.run.out += b.cost
	l.charge(b.run, b.cost)
	if !w.timed {
		w.timed = true
		l.timers.push(timer{at: l.deadline(b), kind: dueSession, worker: w})
	}
}

// leaseOf describes a batch's lease for its worker.
func (l *Ledger) leaseOf(b *batch) *Lease {
	r := b.run
	x := &Lease{
		Fence: b.fence, Kind: b.kind, Stage: max(b.work.index, 0), From: b.from, To: b.to,
		Timeout: r.job.settings.BatchTimeout, Alone: b.alone, Bytes: b.bytes, MaySkip: r.maySkip(),
	}
	switch {
	case b.kind == LeaseMerge:
		x.Inputs = outputsOf(b.inputs)
		if l.cfg.Bug.has(BugMergeOrder) {
			slices.Reverse(x.Inputs)
		}
	case b.kind == LeaseCommit:
		x.Inputs = r.job.stages[r.job.last()].list()
	case b.kind == LeaseProcess && b.work.index == 0:
		x.Splits = r.job.layout.splits(b.from, b.to)
	case b.kind == LeaseProcess:
		x.Inputs = r.job.stages[b.work.index-1].list()
		if n := len(x.Inputs); l.cfg.Bug.has(BugPartialCollect) && n > 1 {
			x.Inputs = x.Inputs[:n-1]
		}
	}
	return x
}

// list returns the outputs of a stage, in source order.
func (g *stage) list() []Output {
	out := make([]Output, 0, g.outputs)
	for e := range g.order.all() {
		if e.out.ID != "" {
			out = append(out, e.out)
		}
	}
	return out
}

func outputsOf(run []*entry) []Output {
	out := make([]Output, 0, len(run))
	for _, e := range run {
		if e.out.ID != "" {
			out = append(out, e.out)
		}
	}
	return out
}

// maySkip returns how many records the job may still skip.
func (r *run) maySkip() uint64 {
	limit := r.job.settings.SkipLimit
	if done := uint64(r.skipped()); done < limit {
		return limit - done
	}
	return 0
}

// skipped returns how many records the job's winners have skipped.
func (r *run) skipped() int64 {
	var n int64
	for i := range r.job.stages {
		n += r.job.stages[i].sum.RecordsSkipped
	}
	return n
}

// steal asks a lease back that waits behind others, for a worker with nothing
// to do.
func (l *Ledger) steal(w *worker) {
	if w.stealing != nil {
		return
	}
	for victim := range w.class.over.all() {
		b := victim.leases.tail.val
		if b.started || b.asked || b.thief != nil || b.kind == LeaseMerge || b.alone || l.held(b.run) || l.barred(b.work, w) {
			continue
		}
		if ripe := b.granted.Add(l.cfg.StealAfter); ripe > l.now {
			if w.stealAt == 0 {
				w.stealAt = ripe
				l.timers.push(timer{at: ripe, kind: dueSteal, worker: w})
			}
			return
		}
		b.thief, w.stealing = w, b
		l.emit(Revoke{victim.id, victim.session, b.fence, true, "another worker is idle"})
		return
	}
}
