package sim

import (
	"slices"

	"github.com/millrace/millrace/coordinator/ledger"
)

// explainEvery is after how many steps what Explain says is looked at again.
const explainEvery = 5

// checkExplained: every wait that Explain gives is true, and who asks why
// something waits is given a reason.
func (b *book) checkExplained(at ledger.Time) {
	if b.steps++; b.steps%explainEvery != 0 {
		return
	}
	for _, j := range b.order {
		if j.state.Over() {
			continue
		}
		waits := b.w.coordinator.ledger.Explain(j.id, at)
		for _, x := range waits {
			if !b.isTrue(at, j, x) {
				b.fail("job %d waits, says Explain: %s; that is not true, of %v", j.id, x, waits)
			}
		}
		if len(waits) == 0 && b.standsStill(j) {
			b.fail("job %d waits, and Explain does not say why", j.id)
		}
		b.checkEverybody(at, j, waits)
	}
}

// standsStill says whether nothing of a job is leased or being written down.
func (b *book) standsStill(j *jobBook) bool {
	return !slices.ContainsFunc(b.live, func(l *leaseBook) bool { return l.fence.Job == j.id })
}

// isTrue judges one reason. What the book can't know it believes.
func (b *book) isTrue(at ledger.Time, j *jobBook, x ledger.Wait) bool {
	d := &j.def.settings
	if about, ok := excuses[x.Kind]; ok {
		return x.M == b.attachedSeats() && x.N == b.count(j, about) && x.N > 0
	}
	switch x.Kind {
	case ledger.WaitPaused:
		return j.paused
	case ledger.WaitEnding:
		return j.closing
	case ledger.WaitGrace:
		return j.found && x.Until == b.grace && at < b.grace
	case ledger.WaitLimit:
		return (x.N == b.running(j.id) || j.closing) && x.N >= int(d.MaxConcurrency) && d.MaxConcurrency > 0
	case ledger.WaitQuota:
		return x.Name == d.User && x.M == b.quota(d.User) && x.N >= x.M && (x.N == b.has(d.User) || b.closes(d.User))
	case ledger.WaitDelay:
		return x.Until == j.submitted.Add(d.Delay) && at < x.Until
	case ledger.WaitLeases:
		return x.N == b.running(j.id)
	case ledger.WaitNoWorkers:
		return b.attachedSeats() == 0
	case ledger.WaitLabel, ledger.WaitProcessor:
		return x.M == b.attachedSeats() && x.N == b.lacking(j, x)
	case ledger.WaitStage:
		g := j.stages[j.at()]
		return x.Name == j.def.plan.Stages[j.at()].Name && int64(x.N) == g.size && int64(x.M) == g.total
	case ledger.WaitReader:
		return x.N == j.stages[0].outputs() && b.mayWait(j, j.stages[0])
	case ledger.WaitCredit:
		return x.N <= b.count(j, (*seat).busy)
	case ledger.WaitRoom:
		return len(j.full) > 0
	case ledger.WaitKept:
		return x.N > 0 && x.Bytes > 0 && x.N <= b.keepers(x.Name)
	case ledger.WaitBlamed, ledger.WaitFull:
		return x.N <= b.count(j, (*seat).takes)
	}
	return true
}

// closes says whether an end of a job of a user is proposed: what the coordinator
// has not dissolved yet the book has forgotten.
func (b *book) closes(user string) bool {
	return slices.ContainsFunc(b.order, func(j *jobBook) bool { return j.def.settings.User == user && j.closing })
}

// excuses are why a worker that could run something does not take it, each
// judged when those before do not hold.
var excuses = map[ledger.WaitKind]func(*seat) bool{
	ledger.WaitDraining:  (*seat).leaves,
	ledger.WaitCordoned:  func(s *seat) bool { return !s.leaves() && s.cordoned },
	ledger.WaitSilent:    func(s *seat) bool { return !s.leaves() && !s.cordoned && s.silent },
	ledger.WaitSuspected: func(s *seat) bool { return !s.leaves() && !s.cordoned && !s.silent && s.doubtful() },
	ledger.WaitQuarantined: func(s *seat) bool {
		return !s.leaves() && !s.cordoned && !s.silent && !s.doubtful() && s.failing.paused
	},
}

func (s *seat) leaves() bool { return s.draining || s.ordered }

func (s *seat) busy() bool { return s.takes() && (s.credit <= 0 || s.has > 0) }

func (b *book) attachedSeats() int {
	n := 0
	for _, s := range b.seats {
		if s.attached {
			n++
		}
	}
	return n
}

// at is the stage that a running job is at.
func (j *jobBook) at() int {
	for i, g := range j.stages[:len(j.stages)-2] {
		if !g.complete() {
			return i
		}
	}
	return 0
}

// requires are the processors that what a job is at needs.
func (j *jobBook) requires() []string {
	if j.state == ledger.StateRunning {
		return j.def.plan.Stages[j.at()].Requires
	}
	return nil
}

// count is how many attached workers that could run a job's next batch are as
// is said.
func (b *book) count(j *jobBook, as func(*seat) bool) int {
	n := 0
	for _, s := range b.seats {
		if s.has = b.held(s); s.attached && fits(s.worker, j.def.settings.Labels, j.requires()) && as(s) {
			n++
		}
	}
	return n
}

// lacking is how many workers lack a label, or, having all labels, a processor.
func (b *book) lacking(j *jobBook, x ledger.Wait) int {
	n := 0
	for _, s := range b.seats {
		if !s.attached {
			continue
		}
		labelled := fits(s.worker, j.def.settings.Labels, nil)
		if x.Kind == ledger.WaitLabel && !labelled || x.Kind == ledger.WaitProcessor && labelled && !fits(s.worker, nil, j.requires()) {
			n++
		}
	}
	return n
}

// checkEverybody: when a batch waits for a worker, every worker has an excuse.
func (b *book) checkEverybody(at ledger.Time, j *jobBook, waits []ledger.Wait) {
	n, most := 0, 0
	for _, x := range waits {
		switch x.Kind {
		case ledger.WaitRest:
			return // whoever is not idle is out of the question
		case ledger.WaitAsked, ledger.WaitUnable, ledger.WaitLabel, ledger.WaitProcessor, ledger.WaitDraining, ledger.WaitCordoned, ledger.WaitSilent,
			ledger.WaitSuspected, ledger.WaitQuarantined, ledger.WaitBlamed, ledger.WaitFull, ledger.WaitCredit:
			n, most = n+x.N, x.M
		}
	}
	g, _ := b.ready(at, j)
	if n > most || n < most && g != nil && j.due(g) > 0 {
		b.fail("job %d waits, says Explain: %v: of %d workers %d are named", j.id, waits, most, n)
	}
}
