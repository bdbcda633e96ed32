package ledger

import (
	"math"
	"time"
)

// cutEnd returns where the batch ends that is to be cut at the start of the
// pending interval [from, end) for a worker.
func (l *Ledger) cutEnd(r *run, k *work, w *worker, from, end Position) Position {
	if p := r.reading; p != nil && k.index == r.job.last() && from < p.delivered {
		end = min(end, p.delivered) // what the client has is not sent again
	}
	switch {
	case k.index != 0:
		return end
	case r.job.layout.pieces != nil:
		return min(r.job.layout.next(from), end)
	}
	want := l.wanted(r, k, w)
	if k.plan.PrefixLimit != nil {
		want = min(want, l.probe(r, k))
	}
	if w.leases.n > 0 {
		want = min(want, l.affordable(r, w))
	}
	want = min(want, l.share(r, k))
	if k.stage.cap > 0 {
		want = min(want, k.stage.cap)
	}
	return r.job.layout.late(from, end, max(want, 1), l.cfg.MaxBatchFiles)
}

// columnar is how many times the bytes of text a batch of rows may have: rows
// are compressed, and read by column, so that a byte of them takes less time.
const columnar = 4

// bounds are the limits of a late cut, in positions.
type bounds struct{ first, least, most float64 }

func (l *Ledger) boundsOf(y *layout) bounds {
	c := &l.cfg
	switch {
	case y.unit == UnitBytes:
		return bounds{float64(c.FirstBatchBytes), float64(c.MinBatchBytes), float64(c.MaxBatchBytes)}
	case y.bytes == 0:
		return bounds{float64(c.FirstBatchRecords), float64(c.MinBatchRecords), float64(c.MaxBatchRecords)}
	}
	rows := columnar * float64(y.total()) / float64(y.bytes) // a byte
	return bounds{float64(c.FirstBatchBytes) * rows, float64(c.MinBatchBytes) * rows, float64(c.MaxBatchBytes) * rows}
}

// wanted returns how many positions a late batch should have: what the worker
// does in the target time, and less toward the end, so that all finish
// together. While no speed is known it is a fair share.
func (l *Ledger) wanted(r *run, k *work, w *worker) Position {
	b := l.boundsOf(r.job.layout)
	left := float64(k.pending.size)
	slots := float64(l.slotsFor(r, k))
	v := k.speedOf(w)
	if v == 0 {
		return Position(min(max(min(b.first, math.Ceil(left/(4*slots))), b.least), b.most))
	}
	target := v * l.cfg.TargetLease.Seconds()
	least := min(max(b.least, v*l.cfg.MinLease.Seconds()), target)
	return Position(min(max(min(target, math.Ceil(left/(2*slots))), least), b.most))
}

// speedOf returns a worker's speed at a stage, or that of all when it has none
// yet; 0 when nothing is known.
func (k *work) speedOf(w *worker) float64 {
	if w.index < len(k.speeds) && k.speeds[w.index] > 0 {
		return float64(k.speeds[w.index])
	}
	return float64(k.mean)
}

// affordable returns how many positions a worker has room for.
func (l *Ledger) affordable(r *run, w *worker) Position {
	y := r.job.layout
	switch {
	case y.unit == UnitBytes:
		return Position(w.room)
	case y.bytes == 0:
		return y.total()
	}
	return Position(float64(w.room) * (float64(y.total()) / float64(y.bytes)))
}

// late returns the end of a batch of about want positions at the start of
// [from, end). It holds part of one fragment, or whole small ones.
func (y *layout) late(from, end, want Position, maxFiles int) Position {
	f := y.at(from)
	last := min(y.starts[f+1], end)
	if from != y.starts[f] || last != y.starts[f+1] || !y.whole(f) && last-from > want {
		if y.whole(f) {
			return last
		}
		return y.inside(f, from, last, want)
	}
	if y.cut.MaxFiles > 0 {
		maxFiles = min(maxFiles, int(y.cut.MaxFiles))
	}
	for n := 1; n < maxFiles && f+1 < len(y.fragments); n++ {
		f++
		if next := y.starts[f+1]; next > end || next-from > want {
			break
		}
		last = y.starts[f+1]
	}
	return last
}

// inside returns where to cut a fragment, want positions after from. A small
// rest is not left over.
func (y *layout) inside(f int, from, last, want Position) Position {
	if last-from <= want+want/2 {
		return last
	}
	return y.cutNear(f, from, last, from+want)
}

// cutNear returns the last place before or at a wanted one where a fragment
// may be cut, or the first after it.
func (y *layout) cutNear(f int, from, last, want Position) Position {
	cuts := y.fragments[f].Cuts
	if len(cuts) == 0 {
		return min(max(want, from+1), last)
	}
	start := y.starts[f]
	lo, hi := 0, len(cuts)
	for lo < hi { // the first cut after the wanted place
		if mid := (lo + hi) / 2; start+Position(cuts[mid]) > want {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	if lo > 0 && start+Position(cuts[lo-1]) > from {
		return start + Position(cuts[lo-1])
	}
	if lo < len(cuts) {
		return min(start+Position(cuts[lo]), last)
	}
	return last
}

// halve returns where to cut a range in two that needs too much memory; its
// start when it must stay whole.
func (y *layout) halve(from, to Position) Position {
	if y.pieces != nil {
		return from // its bounds are the user's
	}
	middle := from + (to-from)/2
	f := y.at(middle)
	start, end := y.starts[f], y.starts[f+1]
	switch {
	case start <= from && end >= to:
		if y.whole(f) {
			return from
		}
		if at := y.cutNear(f, from, to, middle); at < to {
			return at
		}
		return from
	case start > from:
		return start
	}
	return end
}

// holed returns where a new batch ends: where it was cut, unless a bug is
// planted.
func (l *Ledger) holed(k *work, from, to Position) Position {
	if k.index != 0 || !l.cfg.Bug.has(BugDropHole) {
		return to
	}
	if k.cuts++; k.cuts%4 == 0 && to-from > 1 {
		return to - 1
	}
	return to
}

// estimate returns about how long a batch will take, in nanoseconds.
func (l *Ledger) estimate(b *batch) int64 {
	v := b.work.speedOf(b.worker)
	if v == 0 || b.kind != LeaseProcess {
		return int64(l.cfg.MinLease)
	}
	return int64(min(float64(b.to-b.from)/v, 3600) * float64(time.Second))
}

// learn takes a done batch's speed into account.
func (k *work) learn(w *worker, positions Position, elapsed time.Duration) {
	measured := float64(positions) / max(elapsed, time.Microsecond).Seconds()
	k.mean.learn(measured)
	for len(k.speeds) <= w.index {
		k.speeds = append(k.speeds, 0)
	}
	k.speeds[w.index].learn(measured)
}
