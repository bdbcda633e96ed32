package ledger

import (
	"cmp"
	"slices"
)

// A worker whose spool other jobs fill has no room for what a batch makes. That
// is nobody's fault and spends nothing: the batch goes to workers that were not
// asked yet. When there is none left, and results of ended jobs lie there, the
// job waits until some of them go: nothing new of it is cut meanwhile, what
// waits is tried again as soon as outputs of others are dropped on a worker that
// had no room, and now and then besides, since disks are freed by others, too.
// Where nothing but what runs is in the way, it is a failure like others, or two
// jobs could wait for each other for ever.

// noRoom takes an outcome that says that a worker has no room for the output.
func (l *Ledger) noRoom(w *worker, b *batch, o *Outcome) {
	if !slices.Contains(b.full, w.id) {
		b.full = append(b.full, w.id)
	}
	if b.refused.in == nil {
		b.refused.val = b
		l.refused.push(&b.refused)
	}
	next := l.roomier(b)
	if next == nil && !l.keptBy(b.full) || l.cfg.Bug.has(BugSpendRoom) {
		b.owed = true
		w.failed++
		b.ran = o.Elapsed
		l.fail(b, OutcomeRetryable, o.Failure)
		return
	}
	l.emit(Ack{w.id, w.session, o.Fence})
	l.unlease(b, int64(o.Elapsed))
	if next == nil {
		l.cramp(b)
		return
	}
	if b.kind == LeaseMerge {
		b.worker = next // it fetches what others hold
	}
	l.ready(b)
}

// roomier returns a worker with little to do that can run a batch and has not
// said that it lacks room for it, or anything else, nil when there is none.
func (l *Ledger) roomier(b *batch) *worker {
	not := b.unsuited(b.knownFailure())
	if !l.elsewhere(b.run, b.work, not) {
		return nil
	}
	var best *worker
	for _, w := range l.workers { // in any order: the least is the same
		if w.able() && !slices.Contains(not, w.id) && l.allows(b.run, b.work, w.class) && b.work.bar(w) == nil && (best == nil || w.busierThan(best) < 0) {
			best = w
		}
	}
	return best
}

// keptBy says whether an attached one of some workers holds something of a
// result whose job has ended: it will be removed.
func (l *Ledger) keptBy(names []WorkerID) bool {
	for _, id := range names {
		w, held := l.workers[id], l.state.holders[id]
		if w == nil || !w.attached || held == nil {
			continue
		}
		for e := range held.all() {
			if e.rests() {
				return true
			}
		}
	}
	return false
}

// rests says whether an entry's output lies in a spool though its job has ended.
func (e *entry) rests() bool {
	return e.job.state.Over() && e.out.ID != "" && e.out.Kind != OutputFile && !e.absent && !e.losing
}

// cramp has a batch wait for room, and its job with it.
func (l *Ledger) cramp(b *batch) {
	if !b.cramped {
		b.cramped = true
		b.run.cramped++
	}
	b.cramps++
	l.backOff(b, b.cramps)
	l.relist(b.run)
}

// relieve notes that room is not what a batch waits for any more.
func (l *Ledger) relieve(b *batch) {
	b.full, b.cramps = nil, 0
	b.refused.leave()
	if !b.cramped {
		return
	}
	b.cramped = false
	if b.run.cramped--; b.run.cramped == 0 {
		l.touch(b.run)
	}
}

// roomMade tries what waits for room on the workers on which a fact has dropped
// outputs.
func (l *Ledger) roomMade() {
	if l.refused.n == 0 || l.cfg.Bug.has(BugRoomSleeps) {
		return
	}
	seen := map[WorkerID]bool{}
	for _, out := range l.state.dropped {
		if w := l.workers[out.Worker]; w != nil && !seen[out.Worker] && out.Kind != OutputFile {
			l.roomOn(w)
			seen[out.Worker] = true
		}
	}
}

// roomOn tries what waits for room on a worker that may have some.
func (l *Ledger) roomOn(w *worker) {
	if !w.able() {
		return
	}
	for b := range l.refused.all() {
		if !l.allows(b.run, b.work, w.class) {
			continue
		}
		b.full = slices.DeleteFunc(b.full, func(id WorkerID) bool { return id == w.id })
		b.cramps = 0 // it may take a moment to make room
		switch {
		case b.phase == batchReady:
			l.looking = true
		case b.phase == batchBacksOff && b.cramped:
			if b.kind == LeaseMerge {
				b.worker = w
			}
			l.ready(b)
		}
	}
}

// maxKeepers is how many users are named whose results are in the way.
const maxKeepers = 5

// explainRoom returns what fills the spools for whose room a job waits: the
// results of ended jobs, by user, the largest first.
func (l *Ledger) explainRoom(r *run, k *work, at Time) []Wait {
	if r.cramped == 0 {
		return nil
	}
	var kept []Wait
	for _, j := range l.state.order {
		if !j.state.Over() || j.released {
			continue
		}
		bytes := l.restsOn(j, r, k)
		if bytes == 0 {
			continue
		}
		i := slices.IndexFunc(kept, func(x Wait) bool { return x.Name == j.settings.User })
		if i < 0 {
			i = len(kept)
			kept = append(kept, Wait{Kind: WaitKept, Name: j.settings.User, Until: never})
		}
		x := &kept[i]
		x.N, x.Bytes, x.Until = x.N+1, x.Bytes+bytes, min(x.Until, j.expires(l))
		x.For = max(x.Until.Sub(at), 0)
	}
	slices.SortStableFunc(kept, func(a, b Wait) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return append([]Wait{{Kind: WaitRoom, N: r.cramped}}, kept[:min(len(kept), maxKeepers)]...)
}

// restsOn is how many bytes of an ended job lie with workers that could run a
// stage of another one.
func (l *Ledger) restsOn(j *job, r *run, k *work) (bytes int64) {
	for i := range j.stages {
		for e := range j.stages[i].order.all() {
			if w := l.workers[e.out.Worker]; e.rests() && w != nil && w.attached && l.allows(r, k, w.class) {
				bytes += e.out.Bytes
			}
		}
	}
	return bytes
}
