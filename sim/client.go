package sim

import (
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
)

// client submits one job, changes its mind about it, and reads its result.
type client struct {
	w      *world
	job    *jobDef
	id     ledger.JobID
	asked  map[ledger.RequestID]func(ledger.Answer) // by what was asked
	lives  int                                      // of the coordinators that knew of it, and have forgotten
	sated  bool                                     // it had all that it wanted of a job that nobody remembers
	reads  bool
	reader reader
	keeper keeper // where its result is kept
}

// reader is how far a client has read.
type reader struct {
	epoch  int // the coordinator's life that was asked
	queue  []ledger.Output
	last   bool // nothing follows the queue
	busy   bool
	ended  bool
	lost   bool // an output was: what is told before the restart is void
	number int  // of the queue that holds
}

// clientPause is how long a client waits for an answer before it asks again.
const clientPause = 1500 * time.Millisecond

func (w *world) newClient(j *jobDef) *client {
	c := &client{w: w, job: j, asked: map[ledger.RequestID]func(ledger.Answer){},
		keeper: keeper{reads: w.pick(1, 3), shelves: w.chance(0.3), removes: w.chance(0.5)}}
	w.queue.add(j.submitAt, c.submit)
	if j.twice {
		w.queue.add(j.submitAt+w.between(0, 100*time.Millisecond), c.submit)
	}
	if j.cancelAt > 0 {
		w.queue.add(j.cancelAt, func() {
			w.book.cancels(j)
			c.insist(func(r ledger.RequestID) ledger.Event {
				return ledger.JobCancelled{Request: r, Job: c.id, Reason: "not wanted"}
			}, nil)
		})
	}
	if j.pauseAt > 0 {
		w.queue.add(j.pauseAt, func() {
			c.insist(c.pause, func() { w.after(j.resumeAt-w.now, func() { c.insist(c.unpause, nil) }) })
		})
	}
	return c
}

// ask sends a request; its answer comes, or never does.
func (c *client) ask(of func(ledger.RequestID) ledger.Event, answered func(ledger.Answer)) {
	w := c.w
	w.coordinator.requests++
	r := w.coordinator.requests
	lives := c.lives
	c.asked[r] = func(a ledger.Answer) {
		if c.lives == lives {
			answered(a)
		}
	}
	w.after(w.latency(), func() { w.coordinator.step(of(r)) })
}

// insist asks until it is answered, and then goes on. It waits for the job to
// be known.
func (c *client) insist(of func(ledger.RequestID) ledger.Event, then func()) {
	done := false
	var again func()
	again = func() {
		if done {
			return
		}
		if c.id != 0 {
			c.ask(of, func(ledger.Answer) {
				if !done && then != nil {
					then()
				}
				done = true
			})
		}
		c.w.after(clientPause, again)
	}
	again()
}

func (c *client) pause(r ledger.RequestID) ledger.Event {
	return ledger.JobPaused{Request: r, Job: c.id}
}

func (c *client) unpause(r ledger.RequestID) ledger.Event {
	return ledger.JobResumed{Request: r, Job: c.id}
}

// submit asks for the job, with its key, until it has a number.
func (c *client) submit() {
	j, done := c.job, false
	c.ask(func(r ledger.RequestID) ledger.Event {
		return ledger.JobSubmitted{Request: r, Key: j.key, Settings: j.settings, Spec: j.spec, PlanOnly: j.planOnly}
	}, func(a ledger.Answer) {
		if a.Code == ledger.AnswerOK && c.w.book.jobs[a.Job] == nil {
			return // the log was lost while the answer was on its way
		}
		done = true
		if a.Code != ledger.AnswerOK {
			c.w.book.fail("the submission of %s was answered by code %d", j.key, a.Code)
			return
		}
		c.accepted(a)
	})
	lives := c.lives
	c.w.after(clientPause, func() {
		if !done && c.lives == lives {
			c.submit()
		}
	})
}

func (c *client) accepted(a ledger.Answer) {
	c.w.book.accepted(c.job, a)
	if c.id != 0 {
		return
	}
	c.id = a.Job
	c.reads = !c.job.toFiles() && !c.job.planOnly
	lives := c.lives
	c.w.after(c.job.readAfter, func() {
		switch {
		case c.lives != lives || !c.reads:
		case c.keeps():
			c.look()
		default:
			c.request()
		}
	})
}

// forgotten is what a client is told whose coordinator knows nothing of its job
// any more: it submits it again, unless it had what it wanted.
func (c *client) forgotten() {
	if c.id == 0 {
		return // it still asks
	}
	j := c.w.book.jobs[c.id]
	state := j.state
	c.sated = j.forgotten || state.Over() && (state != ledger.StateDone || !c.reads || c.reader.ended)
	c.id = 0
	c.keeper.copy, c.keeper.removed, c.keeper.reads = false, false, c.keeper.reads+1
	c.lives++
	c.forget()
	c.reader.ended = false
	if !c.sated {
		c.w.after(c.w.between(0, 5*time.Second), c.submit)
	}
}

// answered hands an answer to the client that asked.
func (w *world) answered(a ledger.Answer) {
	w.note("answered", uint64(a.Request), uint64(a.Code), uint64(a.Job))
	if w.operator.answered(a) {
		return
	}
	for _, c := range w.clients {
		if answered := c.asked[a.Request]; answered != nil {
			delete(c.asked, a.Request)
			w.after(w.latency(), func() { answered(a) })
			return
		}
	}
}

// over says whether the client has all that it can get.
func (c *client) over() bool {
	if c.id == 0 {
		return c.sated
	}
	j := c.w.book.jobs[c.id]
	if j.forgotten {
		return true
	}
	v, ok := c.w.coordinator.ledger.Job(c.id, c.w.coordinator.clock())
	if c.keeps() && v.State == ledger.StateDone {
		return false // not before it is forgotten
	}
	return ok && v.State.Over() && (v.State != ledger.StateDone || !c.reads || c.reader.ended)
}

// request asks a coordinator for the result, and its successors, too.
func (c *client) request() {
	w := c.w
	if w.book.jobs[c.id].forgotten {
		return
	}
	if w.coordinator.up && c.reader.ended {
		if v, _ := w.coordinator.ledger.Job(c.id, w.coordinator.clock()); v.ResultRead {
			return // durably so; otherwise the last of it is read once more
		}
	}
	if w.coordinator.up && c.reader.epoch != w.coordinator.epoch {
		c.reader.epoch, c.reader.ended = w.coordinator.epoch, false
		c.forget()
		w.book.rereads(c.id)
		w.coordinator.step(ledger.ResultRequested{Job: c.id})
	}
	lives := c.lives
	w.after(clientPause, func() {
		if c.lives == lives {
			c.request()
		}
	})
}

// forget drops what was told and not read.
func (c *client) forget() {
	r := &c.reader
	r.queue, r.last, r.busy, r.lost = nil, false, false, false
	r.number++
}

// ready hands outputs of a result to its reader.
func (w *world) ready(e ledger.OutputReady) {
	w.note("ready", uint64(e.Job), uint64(len(e.Outputs)))
	for _, c := range w.clients {
		if c.id != e.Job {
			continue
		}
		if e.Restart {
			c.forget()
		} else if c.reader.lost {
			continue
		}
		c.reader.queue = append(c.reader.queue, e.Outputs...)
		c.reader.last = c.reader.last || e.Last
		c.read()
	}
}

// read takes the next output, which may have to wait for its holder.
func (c *client) read() {
	r := &c.reader
	if r.busy {
		return
	}
	if len(r.queue) == 0 {
		if r.last && !r.ended {
			r.ended = true
			c.w.book.everythingRead(c.id)
		}
		return
	}
	r.busy = true
	number := r.number
	pause := c.job.readPause
	if !c.w.faulty {
		pause = min(pause, 300*time.Millisecond) // in the end everybody wants his result
	}
	c.w.after(c.w.between(0, pause), func() { c.fetch(number) })
}

func (c *client) fetch(number int) {
	w, r := c.w, &c.reader
	if r.number != number {
		return
	}
	if !w.coordinator.up || r.epoch != w.coordinator.epoch {
		c.forget() // the stream breaks with its coordinator
		return
	}
	out := r.queue[0]
	held := w.plane.contents[out.ID]
	switch {
	case held.gone:
		c.forget() // what follows is told again
		r.lost = true
		w.coordinator.step(ledger.OutputLost{Outputs: []ledger.OutputID{out.ID}})
	case !held.holder.alive || held.holder.frozen:
		w.after(500*time.Millisecond, func() { c.fetch(number) })
	default:
		r.queue, r.busy = r.queue[1:], false
		w.book.consumed(c.id, out, held)
		w.coordinator.step(ledger.ResultConsumed{Job: c.id, Output: out.ID})
		if r.number == number {
			c.read()
		}
	}
}
