package ledger

// A client that reads its result slowly, or not yet, must not have the workers'
// disks fill up with it. So what is made of a result and not read is bounded:
// over the bound a job is crowded, and gets nothing more but the earliest range
// that is undone, once all before it has been read. That one is what the reader
// waits for, and there is always room for it: so nobody waits for ever whose
// result is read.
//
// Without a limit of the job's own the bound is for readers that are slow, and
// generous: what is under way comes on top of it, and a job whose result nobody
// reads yet runs to its end. A limit of the job's own is kept as well as can be
// foreseen: with what is under way, and before anybody has asked.

// unreadShare is the share of a job's own limit of the spool that may be taken
// by what is under way or not read: a merge needs as much room again, and
// batches are never quite alike.
const unreadShare = 0.4

// streams says whether the outputs of a stage go to the client as they are
// made, and are not collected, nor moved by a commit.
func (r *run) streams(k *work) bool {
	return k.index == 0 && r.job.last() == 0 && !r.job.toFiles()
}

// overfull says whether so much of a job's result is not read that it should
// be crowded.
func (l *Ledger) overfull(r *run) bool {
	k, p := r.current(), r.reading
	if k == nil || !r.streams(k) || r.job.settings.Keep {
		return false // nobody reads a kept result while it is made
	}
	if p != nil && p.left && r.job.read > 0 {
		return false // what a reader has left in the middle nobody else may read
	}
	unread := k.stage.bytes
	if limit := float64(r.job.settings.MaxSpoolBytes); limit > 0 && float64(unread)+k.expected() >= unreadShare*limit {
		return true
	}
	return p != nil && !p.left && unread >= l.cfg.UnreadBytes && !l.cfg.Bug.has(BugIgnoreReader)
}

// expected is about how many bytes of output are under way: as many for each
// position as those had that are done, or as it has itself while there are none.
func (k *work) expected() float64 { return float64(k.underway) * k.density() }

// density is how many bytes of output a position has, about.
func (k *work) density() float64 {
	switch g, y := k.stage, k.run.job.layout; {
	case g.size > 0:
		return max(float64(g.sum.BytesOut)/float64(g.size), 0)
	case y.unit == UnitBytes:
		return 1
	case y.total() > 0:
		return float64(y.bytes) / float64(y.total())
	}
	return 0
}

// share returns how large a batch may be so that all slots have one under way,
// and another one waits, within a job's own limit.
func (l *Ledger) share(r *run, k *work) Position {
	limit, total := r.job.settings.MaxSpoolBytes, float64(k.stage.total)
	if limit == 0 || !r.streams(k) {
		return Position(total)
	}
	least := l.boundsOf(r.job.layout).least
	each := unreadShare * float64(limit) / float64(2*l.slotsFor(r, k))
	return Position(min(max(each/max(k.density(), 1e-9), least), total))
}

// consumed returns up to where a stage is done and all of it has been read.
func (g *stage) consumed() Position {
	if first := g.order.head; first != nil && first.val.from == 0 && first.val.out.ID == "" {
		return first.val.to
	}
	return 0
}

// lastStart returns the last position where a batch may begin that is granted.
func (r *run) lastStart(k *work) Position {
	if r.crowded {
		return k.stage.consumed()
	}
	return k.stage.total
}

// grantable says whether anything of a stage may be granted: that is nobody's,
// and need not wait for the reader, or for room in a spool.
func (r *run) grantable(k *work) bool {
	last := r.lastStart(k)
	from, _, cut := k.pending.first()
	at, _, again := k.ready.first()
	return cut && from <= last && r.cramped == 0 || again && at <= last
}

// readerGone notes that nobody reads a result any more.
func (l *Ledger) readerGone(e ReaderGone) {
	if r := l.runs[e.Job]; r != nil && r.reading != nil {
		r.reading.left = true
		l.touch(r)
	}
}

// enter moves a batch into a phase, and counts what is under way.
func (b *batch) enter(p batchPhase) {
	if size := b.to - b.from; b.kind != LeaseMerge && b.phase.underway() != p.underway() {
		if b.phase.underway() {
			size = -size
		}
		b.work.underway += size
	}
	b.phase = p
}

// underway says whether somebody is about a batch, or will be for sure.
func (p batchPhase) underway() bool { return p != batchReady && p != batchOver }
