package session

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// world drives a machine at random and knows, more simply than the machine
// does, what must hold.
type world struct {
	t       *rapid.T
	m       *Machine
	slots   int
	now     Time
	link    Number // the last Connect
	opened  bool
	up      bool
	batch   BatchID
	unspent int
	waiting map[Fence]bool
	running map[Fence]bool
	unacked map[Fence]bool // finished, and neither acknowledged nor discarded
	alone   map[Fence]bool
	wake    Time
	left    bool
	let     bool // the coordinator needs the outputs no more
}

const testLease, testHeartbeat = 10 * time.Second, time.Second

func newWorld(t *rapid.T) *world {
	w := &world{t: t, slots: rapid.IntRange(1, 4).Draw(t, "slots"), waiting: map[Fence]bool{},
		running: map[Fence]bool{}, unacked: map[Fence]bool{}, alone: map[Fence]bool{}, wake: never}
	w.m = New(Config{Slots: w.slots, Bytes: 1000, MaxPrefetch: 8})
	w.step(Ticked{})
	return w
}

func (w *world) step(e Event) {
	for _, effect := range w.m.Step(w.now, uint64(w.now), e) {
		w.see(effect)
	}
	w.up = w.up && w.m.link.phase == attached
	w.check()
}

// see takes an effect, and checks that it was due.
func (w *world) see(e Effect) {
	switch e := e.(type) {
	case Connect:
		if e.Session <= w.link {
			w.t.Fatalf("session %d follows %d", e.Session, w.link)
		}
		w.link, w.opened, w.up, w.unspent = e.Session, false, false, 0
	case Send:
		w.sent(e)
	case SendHeartbeat:
		if !w.up || e.Session != w.link {
			w.t.Fatalf("heartbeat on a link that is not attached: %+v", e)
		}
	case Start:
		f := e.Lease.Fence
		if !w.waiting[f] {
			w.t.Fatalf("started %v, which does not wait", f)
		}
		delete(w.waiting, f)
		w.running[f] = true
	case Kill:
		if !w.running[e.Fence] {
			w.t.Fatalf("killed %v, which does not run", e.Fence)
		}
	case WakeAt:
		w.wake = e.At
	case Leave:
		w.left = true
		if len(w.running) > 0 && w.now < w.m.drain.deadline {
			w.t.Fatalf("left with %d leases running", len(w.running))
		}
		if kept := len(w.m.outputs.byID); kept > 0 && !w.let && w.up && w.now < w.m.drain.deadline {
			w.t.Fatalf("left with %d outputs, and was not let go", kept)
		}
	}
}

func (w *world) sent(e Send) {
	early := e.Message.Attach == nil && (e.Message.Batches > 0 || len(e.Message.Outcomes) > 0)
	if e.Session != w.link || !w.opened || !w.up && early {
		w.t.Fatalf("sent to a link that does not listen: %+v", e)
	}
	w.unspent += e.Message.Batches
	listed := map[Fence]bool{}
	if a := e.Message.Attach; a != nil {
		for _, h := range a.Leases {
			listed[h.Lease.Fence] = true
		}
		for _, o := range a.Outcomes {
			listed[o.Fence] = true
		}
		for f := range w.unacked {
			if !listed[f] {
				w.t.Fatalf("the inventory lacks the outcome of %v", f)
			}
		}
	}
	for _, o := range e.Message.Outcomes {
		if w.running[o.Fence] {
			w.t.Fatalf("reported %v, which still runs", o.Fence)
		}
		if w.waiting[o.Fence] {
			delete(w.waiting, o.Fence)
			w.unacked[o.Fence] = true
		}
	}
}

// check holds after each step.
func (w *world) check() {
	if len(w.running) > w.slots {
		w.t.Fatalf("%d leases run in %d slots", len(w.running), w.slots)
	}
	for f := range w.running {
		if w.alone[f] && len(w.running) > 1 {
			w.t.Fatalf("%v does not run alone", f)
		}
	}
	if w.left {
		return
	}
	if w.wake <= w.now {
		w.t.Fatalf("woken at %d, it is not to be woken again", w.now)
	}
	if got := w.m.Running(); got != len(w.running) {
		w.t.Fatalf("%d leases run, the machine says %d", len(w.running), got)
	}
	if w.up && w.m.Unspent() != w.unspent {
		w.t.Fatalf("%d leases may be granted, the machine says %d", w.unspent, w.m.Unspent())
	}
}

func (w *world) hear(r Response) {
	if w.up {
		w.step(Received{w.link, r})
	}
}

func (w *world) pick(of map[Fence]bool, name string) (Fence, bool) {
	if len(of) == 0 {
		return Fence{}, false
	}
	lowest := Fence{Batch: 1 << 62}
	skip := rapid.IntRange(0, len(of)-1).Draw(w.t, name)
	for range skip + 1 { // the next higher one, so that the choice repeats
		next := Fence{Batch: 1 << 62}
		for f := range of {
			if f.Batch < next.Batch && (lowest.Batch == 1<<62 || f.Batch > lowest.Batch) {
				next = f
			}
		}
		lowest = next
	}
	return lowest, true
}

func (w *world) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"pass": func(t *rapid.T) {
			w.now = w.now.Add(time.Duration(rapid.IntRange(1, 2000).Draw(t, "ms")) * time.Millisecond)
			w.step(Ticked{})
		},
		"open": func(*rapid.T) { w.open() },
		"attach": func(t *rapid.T) {
			w.open()
			w.attach(rapid.Bool().Draw(t, "keep"))
		},
		"break": func(t *rapid.T) {
			if rapid.IntRange(0, 9).Draw(t, "now") == 7 {
				w.up = false
				w.step(Broken{w.link})
			}
		},
		"grant": func(t *rapid.T) { w.grant(rapid.IntRange(0, 9).Draw(t, "alone") == 7) },
		"finish": func(t *rapid.T) {
			if f, ok := w.pick(w.running, "which"); ok {
				w.finish(f, Class(rapid.IntRange(1, 8).Draw(t, "class")))
			}
		},
		"ack": func(t *rapid.T) {
			if f, ok := w.pick(w.unacked, "which"); ok && w.up {
				delete(w.unacked, f)
				w.hear(Response{Acks: []Ack{{f, rapid.Bool().Draw(t, "stale")}}})
			}
		},
		"revoke": func(t *rapid.T) {
			if f, ok := w.pick(w.waiting, "which"); ok {
				w.hear(Response{Revokes: []Revoke{{f, rapid.Bool().Draw(t, "if waiting")}}})
			}
		},
		"heard": func(*rapid.T) { w.hear(Response{Heartbeat: w.m.link.sequence}) },
		"leave": func(*rapid.T) {
			w.let = w.let || w.up && w.m.drain.on
			w.hear(Response{Leave: true})
		},
		"drain": func(t *rapid.T) {
			if rapid.IntRange(0, 99).Draw(t, "now") == 57 { // the ends of a range are drawn often
				w.step(DrainAsked{})
			}
		},
	}
}

func (w *world) open() {
	if w.m.link.phase == connecting {
		w.opened = true
		w.step(Opened{w.link})
	}
}

// attach answers for the inventory: it keeps all, or nothing.
func (w *world) attach(keep bool) {
	if w.m.link.phase != attaching {
		return
	}
	var kept []Fence
	for _, of := range []*list{&w.m.leases.waiting, &w.m.leases.running, &w.m.leases.finished} {
		for e := range of.all {
			f := e.lease.Fence
			if e.listed != w.link {
				continue
			}
			if keep {
				kept = append(kept, f)
			} else {
				delete(w.waiting, f)
				delete(w.unacked, f)
			}
		}
	}
	w.up, w.let = true, false
	w.step(Received{w.link, Response{Attached: &Attached{Term: 1, Lease: testLease, Heartbeat: testHeartbeat, Keep: kept}}})
}

func (w *world) grant(alone bool) {
	if !w.up || w.unspent == 0 {
		return
	}
	w.batch++
	f := Fence{Job: 1, Batch: w.batch, Attempt: 1, Term: 1}
	w.unspent--
	w.waiting[f], w.alone[f] = true, alone
	w.hear(Response{Grants: []Lease{{Fence: f, Bytes: 10, Alone: alone}}})
}

func (w *world) finish(f Fence, c Class) {
	e := w.m.leases.byFence[f]
	delete(w.running, f)
	if !e.killed || e.why != KillDropped {
		w.unacked[f] = true
	}
	o := Outcome{Fence: f, Class: c}
	if c == Done {
		o.Output = Output{ID: OutputID(fenceText(f)), Job: f.Job}
	}
	w.step(Finished{o})
}

// TestRandomLives holds a machine to what its world knows, whatever happens.
func TestRandomLives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		actions := w.actions()
		for name, act := range actions {
			actions[name] = func(t *rapid.T) {
				if w.left {
					return
				}
				w.t = t
				act(t)
			}
		}
		t.Repeat(actions)
	})
}

// TestDrainEnds: whatever a worker holds, a drain ends within its time.
func TestDrainEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		actions := w.actions()
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			name := rapid.SampledFrom([]string{"pass", "open", "attach", "grant", "finish", "heard", "leave"}).Draw(t, "action")
			actions[name](t)
		}
		w.step(DrainAsked{Within: 5 * time.Second})
		if !w.left {
			w.now = w.now.Add(5*time.Second + DefaultLeaveAfter)
			w.step(Ticked{})
		}
		if !w.left {
			t.Fatalf("the worker has not left")
		}
	})
}

// TestNothingIsPublishedPastTheDeadline: once its leases are over, a machine
// says nothing before it has attached again.
func TestNothingIsPublishedPastTheDeadline(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := attachedMachine(Config{Slots: 1})
		f := Fence{Job: 1, Batch: 1, Attempt: 1, Term: 1}
		m.Step(0, 1, Received{1, Response{Grants: []Lease{{Fence: f}}}})
		sent := rapid.IntRange(0, 3).Draw(t, "renewals")
		for n := range sent {
			m.Step(Time(n+1)*Time(time.Second), 1, Ticked{})
			m.Step(Time(n+1)*Time(time.Second), 1, Received{1, Response{Heartbeat: uint64(n + 1)}})
		}
		late := Time(sent)*Time(time.Second) + Time(testLease) + Time(rapid.IntRange(0, 1e9).Draw(t, "late"))
		for _, e := range m.Step(late, 1, Finished{Outcome{Fence: f, Class: Done}}) {
			if s, ok := e.(Send); ok {
				t.Fatalf("said %+v", s)
			}
		}
	})
}
