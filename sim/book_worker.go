package sim

import (
	"slices"
	"time"

	"github.com/millrace/millrace/worker/session"
)

// workerBook is what one life of a worker has been told and has to remember.
type workerBook struct {
	w *world
	k *worker

	link     session.Number
	lease    int64 // nanoseconds; 0 before the first answer
	deadline int64 // of what it holds, on its clock
	lapsed   bool
	beat     int64            // how often a heartbeat is due
	listened int64            // when the link said something last
	sent     int64            // when the attach was
	beats    map[uint64]int64 // when each heartbeat was sent
	attach   *session.Attach
	attached bool
	killed   map[session.Fence]bool
	started  map[session.Fence]bool
	returned map[session.Fence]bool
	outcomes map[session.Fence]session.Outcome // neither answered nor void
	leaveBy  int64                             // when a drain gives up waiting
	freed    bool                              // in this session: its outputs are not needed any more
	stale    []session.OutputID                // refused by the response at hand
	last     []session.Effect
	now      []session.Effect // of the step at hand
}

func newWorkerBook(k *worker) *workerBook {
	return &workerBook{w: k.w, k: k, beats: map[uint64]int64{}, killed: map[session.Fence]bool{},
		started: map[session.Fence]bool{}, returned: map[session.Fence]bool{}, outcomes: map[session.Fence]session.Outcome{}}
}

func (b *workerBook) fail(format string, args ...any) {
	b.w.book.fail(b.k.name+": "+format, args...)
}

// stepped sees what the machine made of an event.
func (b *workerBook) stepped(at session.Time, e session.Event, effects []session.Effect) {
	if b.lease > 0 && int64(at) >= b.deadline {
		b.lapsed = true
	}
	b.now = effects
	b.before(at, e)
	for _, effect := range effects {
		b.did(at, effect)
	}
	b.last = effects
	if b.k.machine.Attached() && int64(at) >= b.listened+(session.MissedHeartbeats+1)*b.beat {
		b.fail("still waits on a link that has been silent for too long")
	}
	if f, ok := e.(session.Finished); ok {
		b.checkFinished(f, effects)
	}
	if len(b.k.tasks)+starts(effects) > b.k.slots {
		b.fail("%d leases run in %d slots", len(b.k.tasks)+starts(effects), b.k.slots)
	}
}

func starts(effects []session.Effect) int {
	n := 0
	for _, e := range effects {
		if _, ok := e.(session.Start); ok {
			n++
		}
	}
	return n
}

func (b *workerBook) before(at session.Time, e session.Event) {
	switch e := e.(type) {
	case session.Received:
		if e.Session != b.link || b.attach == nil || b.lapsed && b.attached {
			return
		}
		b.listened = int64(at)
		b.toldToLeave(at, e.Response)
		b.renew(e.Response)
		b.answered(e.Response)
	case session.DrainAsked:
		b.leaveWithin(at, b.w.law.drain)
	}
}

// leaveWithin notes that a drain is to be over in a time; a second word can only
// make that shorter.
func (b *workerBook) leaveWithin(at session.Time, d time.Duration) {
	if by := int64(at) + int64(d); b.leaveBy == 0 || by < b.leaveBy {
		b.leaveBy = by
	}
}

// toldToLeave notes what the coordinator says of a drain.
func (b *workerBook) toldToLeave(at session.Time, r session.Response) {
	if !b.attached && r.Attached == nil {
		return
	}
	if r.Drain {
		within := r.DrainWithin
		if within == 0 {
			within = b.w.law.drain
		}
		b.leaveWithin(at, within)
	}
	b.freed = b.freed || r.Leave
}

// renew counts leases from when what renewed them was sent.
func (b *workerBook) renew(r session.Response) {
	if a := r.Attached; a != nil {
		b.attached, b.lapsed = true, false
		b.lease, b.beat = int64(a.Lease), int64(a.Heartbeat)
		b.deadline = b.sent + b.lease
	}
	for n, sent := range b.beats {
		if n <= r.Heartbeat && b.attached {
			b.deadline = max(b.deadline, sent+b.lease)
			delete(b.beats, n)
		}
	}
}

func (b *workerBook) did(at session.Time, e session.Effect) {
	switch e := e.(type) {
	case session.Connect:
		if e.Session <= b.link {
			b.fail("session %d follows session %d", e.Session, b.link)
		}
		b.link, b.attach, b.attached, b.freed = e.Session, nil, false, false
		clear(b.beats)
	case session.Send:
		b.said(at, e)
	case session.SendHeartbeat:
		b.beats[e.Sequence] = int64(at)
	case session.Start:
		f := e.Lease.Fence
		if b.returned[f] || b.started[f] {
			b.fail("starts %v, which it has returned or started before", f)
		}
		b.started[f] = true
	case session.Kill:
		b.killed[e.Fence] = true
	case session.Leave:
		if len(b.outcomes) > 0 && int64(at) < b.leaveBy {
			b.fail("leaves before its drain is over, with outcomes that nobody has acknowledged")
		}
		if int64(at) < b.leaveBy && b.k.machine.Attached() && !b.freed && b.keeps() {
			b.fail("leaves before its drain is over, with outputs, and was not let go")
		}
	}
}

// keeps says whether a worker has outputs that it does not drop in this step.
func (b *workerBook) keeps() bool {
	for _, o := range b.w.plane.inventory(b.k) {
		ended := slices.ContainsFunc(b.now, func(e session.Effect) bool {
			end, ok := e.(session.EndJob)
			return ok && end.Job == o.Job
		})
		if !ended && !drops(b.now, o.ID) {
			return true
		}
	}
	return false
}

// said checks what goes to the coordinator.
func (b *workerBook) said(at session.Time, e session.Send) {
	if a := e.Message.Attach; a != nil {
		b.attach, b.sent = a, int64(at)
		b.checkInventory(a)
	}
	if len(e.Message.Outcomes) > 0 && (b.lapsed || !b.attached) {
		b.fail("publishes past its deadline")
	}
	for _, o := range e.Message.Outcomes {
		if !b.started[o.Fence] {
			b.returned[o.Fence] = true
			b.outcomes[o.Fence] = o
		}
	}
}

// checkInventory: no outcome is forgotten that nobody has acknowledged.
func (b *workerBook) checkInventory(a *session.Attach) {
	listed := map[session.Fence]bool{}
	for _, o := range a.Outcomes {
		listed[o.Fence] = true
	}
	for f := range b.outcomes {
		if !listed[f] {
			b.fail("has forgotten an outcome that was not acknowledged")
		}
	}
}

// checkFinished notes what has to be remembered.
func (b *workerBook) checkFinished(f session.Finished, effects []session.Effect) {
	for _, e := range effects {
		if d, ok := e.(session.DropOutput); ok && d.ID == f.Outcome.Output.ID {
			return // the coordinator knows nothing of it
		}
	}
	if killed := b.killed[f.Outcome.Fence]; !killed {
		b.outcomes[f.Outcome.Fence] = f.Outcome
	}
}

// tookResponse checks what the machine did with what it heard.
func (b *workerBook) tookResponse(n session.Number, r session.Response) {
	if n != b.link || !b.attached || !b.k.alive || !b.k.machine.Attached() {
		return
	}
	if r.Attached != nil {
		b.checkDropped(r.Attached)
	}
	b.forget(r.EndedJobs) // and what was returned in this very step
	for _, id := range b.stale {
		if !b.dropped(id) {
			b.fail("keeps output %s, which the coordinator has refused", id)
		}
	}
}

// answered forgets what the coordinator knows.
func (b *workerBook) answered(r session.Response) {
	b.stale = b.stale[:0]
	if !b.attached {
		return
	}
	for _, a := range r.Acks {
		if o, ok := b.outcomes[a.Fence]; ok && a.Stale && o.Output.ID != "" {
			b.stale = append(b.stale, o.Output.ID)
		}
		delete(b.outcomes, a.Fence)
	}
	b.forget(r.EndedJobs)
}

// forget forgets what jobs came to that are over.
func (b *workerBook) forget(jobs []session.JobID) {
	for f := range b.outcomes {
		if slices.Contains(jobs, f.Job) {
			delete(b.outcomes, f)
		}
	}
}

func (b *workerBook) dropped(id session.OutputID) bool { return drops(b.last, id) }

func drops(effects []session.Effect, id session.OutputID) bool {
	return slices.ContainsFunc(effects, func(e session.Effect) bool {
		d, ok := e.(session.DropOutput)
		return ok && d.ID == id
	})
}

// checkDropped: what the coordinator does not keep ends at once.
func (b *workerBook) checkDropped(a *session.Attached) {
	for _, h := range b.attach.Leases {
		f := h.Lease.Fence
		if slices.Contains(a.Keep, f) {
			continue
		}
		delete(b.outcomes, f)
		for _, t := range b.k.tasks {
			if t.fence == f && !b.killed[f] {
				b.fail("goes on with a lease that the coordinator has dropped")
			}
		}
	}
}
