package sim

import (
	"slices"

	"github.com/millrace/millrace/coordinator/ledger"
)

// outputBook is what was said of an output that could not be had.
type outputBook struct {
	lost   bool              // somebody knows that it is not there
	given  bool              // it was proposed to give it up
	missed []ledger.WorkerID // who did not reach its holder, once for each time
}

// mayBeLost is how often an output must have been out of reach for one worker to
// count as lost; for two workers once each is enough.
const mayBeLost = 3

func (b *book) outputOf(id ledger.OutputID) *outputBook {
	o := b.outputs[id]
	if o == nil {
		o = &outputBook{}
		b.outputs[id] = o
	}
	return o
}

// missing notes what a worker says of inputs that it could not have.
func (b *book) missing(s *seat, all []ledger.Missing) {
	for _, m := range all {
		if o := b.outputOf(m.Output); m.Gone {
			o.lost = true
		} else {
			o.missed = append(o.missed, s.name)
		}
	}
}

// audit notes which outputs a worker has not, whose spool they should be in.
func (b *book) audit(e ledger.WorkerAttached) {
	has := map[ledger.OutputID]bool{}
	for _, id := range e.Outputs {
		has[id] = true
	}
	for _, o := range e.Outcomes {
		has[o.Output.ID] = true
	}
	for _, id := range b.w.plane.order {
		if c := b.w.plane.contents[id]; ledger.WorkerID(c.holder.name) == e.Worker && !has[id] {
			b.outputOf(id).lost = true
		}
	}
}

// mayHaveLost says whether there was reason enough to give an output up: it is
// known to be gone, out of reach for several, or its holder is away for long.
func (b *book) mayHaveLost(at ledger.Time, id ledger.OutputID) bool {
	o, c := b.outputOf(id), b.w.plane.contents[id]
	if o.lost || len(o.missed) >= mayBeLost || len(o.missed) > 1 && slices.ContainsFunc(o.missed, func(n ledger.WorkerID) bool { return n != o.missed[0] }) {
		return true
	}
	refiled := c.kind == ledger.OutputFile && len(b.jobs[c.job].unseen[tried{committing, span{0, 1}}]) > 0
	s := b.seatOf(c.holder.id())
	return refiled || s.burnt || s.scorched || s.dead(at) && b.jobs[c.job].kept() // that is not done with parts that dead workers hold
}

// burn notes whose outputs may be given up: who has been away for long, or for
// a while and is dead, or has said that he leaves.
func (b *book) burn(at ledger.Time) {
	law := &b.w.law.ledger
	for _, s := range b.seats {
		switch {
		case s.attached:
			s.burnt = s.burnt || s.buried() && at >= s.heard.Add(3*s.heartbeat+law.DeadGone)
		case at >= s.gone.Add(law.WorkerGone), s.dead(at) && (s.opinion == ledger.OpinionLeft || at >= s.died.Add(law.DeadGone)):
			s.burnt = true
		}
	}
}

// loses checks that outputs are given up for a reason, and no others.
func (b *book) loses(at ledger.Time, f *ledger.OutputsLost) {
	if j := b.jobs[f.Job]; f.Wanted && (!j.wanted || !j.rests()) {
		b.fail("the lost parts of job %d are to be made again, and nobody has asked", f.Job)
	}
	for _, id := range f.Outputs {
		b.outputOf(id).given = true
		if !b.mayHaveLost(at, id) {
			b.fail("output %s of job %d is given up, and nobody has missed it: %+v, %+v", id, f.Job, *b.outputOf(id), *b.seatOf(b.w.plane.contents[id].holder.id()))
		}
	}
}
