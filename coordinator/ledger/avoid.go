package ledger

import "slices"

// avoids says whether a batch should rather go to another worker, while there
// is another one: because this one did not find its input, did not reach an
// output that it reads, had no room for what it makes, or failed it before, and
// the time of a lease is not over or another one is idle. When all have failed
// it, those go first that did so longer ago. Nobody leaves it to those who have
// less to offer.
func (l *Ledger) avoids(b *batch, w *worker) bool {
	f, _ := b.work.stage.failed.get(b.from)
	if f == nil && b.unreached == nil && b.full == nil {
		return false
	}
	var by []WorkerID
	if f != nil {
		by = f.blamed()
		if slices.Contains(f.gone, w.id) {
			return l.leftTo(b, f.gone)
		}
	}
	not := b.unsuited(f)
	if slices.Contains(not, w.id) {
		return l.elsewhere(b.run, b.work, not)
	}
	i := slices.Index(by, w.id)
	if i < 0 {
		return false
	}
	if l.now >= b.anybody {
		left := l.idleElsewhere(b.run, b.work, append(not, by...))
		l.passed = l.passed || left
		return left
	}
	return l.elsewhere(b.run, b.work, slices.Concat(not, by)) || i == len(by)-1 && l.elsewhere(b.run, b.work, append(not, w.id))
}

// unsuited returns the workers that lately lacked what a batch needs, with what
// is known of its failures.
func (b *batch) unsuited(f *failure) []WorkerID {
	if f == nil {
		return slices.Concat(b.unreached, b.full)
	}
	return slices.Concat(f.gone, b.unreached, b.full)
}

// elsewhere says whether a worker is attached that can run a stage and is not
// among some.
func (l *Ledger) elsewhere(r *run, k *work, not []WorkerID) bool {
	able := 0
	for _, c := range l.classes {
		if l.allows(r, k, c) {
			able += c.able
		}
	}
	if able > len(not)+len(k.bars) {
		return true
	}
	counted := make(map[WorkerID]bool, len(not)) // some are named twice
	for _, id := range not {
		if w := l.workers[id]; !counted[id] && w != nil && w.able() && l.allows(r, k, w.class) {
			counted[id] = true
			able--
		}
	}
	for id := range k.bars {
		if w := l.workers[id]; !counted[id] && w != nil && k.bar(w) != nil && w.able() && l.allows(r, k, w.class) {
			able--
		}
	}
	return able > 0
}

// idleElsewhere says whether a worker has nothing to do that can run a stage
// and is not among some.
func (l *Ledger) idleElsewhere(r *run, k *work, not []WorkerID) bool {
	for _, c := range l.classes {
		if !l.allows(r, k, c) {
			continue
		}
		for w := range c.hungry[idle].all() {
			if !slices.Contains(not, w.id) && k.bar(w) == nil {
				return true
			}
		}
	}
	return false
}
