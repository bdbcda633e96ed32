package sim

import (
	"slices"
	"time"

	"github.com/millrace/millrace/coordinator/journal"
	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/worker/session"
)

// coordinator is the shell around the real ledger: it decodes, steps, encodes.
type coordinator struct {
	w        *world
	up       bool
	epoch    int // its lives so far
	term     ledger.Term
	offset   time.Duration // of its clock
	ledger   *ledger.Ledger
	disk     disk
	links    []*link     // by process
	wakes    int         // the WakeAt that holds
	wake     ledger.Time // when that is
	still    bool        // its process gets no time
	backlog  []func()    // what happens once it does
	requests ledger.RequestID
}

func newCoordinator(w *world) *coordinator {
	c := &coordinator{w: w, links: make([]*link, len(w.workers))}
	c.disk = disk{w: w, log: journal.NewMemory()}
	return c
}

// clock is what its clock says now.
func (c *coordinator) clock() ledger.Time {
	return ledger.Time(int64(time.Hour) + int64(c.w.now) + int64(c.offset))
}

// start begins a life, with what the log holds of the ones before.
func (c *coordinator) start() {
	if c.up {
		return
	}
	snapshot, facts, err := c.disk.log.Restore()
	if err != nil {
		c.w.book.fail("the log can't be restored: %v", err)
		return
	}
	state, err := ledger.Restore(snapshot, facts...)
	if err != nil {
		c.w.book.fail("the state can't be restored: %v", err)
		return
	}
	c.epoch++
	c.up = true
	c.offset = c.w.between(0, c.w.law.skew)
	c.term = max(c.term+1, ledger.Term(c.w.now)) // as if nobody remembered the ones before
	c.w.note("leader", uint64(c.term))
	c.w.tell("a coordinator begins term %d", c.term)
	c.wake = 0
	c.ledger = ledger.New(c.w.law.ledger, state, c.term, c.clock())
	c.w.book.beginTerm(c.term, c.clock())
	c.step(ledger.Ticked{})
	c.listen()
}

// crash ends a life: links break, and what was not yet durable may be gone.
func (c *coordinator) crash() {
	c.w.note("crash", uint64(c.term))
	c.w.tell("the coordinator crashes")
	c.up, c.ledger, c.still, c.backlog = false, nil, false, nil
	c.disk.crash()
	for i, l := range c.links {
		if l == nil {
			continue
		}
		l.coordinatorEnd = false
		c.links[i] = nil
		if !c.w.chance(0.2) { // otherwise its end is never told
			l.tellWorker(c.w.between(0, time.Second))
		}
	}
}

// run does something in one of its lives, unless that is over; one that stands
// still does it later.
func (c *coordinator) run(epoch int, do func()) {
	switch {
	case !c.up || c.epoch != epoch:
	case c.still:
		c.backlog = append(c.backlog, do)
	default:
		do()
	}
}

// stand lets the coordinator's process get no time for a while. Then it hears
// everything that it has missed.
func (c *coordinator) stand(d time.Duration) {
	c.w.note("still", uint64(c.term))
	c.w.tell("the coordinator stands still")
	c.still = true
	epoch := c.epoch
	c.w.after(d, func() {
		if c.up && c.epoch == epoch {
			c.goOn()
		}
	})
}

func (c *coordinator) goOn() {
	c.w.tell("the coordinator goes on")
	c.still = false
	c.w.book.wentOn = c.clock()
	backlog := c.backlog
	c.backlog = nil
	for _, do := range backlog {
		c.run(c.epoch, do)
	}
}

// forget loses the log, while the coordinator is down: everything that it knew
// was in the memory of its process.
func (c *coordinator) forget() {
	c.w.note("amnesia")
	c.w.tell("the log is lost")
	c.disk.log = journal.NewMemory()
	for _, client := range c.w.clients {
		client.forgotten()
	}
	c.w.book.forgetAll()
}

// step has the ledger take an event, and does what it wants.
func (c *coordinator) step(e ledger.Event) {
	if !c.up || c.w.book.fault != nil {
		return
	}
	if c.still {
		c.backlog = append(c.backlog, func() { c.step(e) })
		return
	}
	at := c.clock()
	c.w.tellOf("  ", e)
	c.w.book.happened(at, e)
	if at >= c.wake {
		c.wake = 0 // until it says so again
	}
	effects := c.ledger.Step(at, c.w.rng.Uint64(), e)
	c.w.book.foresee(effects)
	for _, effect := range effects {
		c.w.tellOf("    > ", effect)
		c.w.book.decided(at, effect)
		if c.w.book.fault != nil {
			return
		}
		c.do(effect)
	}
	c.w.book.check(at)
}

func (c *coordinator) committed(facts []ledger.Fact) {
	c.w.book.durable(facts)
	c.step(ledger.Committed{Facts: facts})
	if c.disk.log.Bytes() > c.w.law.snapshotBytes {
		snapshot := c.ledger.State().Encode()
		c.w.book.snapshot(len(snapshot))
		if err := c.disk.log.Snapshot(snapshot); err != nil {
			c.w.book.fail("journal: %v", err)
		}
	}
}

// do carries out an effect.
func (c *coordinator) do(e ledger.Effect) {
	w := c.w
	switch e := e.(type) {
	case ledger.Append:
		w.note("append", uint64(len(e.Facts)))
		c.disk.append(append([]ledger.Fact(nil), e.Facts...), c.epoch)
	case ledger.Answer:
		w.answered(e)
	case ledger.WakeAt:
		c.wakeAt(e.At)
	case ledger.OutputReady:
		w.ready(e)
	case ledger.JobEnded:
		w.note("ended", uint64(e.Job), uint64(e.State))
	case ledger.EndJob:
		for _, l := range c.links {
			if l != nil {
				l.sendDown(func(r *session.Response) { r.EndedJobs = append(r.EndedJobs, session.JobID(e.Job)) })
			}
		}
	case ledger.RefuseSession:
		w.note("refuse", uint64(e.Session))
		if l := c.linkOf(e.Worker, e.Session); l != nil {
			l.coordinatorEnd, l.refused = false, true
			c.links[l.worker.index] = nil
			l.tellWorker(w.latency())
		}
	case ledger.Changed, ledger.WorkerChanged:
	default:
		c.answer(e)
	}
}

// answer tells a worker.
func (c *coordinator) answer(e ledger.Effect) {
	worker, number, add := c.w.wire(e)
	l := c.linkOf(worker, number)
	if l == nil {
		return
	}
	c.w.note("answer", uint64(l.worker.index), uint64(number))
	if g, ok := e.(ledger.Grant); ok {
		c.w.note("grant", uint64(g.Lease.Fence.Batch), uint64(g.Lease.From), uint64(g.Lease.To))
	}
	if check, ok := e.(ledger.CheckSink); ok {
		l.checkSink(check)
		return
	}
	l.sendDown(add)
}

// linkOf is the link of a worker's session, if it is the latest of its process.
func (c *coordinator) linkOf(name ledger.WorkerID, number ledger.SessionID) *link {
	for _, l := range c.links {
		if l != nil && l.worker.id() == name && ledger.SessionID(l.number) == number {
			return l
		}
	}
	return nil
}

func (c *coordinator) wakeAt(at ledger.Time) {
	c.wakes++
	c.wake = at
	wakes, epoch := c.wakes, c.epoch
	c.w.after(time.Duration(at-c.clock()), func() {
		c.run(epoch, func() {
			if c.wakes == wakes {
				c.step(ledger.Ticked{})
			}
		})
	})
}

// heard takes a message. Only the first of a session is an attach; a link
// becomes the worker's own with it.
func (c *coordinator) heard(l *link, m session.Message, said bool, beat *ledger.Heartbeat) {
	k := l.worker
	name, number := k.id(), ledger.SessionID(l.number)
	c.w.note("heard", uint64(k.index), uint64(l.number))
	if said && m.Attach != nil {
		if old := c.links[k.index]; old == nil || old.number <= l.number {
			c.links[k.index] = l
		}
		c.step(attachEvent(l, m.Attach))
	}
	parts := []func(){
		func() {
			if said && m.Drain {
				c.step(ledger.WorkerDraining{Worker: name, Session: number})
			}
		},
		func() {
			for _, o := range m.Outcomes {
				c.reported(name, number, o)
			}
		},
		func() {
			if said && (m.Batches > 0 || m.Bytes > 0) {
				c.step(ledger.CreditGranted{Worker: name, Session: number, Batches: uint32(m.Batches), Bytes: m.Bytes})
			}
		},
		func() {
			if beat != nil {
				c.step(*beat)
			}
		},
	}
	if c.w.law.backwards { // the parts of a message are independent
		slices.Reverse(parts)
	}
	for _, part := range parts {
		part()
	}
}

// reported takes an outcome.
func (c *coordinator) reported(name ledger.WorkerID, number ledger.SessionID, o session.Outcome) {
	c.step(ledger.OutcomeReported{Worker: name, Session: number, Outcome: outcomeOf(o)})
}

// lost hears that a link is closed.
func (c *coordinator) lost(l *link) {
	if c.links[l.worker.index] == l {
		c.links[l.worker.index] = nil
	}
	c.step(ledger.SessionLost{Worker: l.worker.id(), Session: ledger.SessionID(l.number)})
}
