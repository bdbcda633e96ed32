package sim

import (
	"slices"
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/worker/session"
)

// What workers are to each other is in this file: two processes that go by one
// name, and workers that do not reach one another.

// patience is how long a process bears that the coordinator turns it away.
const patience = 12 * time.Second

// names are the names of workers, each once.
func (w *world) names() []string {
	var all []string
	for _, k := range w.workers {
		if !slices.Contains(all, k.name) {
			all = append(all, k.name)
		}
	}
	return all
}

// processOf is the process of a name that attached last, if the coordinator
// knows of one.
func (c *coordinator) processOf(name ledger.WorkerID) *worker {
	var last *link
	for _, l := range c.links {
		if l != nil && l.worker.id() == name && (last == nil || l.number > last.number) {
			last = l
		}
	}
	if last == nil {
		return nil
	}
	return last.worker
}

// turnedAway hears that the coordinator does not take this process, since
// another one goes by its name. That may be its own former self, whose end
// nobody has noticed: so it tries for a while.
func (k *worker) turnedAway() {
	if k.refused == 0 {
		k.refused = k.w.now
	}
	if k.w.now-k.refused < patience {
		return
	}
	k.w.note("conflict", uint64(k.index))
	k.w.tell("%s (process %d) gives its name up", k.name, k.index)
	k.crash(true)
	k.w.after(k.w.between(time.Second, 10*time.Second), func() { k.w.revive(k) })
}

// rival says whether another process goes by the same name.
func (k *worker) rival() bool { return k.twin != nil && k.twin.alive && !k.twin.gone }

// drawTwins has some workers be started a second time, by mistake.
func (w *world) drawTwins() {
	for _, k := range slices.Clone(w.workers) {
		if w.law.twins == 0 || !w.chance(0.3) {
			continue
		}
		twin := *k
		twin.index, twin.slots, twin.offset, twin.twin = len(w.workers), w.pick(1, 4), w.between(0, time.Hour), k
		k.twin = &twin
		w.workers = append(w.workers, &twin)
	}
}

// doubleSome starts a process whose name another one has.
func (w *world) doubleSome() {
	for _, k := range w.workers {
		if k.twin != nil && !k.alive && !k.gone && w.chance(0.5) {
			k.start()
			return
		}
	}
}

// wallSome keeps two workers from reaching one another for a while.
func (w *world) wallSome() {
	a, b := w.someWorker(), w.someWorker()
	if a == b {
		return
	}
	w.note("wall", uint64(a.index), uint64(b.index))
	w.tell("%s does not reach %s", a.name, b.name)
	at := [2]int{a.index, b.index}
	w.walls[at]++
	w.after(w.between(0, 10*time.Second), func() { w.walls[at]-- })
}

// reaches says whether a worker gets an answer of another one.
func (w *world) reaches(from, to *worker) bool {
	return to.alive && !to.frozen && (!w.faulty || w.walls[[2]int{from.index, to.index}] == 0)
}

// sicken has a worker fail whatever it gets, for a while.
func (w *world) sicken() {
	k := w.someWorker()
	if k.sick || k.index == 0 {
		return
	}
	w.note("sick", uint64(k.index))
	w.tell("%s fails everything", k.name)
	k.sick = true
	w.after(w.between(time.Second, 20*time.Second), func() {
		w.tell("%s works again", k.name)
		k.sick = false
	})
}

// failing is how a sick worker fails.
func (k *worker) failing(lease *ledger.Lease) session.Class {
	f := lease.Fence
	classes := []session.Class{session.Retryable, session.KilledMemory, session.KilledTime, session.KilledSignal}
	return classes[dice(uint64(f.Batch), uint64(f.Attempt), uint64(k.index))%4]
}
