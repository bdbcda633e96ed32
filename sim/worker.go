package sim

import (
	"slices"
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/worker/session"
)

// worker is the shell around the real session machine, with a data plane that
// only pretends. Its processes come and go; its name stays.
type worker struct {
	w          *world
	index      int
	name       string
	slots      int
	labels     []ledger.Label
	processors []string
	speed      float64 // positions a second
	spool      int64   // bytes that its outputs may have; no limit when 0
	offset     time.Duration
	drift      float64

	twin        *worker // another process that goes by the same name; nil if none does
	incarnation uint64  // of the process that runs, or ran last
	former      uint64  // of the one before
	rumours     rumours // what gossip is about to say of it
	refused     moment  // when the coordinator turned it away first; 0 if it is not turned away

	life    int  // its processes so far
	alive   bool // a process runs
	frozen  bool // but gets no time
	leaving bool // it drains
	left    bool // it has left in order
	gone    bool // it never comes back
	sick    bool // it fails whatever it gets
	backlog []func()
	wakes   int

	frozeAt   moment
	suspended bool // its clock stands still while it is frozen

	machine *session.Machine
	number  session.Number // the highest session so far
	link    *link
	tasks   []*task
	made    int // outputs so far
}

// task is an attempt that runs.
type task struct {
	lease     *ledger.Lease
	def       *jobDef
	holders   []*worker // who should have each input
	fence     session.Fence
	began     moment
	killed    bool
	why       session.KillReason
	suspended bool
	ripe      bool // it would be over, but may not publish
}

func (k *worker) id() ledger.WorkerID { return ledger.WorkerID(k.name) }

// clock is what its own clock says; it runs a little fast or slow.
func (k *worker) clock() session.Time {
	return session.Time(int64(k.offset) + int64(float64(k.w.now)*(1+k.drift)))
}

// run does something in one of its lives, unless that is over; a frozen
// process does it later.
func (k *worker) run(life int, do func()) {
	switch {
	case !k.alive || k.life != life || k.w.book.fault != nil:
	case k.frozen:
		k.backlog = append(k.backlog, do)
	default:
		do()
	}
}

func (k *worker) later(d time.Duration, do func()) {
	life := k.life
	k.w.after(d, func() { k.run(life, do) })
}

// start begins a process. What an earlier one left in the spool is still there.
func (k *worker) start() {
	k.life++
	k.alive, k.frozen, k.leaving, k.left = true, false, false, false
	k.tasks, k.backlog, k.link, k.refused = nil, nil, nil, 0
	k.former = k.incarnation
	k.incarnation = uint64(k.w.now) + uint64(k.index) + 1 // no two processes start at the same moment
	k.number = session.Number(k.incarnation)
	k.machine = session.New(session.Config{
		Session: k.number, Slots: k.slots, Bytes: k.w.law.creditBytes, Outputs: k.w.plane.inventory(k),
		MaxPrefetch: k.w.law.prefetch, Drain: k.w.law.drain, Bug: k.w.bugs.Session,
	})
	k.w.note("start", uint64(k.index), uint64(k.life))
	k.w.tell("%s (process %d) starts, incarnation %d", k.name, k.index, k.incarnation)
	k.w.book.workers[k.index] = newWorkerBook(k)
	k.tellTruth(k.w.between(0, 2*time.Second))
	k.step(session.Ticked{})
}

// crash ends a process without a word; its spool may be lost with it.
func (k *worker) crash(spool bool) {
	k.w.note("die", uint64(k.index), uint64(k.life))
	k.w.tell("%s crashes, its spool is lost: %v", k.name, spool)
	k.end()
	k.unheard()
	if spool {
		k.w.plane.burn(k)
	}
	if k.link != nil && k.link.workerEnd {
		k.link.workerEnd = false
		k.link.tellCoordinator(k.w.between(0, 3*time.Second))
	}
}

func (k *worker) end() {
	k.alive, k.machine, k.tasks, k.backlog = false, nil, nil, nil
}

// freeze stops a process; thaw lets it go on, and hear what it missed. When its
// whole machine was suspended, its clock has stood still: it believes that its
// leases are live, and only their fences tell.
func (k *worker) freeze() {
	k.w.tell("%s freezes", k.name)
	k.frozen, k.frozeAt, k.suspended = true, k.w.now, k.w.chance(0.5)
	k.unheard()
}

func (k *worker) thaw() {
	k.w.tell("%s thaws, its clock stood still: %v", k.name, k.suspended)
	k.frozen = false
	k.tellTruth(k.w.between(0, 2*time.Second))
	if k.suspended {
		k.offset -= time.Duration(float64(k.w.now-k.frozeAt) * (1 + k.drift))
	}
	backlog := k.backlog
	k.backlog = nil
	for _, do := range backlog {
		if k.alive && k.w.book.fault == nil {
			do()
		}
	}
}

func (k *worker) opened(l *link) {
	if k.link != nil && k.link != l {
		k.link.closedByWorker()
	}
	k.link = l
	k.step(session.Opened{Session: l.number})
}

func (k *worker) heard(l *link, r session.Response) {
	if r.Attached != nil {
		k.refused = 0
	}
	k.step(session.Received{Session: l.number, Response: r})
	k.w.book.workers[k.index].tookResponse(l.number, r)
}

// step has the machine take an event, and does what it wants.
func (k *worker) step(e session.Event) {
	k.w.tellOf("  "+k.name+" ", e)
	at, life := k.clock(), k.life
	effects := k.machine.Step(at, k.w.rng.Uint64(), e)
	k.w.book.workers[k.index].stepped(at, e, effects)
	for _, effect := range effects {
		k.w.tellOf("    "+k.name+" > ", effect)
		if !k.alive || k.life != life {
			return
		}
		k.do(effect)
	}
}

func (k *worker) do(e session.Effect) {
	w := k.w
	switch e := e.(type) {
	case session.Connect:
		w.note("connect", uint64(k.index), uint64(e.Session))
		if k.link != nil {
			k.link.closedByWorker()
		}
		w.connect(k, e.Session)
	case session.Send:
		w.note("send", uint64(k.index), uint64(len(e.Message.Outcomes)))
		k.link.sendUp(e.Message)
	case session.SendHeartbeat:
		k.link.sendBeat(k.heartbeat(e))
	case session.Start:
		k.begin(e.Lease)
	case session.Kill:
		k.kill(e)
	case session.Suspend:
		if t := k.task(e.Fence); t != nil {
			t.suspended = true
		}
	case session.Resume:
		if t := k.task(e.Fence); t != nil {
			k.resume(t)
		}
	case session.DropOutput:
		w.plane.drop(k, ledger.OutputID(e.ID))
	case session.EndJob:
		w.plane.dropJob(k, ledger.JobID(e.Job))
	case session.Leave:
		k.leave()
	case session.WakeAt:
		k.wakeAt(e.At)
	}
}

func (k *worker) wakeAt(at session.Time) {
	k.wakes++
	wakes := k.wakes
	real := moment(float64(int64(at)-int64(k.offset))/(1+k.drift)) + 2
	k.later(real-k.w.now, func() {
		if k.wakes == wakes {
			k.step(session.Ticked{})
		}
	})
}

func (k *worker) heartbeat(e session.SendHeartbeat) ledger.Heartbeat {
	b := ledger.Heartbeat{Worker: k.id(), Session: ledger.SessionID(e.Session), Sequence: e.Sequence}
	for _, t := range k.tasks {
		b.Progress = append(b.Progress, ledger.Progress{Fence: t.lease.Fence, Records: 1})
	}
	return b
}

// task finds a task; nil when it has just ended, and the machine did not know.
func (k *worker) task(f session.Fence) *task {
	i := slices.IndexFunc(k.tasks, func(t *task) bool { return t.fence == f })
	if i < 0 {
		return nil
	}
	return k.tasks[i]
}

func (k *worker) begin(lease session.Lease) {
	x := lease.Work.(*work)
	t := &task{lease: x.lease, def: x.def, holders: x.holders, fence: lease.Fence, began: k.w.now}
	k.tasks = append(k.tasks, t)
	if t.def.began == 0 {
		t.def.began = k.w.now
	}
	d := k.w.plane.duration(k, t.lease)
	k.w.note("begin", uint64(k.index), uint64(lease.Fence.Batch))
	k.later(d, func() { k.over(t) })
}

// kill ends a task soon; by chance it is over just before.
func (k *worker) kill(e session.Kill) {
	t := k.task(e.Fence)
	if t == nil {
		return
	}
	t.killed, t.why = true, e.Why
	if t.ripe {
		k.later(0, func() { k.report(t, session.KilledSignal, nil) })
		return
	}
	k.later(k.w.between(0, 300*time.Millisecond), func() { k.over(t) })
}

func (k *worker) resume(t *task) {
	t.suspended = false
	if t.ripe {
		k.later(0, func() { k.over(t) })
	}
}

// over ends a task that has run its time or was killed. A commit publishes, so
// it waits while its lease is in doubt.
func (k *worker) over(t *task) {
	if !slices.Contains(k.tasks, t) {
		return
	}
	if t.killed && k.w.chance(0.8) {
		k.report(t, session.KilledSignal, nil)
		return
	}
	if t.suspended && t.lease.Kind == ledger.LeaseCommit {
		t.ripe = true
		return
	}
	class, r := k.w.plane.compute(k, t)
	k.report(t, class, r)
}

func (k *worker) report(t *task, class session.Class, r *result) {
	if !slices.Contains(k.tasks, t) {
		return
	}
	k.tasks = slices.DeleteFunc(k.tasks, func(u *task) bool { return u == t })
	o := session.Outcome{Fence: t.fence, Class: class, Elapsed: k.w.now - t.began}
	t.def.worked += o.Elapsed
	if r != nil {
		o.Body = r
		if r.output.ID != "" {
			o.Output = session.Output{ID: session.OutputID(r.output.ID), Job: t.fence.Job, Body: r.output}
		}
	}
	k.w.note("over", uint64(k.index), uint64(t.fence.Batch), uint64(class))
	k.step(session.Finished{Outcome: o})
}

// leave ends a process that has drained. Its spool goes with it.
func (k *worker) leave() {
	k.w.note("leave", uint64(k.index), uint64(k.life))
	k.w.tell("%s leaves", k.name)
	l := k.link
	k.end()
	k.left = true
	k.w.after(k.w.between(time.Second, 15*time.Second), func() { k.w.revive(k) })
	k.tellTruth(k.w.between(0, time.Second))
	k.w.plane.burn(k)
	if l != nil {
		l.closedByWorker()
	}
}

// drain asks the process to leave.
func (k *worker) drain() {
	k.w.note("drain", uint64(k.index))
	k.leaving = true
	k.step(session.DrainAsked{})
}
