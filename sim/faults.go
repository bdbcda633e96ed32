package sim

import (
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
)

// law is what a world is like; it is drawn from the seed.
type law struct {
	ledger        ledger.Config
	calm          moment        // when faults stop
	skew          time.Duration // of clocks
	latency       time.Duration // of messages, at most
	writing       time.Duration // one message, at most
	commit        time.Duration // of an entry of the log, at most
	spikes        float64       // messages that are late
	refusals      float64       // connections that come to nothing
	snapshotBytes int
	creditBytes   int64
	prefetch      int
	drain         time.Duration
	backwards     bool    // the coordinator takes the parts of a message from the last
	positions     int     // of a job, about
	drift         float64 // of workers' clocks, at most
	size          int     // of the world: 0, 1 or 2
	spools        bool    // they are bounded

	// Mean times between faults; none when 0.
	cuts, crashes, freezes, leaders, drains, losses, twins, walls, sickness, rumours, cordons, orders, stalls time.Duration
	deaf                                                                                                      float64 // of what gossip says, this never arrives
	slanders                                                                                                  float64 // of the probes of an address, so many are refused wrongly
	amnesia                                                                                                   float64 // restarts of the coordinator that lose its log
}

func (w *world) drawLaw() law {
	c := ledger.DefaultConfig()
	c.Bug = w.bugs.Ledger
	c.Lease = w.between(2*time.Second, 8*time.Second)
	c.Heartbeat = c.Lease / time.Duration(w.pick(5, 10))
	c.Grace = w.between(c.Lease/2, 2*c.Lease)
	c.WorkerGone = c.Lease + w.between(0, 10*time.Second)
	c.BackoffMax = w.between(time.Second, 4*time.Second)
	c.TargetLease = w.between(100*time.Millisecond, 2*time.Second)
	c.FirstBatchBytes, c.MinBatchBytes, c.MaxBatchBytes = int64(w.pick(8, 60)), int64(w.pick(1, 8)), int64(w.pick(60, 600))
	c.FirstBatchRecords, c.MinBatchRecords, c.MaxBatchRecords = int64(w.pick(8, 60)), int64(w.pick(1, 8)), int64(w.pick(60, 600))
	c.MaxBatchFiles = w.pick(2, 20)
	c.AloneBytes = int64(w.pick(0, 1000))
	c.MergeFanIn = w.pick(2, 8)
	c.MergeEvery = w.pick(1, 16)
	c.ResultWindow = w.pick(1, 8)
	c.DeadGone = w.between(100*time.Millisecond, min(4*time.Second, c.WorkerGone))
	c.StandStill = w.between(200*time.Millisecond, 3*time.Second)
	c.QuarantineAfter = w.pick(2, 4)
	c.QuarantineMin, c.QuarantineMax = w.between(100*time.Millisecond, time.Second), w.between(time.Second, 5*time.Second)
	if w.chance(0.4) {
		c.Quotas = map[string]int{"ann": w.pick(1, 4)}
		c.DefaultQuota = w.pick(0, 5)
	}
	if w.chance(0.2) {
		c.KeepFor = w.between(30*time.Second, 3*time.Minute)
	}
	if w.chance(0.3) {
		c.UnreadBytes = int64(w.pick(1, 3000))
	}
	l := law{
		ledger: c, calm: w.between(20*time.Second, 60*time.Second), skew: w.between(0, 3*time.Second),
		latency: w.between(200*time.Microsecond, 20*time.Millisecond), writing: w.between(0, 2*time.Millisecond),
		commit:        w.between(0, 30*time.Millisecond),
		snapshotBytes: w.pick(500, 20_000), creditBytes: int64(w.pick(20, 2000)), prefetch: w.pick(1, 16),
		drain: w.between(0, 5*time.Second) + 1, positions: w.pick(20, 900),
	}
	l.backwards = w.chance(0.5)
	l.spools = w.chance(0.3)
	l.drift = []float64{0.0001, 0.005, 0.03}[w.pick(0, 2)]
	if l.size = []int{0, 0, 0, 1, 2}[w.pick(0, 4)]; l.size > 0 {
		l.positions *= 4
	}
	if w.chance(0.15) {
		return l // a world without faults
	}
	l.spikes, l.refusals = 0.01*w.rng.Float64(), 0.3*w.rng.Float64()
	l.deaf, l.slanders = 0.2*w.rng.Float64(), 0.1*w.rng.Float64()
	if w.chance(0.2) {
		l.amnesia = 0.5
	}
	for _, mean := range []*time.Duration{&l.cuts, &l.crashes, &l.freezes, &l.leaders, &l.drains, &l.losses, &l.twins, &l.walls, &l.rumours, &l.sickness, &l.cordons, &l.orders, &l.stalls} {
		if w.chance(0.6) {
			*mean = w.between(3*time.Second, 40*time.Second)
		}
	}
	return l
}

// loose has every kind of fault happen until the calm.
func (w *world) loose() {
	w.faulty = true
	w.often(w.law.cuts, w.cutSome)
	w.often(w.law.crashes, w.crashSome)
	w.often(w.law.freezes, w.freezeSome)
	w.often(w.law.leaders, w.crashLeader)
	w.often(w.law.drains, w.drainSome)
	w.often(w.law.losses, w.loseSome)
	w.often(w.law.twins, w.doubleSome)
	w.often(w.law.walls, w.wallSome)
	w.often(w.law.sickness, w.sicken)
	w.often(w.law.rumours, w.slander)
	w.often(w.law.cordons, w.operator.cordonSome)
	w.often(w.law.orders, w.operator.drainSome)
	w.often(w.law.stalls, w.stallLeader)
	w.queue.add(w.law.calm, w.calmDown)
}

// often does something again and again, as long as there are faults.
func (w *world) often(mean time.Duration, do func()) {
	if mean == 0 {
		return
	}
	w.after(w.rarely(mean), func() {
		if w.faulty {
			do()
			w.often(mean, do)
		}
	})
}

func (w *world) someWorker() *worker { return w.workers[w.pick(0, len(w.workers)-1)] }

func (w *world) cutSome() {
	if k := w.someWorker(); k.alive && k.link != nil && k.link.workerEnd {
		k.link.cut(w.chance(0.4))
	}
}

func (w *world) crashSome() {
	k := w.someWorker()
	if !k.alive {
		return
	}
	k.crash(w.chance(0.5))
	w.after(w.between(0, 15*time.Second), func() { w.revive(k) })
}

func (w *world) revive(k *worker) {
	switch {
	case k.alive || k.gone:
	case k.rival() && !w.faulty:
		w.after(5*time.Second, func() { w.revive(k) }) // if the other one gives up
	default:
		k.start()
	}
}

func (w *world) freezeSome() {
	k := w.someWorker()
	if !k.alive || k.frozen {
		return
	}
	k.freeze()
	if k.link != nil && k.link.workerEnd && w.chance(0.5) {
		k.link.cut(false) // the other end gives up a connection that does not answer
	}
	life := k.life
	w.after(w.between(0, 3*w.law.ledger.Lease), func() {
		if k.alive && k.life == life && k.frozen {
			k.thaw()
		}
	})
}

func (w *world) crashLeader() {
	if !w.coordinator.up {
		return
	}
	w.coordinator.crash()
	if w.chance(w.law.amnesia) {
		w.coordinator.forget()
	}
	w.after(w.between(0, 5*time.Second), w.coordinator.start)
}

// stallLeader has the coordinator's process, or its machine, stand still.
func (w *world) stallLeader() {
	if w.coordinator.up && !w.coordinator.still {
		w.coordinator.stand(w.between(0, 2*w.law.ledger.Lease))
	}
}

func (w *world) drainSome() {
	k := w.someWorker()
	if !k.alive || k.frozen || k.leaving {
		return
	}
	k.drain()
	w.after(w.between(5*time.Second, 20*time.Second), func() { w.revive(k) })
}

// loseSome loses one output, and tells the coordinator.
func (w *world) loseSome() {
	var held []*content
	for _, id := range w.plane.order {
		if c := w.plane.contents[id]; !c.gone && c.kind != ledger.OutputFile {
			held = append(held, c)
		}
	}
	if len(held) == 0 {
		return
	}
	c := held[w.pick(0, len(held)-1)]
	c.gone = true
	w.note("lose")
	w.tell("output %s is lost", c.id)
	w.coordinator.step(ledger.OutputLost{Outputs: []ledger.OutputID{c.id}})
}

// calmDown ends the faults. One worker may be gone for good.
func (w *world) calmDown() {
	w.faulty = false
	w.note("calm")
	w.operator.calm()
	w.tell("from now on there are no faults")
	if lost := w.someWorker(); w.law.crashes > 0 && w.chance(0.3) && w.enough(lost) {
		lost.gone = true
		if lost.alive {
			lost.crash(true)
		}
	}
	for _, k := range w.workers {
		if k.alive && k.frozen {
			k.thaw()
		}
		w.after(w.between(0, time.Second), func() { w.revive(k) })
		k.tellTruth(w.between(0, 2*time.Second))
	}
	if !w.coordinator.up {
		w.coordinator.start()
	}
	if w.coordinator.still {
		w.coordinator.goOn()
	}
	for _, c := range w.clients {
		if c.job.pauseAt > 0 { // a late duplicate may have paused it once more
			w.queue.add(max(w.now, c.job.resumeAt)+10*time.Second, func() { c.insist(c.unpause, nil) })
		}
	}
}

// enough says whether the others can do everything without one worker: the
// first can.
func (w *world) enough(without *worker) bool { return without.index > 0 }
