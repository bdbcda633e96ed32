package sim

import (
	"slices"

	"github.com/millrace/millrace/coordinator/ledger"
)

// What the book has to say of inputs that workers do not see is in this file.

// saw notes that a worker does not see an input of a range.
func (j *jobBook) saw(on tried, s *seat) {
	if !slices.Contains(j.unseen[on], s.name) {
		j.unseen[on] = append(j.unseen[on], s.name)
	}
}

// blindFor says whether a worker does not see an input of some of a range, and
// leaves that to others, however long they are busy, or need to come back.
func (b *book) blindFor(at ledger.Time, j *jobBook, s *seat, on tried) bool {
	for was, blind := range j.unseen { // in any order: it is a question of yes or no
		if was.stage == on.stage && was.span.overlaps(on.span) && slices.Contains(blind, s.name) && (b.mayStillSee(at, j, was.stage, blind) || b.unsure(at)) {
			return true
		}
	}
	return false
}

// unsure says whether the book can't tell of some worker whether it is expected
// back: a cordon, or its end, is not durable yet, or it may have been forgotten.
func (b *book) unsure(at ledger.Time) bool {
	return slices.ContainsFunc(b.seats, func(s *seat) bool {
		return s.asking > 0 || s.burnt && !s.attached && at < s.gone.Add(b.w.law.ledger.WorkerGone)
	})
}

// askedAll says whether some range was offered to everybody who can take it, or
// will soon, and nobody sees its input.
func (b *book) askedAll(at ledger.Time, j *jobBook) bool {
	for on, blind := range j.unseen { // in any order: it is a question of yes or no
		if !b.mayStillSee(at, j, on.stage, blind) {
			return true
		}
	}
	return false
}

// mayStillSee says whether somebody may run a stage, now or soon, who is not
// among those that do not see an input.
func (b *book) mayStillSee(at ledger.Time, j *jobBook, stage int, blind []ledger.WorkerID) bool {
	var requires []string
	if stage >= 0 {
		requires = j.def.plan.Stages[stage].Requires
	}
	return slices.ContainsFunc(b.seats, func(s *seat) bool {
		return (s.takes() || b.returns(at, s)) && !slices.Contains(blind, s.name) && !b.out(at, j, stage, s) && fits(s.worker, j.def.settings.Labels, requires)
	})
}

// returns says whether a worker that may be given nothing now is expected to be
// given something soon: it is doubted, or in quarantine, or away, and not for
// longer than what it holds waits for it.
func (b *book) returns(at ledger.Time, s *seat) bool {
	law := &b.w.law.ledger
	switch {
	case !s.known || s.leaves() || s.cordoned || s.asking > 0:
		return false
	case s.attached:
		return s.unable == 0 || at < s.unable.Add(law.WorkerGone)
	case s.burnt || s.opinion == ledger.OpinionLeft:
		return false // it may have been forgotten
	}
	return at < s.gone.Add(law.WorkerGone)
}

// watchSeats notes since when workers may not be given anything.
func (b *book) watchSeats(at ledger.Time) {
	for _, s := range b.seats {
		if s.takes() {
			s.unable = 0
		} else if s.unable == 0 {
			s.unable = at
		}
	}
}
