package sim

import (
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
)

// What gossip says reaches the coordinator late, and now and then it is wrong,
// or lost. What it says of one process arrives in order, and once there are no
// faults it has the truth.

// rumours is what is on its way to the coordinator of one process slot.
type rumours struct {
	last moment // when the last of them arrives
}

// rumour has gossip say something of a process, some time from now.
func (k *worker) rumour(in time.Duration, incarnation uint64, o ledger.Opinion) {
	w := k.w
	if w.faulty && w.chance(w.law.deaf) {
		return
	}
	k.rumours.last = max(k.rumours.last, w.now+max(in, 0))
	w.queue.add(k.rumours.last, func() {
		w.note("gossip", uint64(k.index), uint64(o))
		w.coordinator.step(ledger.Gossiped{Worker: k.id(), Incarnation: incarnation, Opinion: o})
	})
}

// truth is what gossip should say of a process slot.
func (k *worker) truth() ledger.Opinion {
	switch {
	case k.alive:
		return ledger.OpinionAlive
	case k.left:
		return ledger.OpinionLeft
	}
	return ledger.OpinionDead
}

// tellTruth has gossip say how it is.
func (k *worker) tellTruth(in time.Duration) {
	if k.life > 0 {
		k.rumour(in, k.incarnation, k.truth())
	}
}

// unheard has gossip notice that a process does not answer, unless it does
// again by then.
func (k *worker) unheard() {
	w, life := k.w, k.life
	silent := func() bool { return k.life == life && (!k.alive || k.frozen) }
	w.after(w.between(200*time.Millisecond, 3*time.Second), func() {
		if !silent() {
			return
		}
		k.rumour(0, k.incarnation, ledger.OpinionSuspect)
		w.after(w.between(200*time.Millisecond, 4*time.Second), func() {
			if silent() {
				k.rumour(0, k.incarnation, ledger.OpinionDead)
			}
		})
	})
}

// slander has gossip be wrong about some process, present or past, and find out
// later.
func (w *world) slander() {
	k := w.someWorker()
	if k.life == 0 {
		return
	}
	wrong := []ledger.Opinion{ledger.OpinionUnknown, ledger.OpinionAlive, ledger.OpinionSuspect, ledger.OpinionSuspect,
		ledger.OpinionDead, ledger.OpinionDead, ledger.OpinionLeft}[w.pick(0, 6)]
	incarnation := k.incarnation
	if w.chance(0.3) {
		incarnation = k.former
	}
	k.rumour(0, incarnation, wrong)
	k.tellTruth(w.between(100*time.Millisecond, 6*time.Second))
}

// probe has the coordinator try the address of a worker whose session broke. A
// process that has ended refuses; now and then something in between does.
func (c *coordinator) probe(l *link) {
	w, epoch := c.w, c.epoch
	w.after(w.between(time.Millisecond, 300*time.Millisecond), func() {
		k := l.worker
		dead := !k.alive || k.life != l.life
		vanished := dead && dice(w.seed, k.incarnation)%3 == 0 // with its whole machine
		if dead && !vanished || w.faulty && w.chance(w.law.slanders) {
			c.run(epoch, func() {
				c.step(ledger.WorkerRefused{Worker: k.id(), Session: ledger.SessionID(l.number)})
			})
		}
	})
}

// listen has gossip tell a new coordinator of everybody.
func (c *coordinator) listen() {
	for _, k := range c.w.workers {
		k.tellTruth(c.w.between(0, 2*time.Second))
	}
}
