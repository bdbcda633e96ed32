package sim

import (
	"slices"

	"github.com/millrace/millrace/coordinator/ledger"
)

// drains says whether some input of a merge lies with a worker that leaves.
func (b *book) drains(inputs []ledger.Output) bool {
	return slices.ContainsFunc(inputs, func(o ledger.Output) bool { return b.seatOf(o.Worker).leaves() })
}

// letGo checks that a worker is not sent away with anything that is needed, and
// that another one could take over; and not twice.
func (b *book) letGo(at ledger.Time, e ledger.LetGo) {
	s := b.at(e.Worker, e.Session)
	if s == nil || !s.leaves() || s.freed {
		b.fail("%s is let go in session %d, and does not drain, or was let go before", e.Worker, e.Session)
		return
	}
	s.freed = true
	if n := b.held(s); n > 0 {
		b.fail("%s is let go, and has %d leases", e.Worker, n)
	}
	for _, j := range b.order {
		if j.paused || j.closing || j.ruined() || j.gone {
			continue
		}
		for i, g := range j.stages[:len(j.stages)-2] {
			b.leavesNothing(at, s, j, i, g)
		}
	}
}

// leavesNothing looks for an output of a stage that a worker has, that is needed,
// and that another one could have taken over.
func (b *book) leavesNothing(at ledger.Time, s *seat, j *jobBook, i int, g *stageBook) {
	stage := &j.def.plan.Stages[i]
	if !stage.Mergeable || stage.Output == ledger.OutputFile || j.state == ledger.StateDone && i < len(j.stages)-3 {
		return
	}
	other := slices.ContainsFunc(b.seats, func(o *seat) bool {
		return o != s && o.takes() && fits(o.worker, j.def.settings.Labels, stage.Requires)
	})
	for _, e := range g.done {
		if other && e.out != "" && !e.ate && j.needs(e.out) && b.w.plane.contents[e.out].holder == s.worker && !b.outputOf(e.out).given && !b.mayHaveLost(at, e.out) {
			b.fail("%s is let go with output %s of job %d, that is needed", s.name, e.out, j.id)
			return
		}
	}
}
