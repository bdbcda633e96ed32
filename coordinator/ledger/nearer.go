package ledger

// nearer returns the worker that had better have a collect than another one: it
// holds the most of what that reads, has nothing to do, and no other job comes
// first for it. It is nil when there is none.
func (l *Ledger) nearer(r *run, k *work, w *worker) *worker {
	before := &r.job.stages[k.index-1].order
	if before.head == nil {
		return nil
	}
	if r.nearAt != l.steps { // it is asked for each hungry worker
		r.nearAt, r.near = l.steps, l.nearest(r, k, before.head.val, before.tail.val)
	}
	best := r.near
	if best == nil || best == w || best.hungerOf() != idle || best.reserved != nil || l.firstFor(best) != r {
		return nil
	}
	return best
}

// firstFor returns the job that a worker is to serve next.
func (l *Ledger) firstFor(w *worker) *run {
	for _, r := range l.runnable {
		if k := r.current(); !l.capped(r) && l.allows(r, k, w.class) {
			if _, from, to := l.pick(r, k, w); from < to {
				return r
			}
		}
	}
	return nil
}

// askRefused has those asked again who had no room for a batch of a job, when
// its next one may fit. That is looked at by the largest room of them, so that
// nobody is asked in vain after each grant.
func (l *Ledger) askRefused(r *run) {
	if r.refusedRoom == 0 || !r.listed {
		return
	}
	k := r.current()
	from, end, cut := k.pending.first()
	if k.ready.len() > 0 || cut && l.leastBytes(r, k, from, end) < r.refusedRoom {
		r.refusedRoom, l.looking = 0, true
	}
}

// leastBytes returns how few bytes the batch may have that is cut at the start
// of a pending interval, for whoever has little room.
func (l *Ledger) leastBytes(r *run, k *work, from, end Position) int64 {
	y := r.job.layout
	switch {
	case k.index != 0:
		return l.bytesOf(r, k, from, end)
	case y.pieces != nil:
		return y.sizeOf(from, min(y.next(from), end))
	}
	return y.sizeOf(from, y.late(from, end, 1, 1))
}
