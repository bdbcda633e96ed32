package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
)

// Outcome is what one world came to.
type Outcome struct {
	// Marks are its trace: the same for the same seed.
	Marks []uint64
	// Fault is the first fault that the book found; nil if there was none.
	Fault error
	// Ended is how long it took, by the world's own clock.
	Ended time.Duration
	// Largest is the largest snapshot of the ledger, in bytes.
	Largest int
}

// settleTime is how long everything may take once there are no faults.
const settleTime = 20 * time.Minute

// quietTime is how long the world goes on when everybody has what he wants, so
// that the last messages arrive.
const quietTime = 60 * time.Second

// Run lets the world of a seed pass, with planted bugs, and tells its story to
// text if that is not nil.
func Run(seed uint64, bugs Bugs, text func(string)) Outcome {
	w := newWorld(seed, bugs)
	w.trace.text = text
	w.begin()
	settled := w.run(w.law.calm+settleTime, w.settled)
	if w.book.fault == nil && !settled {
		w.book.fail("it does not settle: %s", w.unsettled())
	}
	w.run(w.now+quietTime, nil)
	if w.book.fault == nil {
		w.book.final()
	}
	return Outcome{Marks: w.trace.marks, Fault: w.book.fault, Ended: w.now, Largest: w.book.largest}
}

// emptyWorld is a world before its law.
func emptyWorld(seed uint64) *world {
	w := &world{seed: seed, walls: map[[2]int]int{}, rng: rand.New(rand.NewPCG(seed, 0x6d696c6c72616365))}
	w.plane = newPlane(w)
	return w
}

func newWorld(seed uint64, bugs Bugs) *world {
	w := emptyWorld(seed)
	w.bugs = bugs
	w.law = w.drawLaw()
	for i := range w.pick(2, 5+2*w.law.size) {
		w.workers = append(w.workers, w.drawWorker(i))
	}
	w.drawTwins()
	for n := range w.pick(1, 5+3*w.law.size) {
		w.clients = append(w.clients, w.newClient(w.drawJob(n)))
	}
	w.drawSpools()
	w.inhabit()
	return w
}

// inhabit puts the coordinator and the book into a world that has workers.
func (w *world) inhabit() {
	w.book = newBook(w)
	w.coordinator = newCoordinator(w)
	w.operator = newOperator(w)
}

// drawWorker makes up a worker. The first can run everything.
func (w *world) drawWorker(i int) *worker {
	k := &worker{w: w, index: i, name: fmt.Sprintf("w%d", i+1), slots: w.pick(1, 4),
		speed: 20 + 300*w.rng.Float64(), offset: w.between(0, time.Hour), drift: w.law.drift * (2*w.rng.Float64() - 1),
		processors: []string{"command"}}
	if i == 0 || w.chance(0.6) {
		k.processors = append(k.processors, "sql")
	}
	if i == 0 || w.chance(0.5) {
		k.labels = []ledger.Label{{Key: "zone", Value: "a"}}
	}
	return k
}

func (w *world) begin() {
	w.coordinator.start()
	for _, k := range w.workers {
		if k.twin == nil || k.index < k.twin.index {
			w.after(w.between(0, 2*time.Second), k.start)
		}
	}
	w.loose()
}

// settled says whether everybody has what he wants.
func (w *world) settled() bool {
	if w.faulty || !w.coordinator.up {
		return false
	}
	for _, c := range w.clients {
		if !c.over() {
			return false
		}
	}
	return true
}

// unsettled tells what is missing, for people.
func (w *world) unsettled() string {
	s := ""
	for _, c := range w.clients {
		if c.over() {
			continue
		}
		v, _ := w.coordinator.ledger.Job(c.id, w.coordinator.clock())
		s += fmt.Sprintf("job %d is in state %d, %d of %d positions done, waits for %+v, reader %+v; ",
			c.id, v.State, v.Stats.PositionsDone, v.Stats.PositionsTotal, w.coordinator.ledger.Explain(c.id, w.coordinator.clock()), c.reader)
	}
	return s
}

// final checks the world after everything has settled.
func (b *book) final() {
	for _, k := range b.w.workers {
		if k.gone || !k.alive {
			continue
		}
		switch {
		case !k.machine.Attached():
			b.fail("%s is not attached, without any fault", k.name)
		case k.machine.Running()+k.machine.Waiting()+k.machine.Unacknowledged() > 0:
			b.fail("%s still holds %d leases, %d of them running, and %d outcomes, after all jobs are over", k.name,
				k.machine.Running()+k.machine.Waiting(), k.machine.Running(), k.machine.Unacknowledged())
		case k.machine.Unspent() < k.slots:
			b.fail("%s has %d slots, and gives credit for %d", k.name, k.slots, k.machine.Unspent())
		case b.w.plane.left(k) > 0:
			b.fail("%s still has %d outputs, after all jobs are over: %v", k.name, b.w.plane.left(k), b.w.plane.inventory(k))
		}
		if s := b.seatOf(k.id()); s.attached && s.worker == k && k.machine.Attached() && s.credit != k.machine.Unspent() {
			b.fail("%s gives credit for %d, the coordinator has heard of %d", k.name, k.machine.Unspent(), s.credit)
		}
	}
	for _, j := range b.order {
		if !j.state.Over() {
			b.fail("job %d is not over", j.id)
		}
	}
}
