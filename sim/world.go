package sim

import (
	"math/rand/v2"
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/worker/session"
)

// moment is a time since the world began, by no clock but the world's own.
type moment = time.Duration

// world is everything that happens from one seed. One goroutine runs it.
type world struct {
	seed  uint64
	rng   *rand.Rand
	now   moment
	queue agenda
	trace trace

	law         law
	bugs        Bugs
	coordinator *coordinator
	workers     []*worker
	clients     []*client
	book        *book
	operator    *operator
	plane       *plane
	walls       map[[2]int]int // how often the one process was kept from reaching the other
	faulty      bool           // faults may happen
}

// Bugs are planted faults, one at a time, for the tests of the simulation.
type Bugs struct {
	Ledger  ledger.Bug
	Session session.Bug
}

// planned is something that happens at a moment.
type planned struct {
	at  moment
	seq uint64 // of two at the same moment, what was planned first comes first
	do  func()
}

// agenda is what is planned, a heap.
type agenda struct {
	heap []planned
	seq  uint64
}

func (a *agenda) before(i, j int) bool {
	x, y := &a.heap[i], &a.heap[j]
	return x.at < y.at || x.at == y.at && x.seq < y.seq
}

func (a *agenda) add(at moment, do func()) {
	a.seq++
	a.heap = append(a.heap, planned{at, a.seq, do})
	for i := len(a.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !a.before(i, parent) {
			return
		}
		a.heap[i], a.heap[parent] = a.heap[parent], a.heap[i]
		i = parent
	}
}

func (a *agenda) take() planned {
	first, last := a.heap[0], len(a.heap)-1
	a.heap[0] = a.heap[last]
	a.heap[last] = planned{}
	a.heap = a.heap[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return first
		}
		if child+1 < last && a.before(child+1, child) {
			child++
		}
		if !a.before(child, i) {
			return first
		}
		a.heap[i], a.heap[child] = a.heap[child], a.heap[i]
		i = child
	}
}

// after plans something.
func (w *world) after(d time.Duration, do func()) { w.queue.add(w.now+max(d, 0), do) }

// run lets the world go on until a moment, until done says so, or until the
// book finds a fault. It says whether done did.
func (w *world) run(until moment, done func() bool) bool {
	for len(w.queue.heap) > 0 && w.queue.heap[0].at <= until && w.book.fault == nil {
		p := w.queue.take()
		w.now = p.at
		p.do()
		if done != nil && done() {
			return true
		}
	}
	w.now = max(w.now, min(until, w.now+1))
	return false
}

// chance is true with a probability.
func (w *world) chance(p float64) bool { return w.rng.Float64() < p }

// between draws a duration.
func (w *world) between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + time.Duration(w.rng.Int64N(int64(high-low)))
}

// pick draws a whole number from low to high, both included.
func (w *world) pick(low, high int) int { return low + w.rng.IntN(high-low+1) }

// rarely draws a wait whose mean is given, as events without memory have it.
func (w *world) rarely(mean time.Duration) time.Duration {
	return time.Duration(w.rng.ExpFloat64() * float64(mean))
}

// dice is a number that depends on nothing but its arguments: what a batch
// comes to must not depend on when it is asked for.
func dice(parts ...uint64) uint64 {
	h := uint64(0x9e3779b97f4a7c15)
	for _, p := range parts {
		h ^= p
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}
