package sim

import (
	"slices"

	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/worker/session"
)

// What becomes of spools that are too small is in this file: of the world, and
// of what the book has to say to it.

// drawSpools bounds what workers may hold, so that any job finds room, and not
// all of them do.
func (w *world) drawSpools() {
	if !w.law.spools {
		return
	}
	most := int64(0)
	for _, c := range w.clients {
		most = max(most, 10*c.job.total)
	}
	for _, k := range w.workers {
		k.spool = most/2 + w.rng.Int64N(most)
		if k.index == 0 { // it can do everything
			k.spool += most
		}
	}
}

// room says whether there is room for an output of a job in a worker's spool:
// Done if so. It is the others' fault when an empty spool would take it.
func (p *plane) room(k *worker, job ledger.JobID, kind ledger.OutputKind, bytes int64) session.Class {
	if k.spool == 0 || kind == ledger.OutputFile {
		return session.Done
	}
	var own, others int64
	for _, id := range p.order {
		switch c := p.contents[id]; {
		case c.holder != k || c.gone || c.kind == ledger.OutputFile:
		case c.job == job:
			own += 10 * c.spans.len()
		default:
			others += 10 * c.spans.len()
		}
	}
	switch {
	case own+others+bytes <= k.spool:
		return session.Done
	case own+bytes <= k.spool:
		return noRoom
	}
	return session.Retryable
}

// due is how many positions of a stage were never leased, and need not wait for
// others of their job for which there was no room.
func (j *jobBook) due(g *stageBook) int64 {
	if len(j.full) > 0 {
		return 0
	}
	return g.untouched()
}

// leftToRoomier says whether a worker had no room for what some of a range comes
// to, and leaves it to another one, be it that this one has none either: when it
// is tried anew everybody is asked once more.
func (b *book) leftToRoomier(j *jobBook, s *seat, on tried, requires []string) bool {
	for was, full := range j.full { // in any order: it is a question of yes or no
		if was.stage == on.stage && was.span.overlaps(on.span) && slices.Contains(full, s.name) && b.unasked(j, []ledger.WorkerID{s.name}, requires) {
			return true
		}
	}
	return false
}

// unasked says whether some worker may be given what others were asked.
func (b *book) unasked(j *jobBook, asked []ledger.WorkerID, requires []string) bool {
	return slices.ContainsFunc(b.seats, func(s *seat) bool {
		return s.takes() && !slices.Contains(asked, s.name) && fits(s.worker, j.def.settings.Labels, requires)
	})
}

// checkRoom: that a spool has no room spends nothing while somebody was not
// asked, or results of jobs that are over are in the way.
func (b *book) checkRoom(f *ledger.RangeFailed) {
	r, j := b.reports[f.Fence], b.jobs[f.Fence.Job]
	if r == nil || r.class != ledger.OutcomeNoRoom || j == nil || f.Class == ledger.OutcomeExpired {
		return // that its lease had run out by then is another thing
	}
	var requires []string
	if f.Stage >= 0 {
		requires = j.def.plan.Stages[f.Stage].Requires
	}
	full := j.full[tried{f.Stage, span{int64(f.From), int64(f.To)}}]
	blind := j.unseen[tried{f.Stage, span{int64(f.From), int64(f.To)}}]
	if b.unasked(j, slices.Concat(full, blind, b.cutOffFrom(j, f.Stage), b.outOf(b.w.coordinator.clock(), j, f.Stage)), requires) {
		b.fail("%v spends an attempt since %v have no room, and another one was not asked", f.Fence, full)
	}
	for _, name := range full {
		if s := b.seatOf(name); s.takes() && b.keeps(s) {
			b.fail("%v spends an attempt since %v have no room, and %s holds results of jobs that are over", f.Fence, full, name)
		}
	}
}

// cutOffFrom are the workers that once did not reach an output that a stage reads.
func (b *book) cutOffFrom(j *jobBook, stage int) (all []ledger.WorkerID) {
	if stage < 1 {
		return nil
	}
	for _, e := range j.stages[stage-1].done {
		all = append(all, b.outputOf(e.out).missed...)
	}
	return all
}

// rested are the outputs of a job that is over that lie in spools.
func (b *book) rested(j *jobBook) (all []*content) {
	if !j.state.Over() || j.gone || j.ruined() || j.forgotten || j.shelved || j.def.planOnly {
		return nil
	}
	for _, e := range j.stages[len(j.stages)-3].done {
		if o := b.outputOf(e.out); e.out != "" && !e.ate && !o.lost && !o.given && len(o.missed) == 0 && b.w.plane.contents[e.out].kind != ledger.OutputFile {
			all = append(all, b.w.plane.contents[e.out])
		}
	}
	return all
}

// keeps says whether a worker holds something of a job that is over.
func (b *book) keeps(s *seat) bool {
	return slices.ContainsFunc(b.order, func(j *jobBook) bool {
		return slices.ContainsFunc(b.rested(j), func(c *content) bool { return c.holder.id() == s.name })
	})
}

// keepers is how many jobs of a user that are over have something in spools.
func (b *book) keepers(user string) (n int) {
	for _, j := range b.order {
		if j.def.settings.User == user && j.state.Over() {
			n++
		}
	}
	return n
}

// makesRoom has what waits for room be tried where outputs of a job go.
func (b *book) makesRoom(id ledger.JobID) {
	at := b.w.coordinator.clock()
	for _, c := range b.rested(b.jobs[id]) {
		s := b.seatOf(c.holder.id())
		for _, j := range b.order {
			for on, full := range j.full { // in any order: each for itself
				if !slices.Contains(full, s.name) {
					continue
				}
				j.full[on] = slices.DeleteFunc(full, func(n ledger.WorkerID) bool { return n == s.name })
				_, failed := j.spent[on] // it may be left to another one then
				if g := b.stageOf(j.id, on.stage); g != nil && s.takes() && !failed {
					g.expect(on.span, at)
				}
			}
		}
	}
}

// expect has what of a range is parked be granted from a time on.
func (g *stageBook) expect(on span, at ledger.Time) {
	for i := range g.parked {
		if p := &g.parked[i]; p.span == on && p.again > at {
			p.again = at
		}
	}
}
