package ledger

import (
	"bytes"
	"fmt"
)

// Faults returns what is wrong inside a ledger: everything that its parts must
// agree on after each step.
func (l *Ledger) Faults() error {
	for _, j := range l.state.order {
		for i := range j.stages {
			if err := j.stages[i].faults(); err != nil {
				return fmt.Errorf("job %d stage %d: %w", j.id, i, err)
			}
		}
		if r := l.runs[j.id]; r != nil {
			if err := l.runFaults(r); err != nil {
				return fmt.Errorf("job %d: %w", j.id, err)
			}
		} else if !j.released {
			return fmt.Errorf("job %d is needed, but has no run", j.id)
		}
	}
	for _, w := range l.workers {
		if err := l.workerFaults(w); err != nil {
			return fmt.Errorf("worker %s: %w", w.id, err)
		}
	}
	if err := l.userFaults(); err != nil {
		return err
	}
	return l.stateFaults()
}

func (l *Ledger) userFaults() error {
	leases, runs := map[*user]int{}, map[*user]int{}
	for _, r := range l.runs {
		leases[r.user] += r.leases
		runs[r.user]++
	}
	for name, u := range l.users {
		if u.leases != leases[u] || u.runs != runs[u] {
			return fmt.Errorf("user %q has %d leases of %d jobs: counted as %d, %d", name, leases[u], runs[u], u.leases, u.runs)
		}
	}
	return nil
}

func (l *Ledger) stateFaults() error {
	size := int64(0)
	for _, j := range l.state.order {
		size += j.bytes
	}
	if size != l.state.bytes {
		return fmt.Errorf("specs and plans of %d bytes: counted as %d", size, l.state.bytes)
	}
	once := l.state.Encode()
	again, err := Restore(once)
	if err != nil {
		return err
	}
	if !bytes.Equal(again.Encode(), once) {
		return fmt.Errorf("a restored state has another encoding")
	}
	for id, e := range l.state.outputs {
		if e.out.ID != id || e.place.in == nil || e.held.in == nil {
			return fmt.Errorf("output %s is not in its places", id)
		}
	}
	return nil
}

func (g *stage) faults() error {
	var size, at Position
	var bytes int64
	outputs := 0
	n := 0
	for e := range g.order.all() {
		n++
		if e.from < at || e.to <= e.from || e.to > g.total {
			return fmt.Errorf("entry [%d,%d) behind %d", e.from, e.to, at)
		}
		if got, ok := g.done.get(e.from); !ok || got != e {
			return fmt.Errorf("entry [%d,%d) is not in the index", e.from, e.to)
		}
		at = e.to
		size += e.to - e.from
		if e.out.ID != "" {
			outputs++
			bytes += e.out.Bytes
		}
	}
	if bytes != g.bytes {
		return fmt.Errorf("outputs of %d bytes: counted as %d", bytes, g.bytes)
	}
	if size != g.size || outputs != g.outputs || n != g.done.len() {
		return fmt.Errorf("size %d, outputs %d, entries %d: counted as %d, %d, %d", size, outputs, n, g.size, g.outputs, g.done.len())
	}
	return nil
}

// runFaults checks that every position is done, pending, or of one batch.
func (l *Ledger) runFaults(r *run) error {
	if l.users[r.user.name] != r.user {
		return fmt.Errorf("its user %q is forgotten", r.user.name)
	}
	leases, merging := 0, 0
	for b := range r.all.all() {
		if b.phase == batchOver || r.batches[b.id] != b {
			return fmt.Errorf("batch %d is listed, but over", b.id)
		}
		if b.phase == batchLeased {
			leases++
		}
		if b.kind == LeaseMerge {
			merging++
			for _, e := range b.inputs {
				if b.phase <= batchLeased && (e.merge != b || e.place.in == nil) {
					return fmt.Errorf("merge %d has an input that is not its own", b.id)
				}
			}
		}
	}
	if leases != r.leases || merging != r.merging {
		return fmt.Errorf("%d leases, %d merges: counted as %d, %d", leases, merging, r.leases, r.merging)
	}
	if full := l.overfull(r); full != r.crowded {
		return fmt.Errorf("crowded is %v", r.crowded)
	}
	if l.servable(r) != r.listed {
		return fmt.Errorf("listed is %v", r.listed)
	}
	if r.job.state != StateRunning {
		return nil
	}
	for i := range r.stages {
		if err := r.coverage(&r.stages[i]); err != nil {
			return fmt.Errorf("stage %d: %w", i, err)
		}
	}
	return nil
}

func (r *run) coverage(k *work) error {
	var all intervals
	var size int64
	var underway Position
	take := func(what string, from, to Position) error {
		if _, end, ok := all.ends.floor(to - 1); ok && end > from {
			return fmt.Errorf("%s [%d,%d) is somebody else's too", what, from, to)
		}
		all.add(from, to)
		size += int64(to - from)
		return nil
	}
	for e := range k.stage.order.all() {
		if err := take("done", e.from, e.to); err != nil {
			return err
		}
	}
	for from, to := range k.pending.ends.from(0) {
		if err := take("pending", from, to); err != nil {
			return err
		}
	}
	for b := range r.all.all() {
		if b.work != k || b.kind == LeaseMerge {
			continue
		}
		if err := take(fmt.Sprintf("batch %d", b.id), b.from, b.to); err != nil {
			return err
		}
		if b.phase.underway() {
			underway += b.to - b.from
		}
		if _, ok := k.ready.get(b.from); ok != (b.phase == batchReady) {
			return fmt.Errorf("batch %d in phase %d, ready %v", b.id, b.phase, ok)
		}
	}
	if underway != k.underway {
		return fmt.Errorf("%d positions are under way: counted as %d", underway, k.underway)
	}
	if size != int64(k.stage.total) {
		return fmt.Errorf("%d of %d positions are anybody's", size, k.stage.total)
	}
	return nil
}

// workerFaults checks a worker's lists, and that no wake-up was lost.
func (l *Ledger) workerFaults(w *worker) error {
	for b := range w.leases.all() {
		if b.worker != w || b.phase != batchLeased {
			return fmt.Errorf("lease %v is not its own", b.fence)
		}
	}
	if w.class == nil {
		return nil
	}
	h := w.hungerOf()
	if (h == sated) != (w.hungry.in == nil) || h != sated && w.hungry.in != &w.class.hungry[h] {
		return fmt.Errorf("hunger %d, but seated elsewhere", h)
	}
	if h == sated || l.cfg.Bug != 0 {
		return nil
	}
	for _, r := range l.runnable {
		k := r.current()
		if !l.allows(r, k, w.class) || r.reserved != nil || l.capped(r) || w.keeps() {
			continue
		}
		_, from, to := l.pick(r, k, w)
		if fits := w.leases.n == 0 || l.bytesOf(r, k, from, to) <= w.room; from < to && fits {
			return fmt.Errorf("it is hungry (%d), and job %d has [%d,%d)", h, r.job.id, from, to)
		}
	}
	return nil
}

// Size tells what grows: entries, batches and timers.
func (l *Ledger) Size() (entries, batches, timers int) {
	for _, j := range l.state.order {
		for i := range j.stages {
			entries += j.stages[i].done.len()
		}
	}
	for _, r := range l.runs {
		batches += r.all.n
	}
	return entries, batches, len(l.timers.heap)
}
