package sim

import (
	"slices"
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
)

// keeper is a client whose result is kept: it reads it several times, perhaps
// has it copied by the coordinator, and then has the job removed, or leaves it
// to its time.
type keeper struct {
	reads   int  // times that it has yet to read all of it
	shelves bool // the coordinator copies the result when the job is done
	removes bool // it ends the job's time itself
	removed bool // it has said so

	shelf spans // the coordinator's copy
	copy  bool  // there is one
	got   spans // so far, this time
	tries int   // for which what is lost could not be made again
}

// maxRemakes is after how many failures to make a result again it is given up.
const maxRemakes = 4

// keeps says whether a client's result is kept for it.
func (c *client) keeps() bool { return c.job.settings.Keep && c.reads }

// look looks whether the result is there, as long as it is wanted.
func (c *client) look() {
	if c.id == 0 || c.w.book.jobs[c.id].forgotten {
		return
	}
	again := func(in time.Duration) {
		lives := c.lives
		c.w.after(in, func() {
			if c.lives == lives {
				c.look()
			}
		})
	}
	pause := c.w.between(100*time.Millisecond, 2*time.Second)
	if !c.w.coordinator.up {
		again(pause)
		return
	}
	v, ok := c.w.coordinator.ledger.Job(c.id, c.w.coordinator.clock())
	switch {
	case !ok || v.State.Over() && v.State != ledger.StateDone:
		return
	case v.State != ledger.StateDone:
		again(pause)
	case c.keeper.copy:
		c.w.book.readAgain(c.id, c.keeper.shelf)
		c.wasRead(again)
	default:
		c.list(v.Remake, again)
	}
}

// list asks where the result is, and reads it from there; what is lost of it is
// made again first.
func (c *client) list(why string, again func(time.Duration)) {
	parts, complete := c.w.coordinator.ledger.Result(c.id)
	if !complete {
		if why != "" {
			c.keeper.tries++
		}
		if c.keeper.tries == maxRemakes {
			c.remove()
			return
		}
		c.w.coordinator.step(ledger.ResultRequested{Job: c.id})
		again(c.w.between(500*time.Millisecond, 3*time.Second))
		return
	}
	c.w.note("list", uint64(c.id), uint64(len(parts)))
	c.w.book.listed(c.id, parts)
	c.keeper.got = nil
	c.take(slices.Clone(parts), again)
}

// take reads one output after the other.
func (c *client) take(parts []ledger.Part, again func(time.Duration)) {
	if len(parts) == 0 {
		c.w.book.readAgain(c.id, c.keeper.got)
		if c.keeper.shelves && c.w.coordinator.up {
			c.keeper.shelf, c.keeper.copy, c.keeper.shelves = c.keeper.got, true, false
			c.w.coordinator.step(ledger.ResultShelved{Job: c.id})
		}
		c.wasRead(again)
		return
	}
	held := c.w.plane.contents[parts[0].Output.ID]
	switch {
	case held.gone:
		c.w.coordinator.step(ledger.OutputLost{Outputs: []ledger.OutputID{held.id}})
		again(c.w.between(0, time.Second))
	case !held.holder.alive || held.holder.frozen:
		again(time.Second)
	default:
		c.keeper.got = c.keeper.got.join(held.spans)
		lives := c.lives
		c.w.after(c.w.between(0, c.job.readPause/4), func() {
			if c.lives == lives && !c.w.book.jobs[c.id].forgotten {
				c.take(parts[1:], again)
			}
		})
	}
}

// wasRead goes on when all of it was read.
func (c *client) wasRead(again func(time.Duration)) {
	k := &c.keeper
	if k.reads--; k.reads > 0 {
		again(c.w.between(0, 10*time.Second))
		return
	}
	if k.removes {
		c.remove()
	}
}

// remove has the job forgotten, if that was not asked for before.
func (c *client) remove() {
	if c.keeper.removed {
		return
	}
	c.keeper.removed = true
	c.w.book.removes(c.id)
	lives, done := c.lives, false
	var again func()
	again = func() {
		if done || c.lives != lives {
			return // another job has its number by now, or none
		}
		c.ask(func(r ledger.RequestID) ledger.Event { return ledger.JobRemoved{Request: r, Job: c.id} },
			func(a ledger.Answer) { done = a.Code != ledger.AnswerRunning })
		c.w.after(clientPause, again)
	}
	again()
}
