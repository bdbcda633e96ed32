package sim

import (
	"slices"

	"github.com/millrace/millrace/coordinator/ledger"
)

// failing is what a worker's failures have come to since it did something last.
type failing struct {
	batches []failed    // different ones, at most
	sure    []failed    // at least: what an inventory tells may count, or not
	since   ledger.Time // of the first that is sure
	paused  bool        // the coordinator says so
	at      ledger.Time // since when, or since a trial failed last
	trial   bool        // it has a batch, or had one, to be tried with
	alone   bool        // there was nobody else meanwhile: it may be tried at once
	due     bool        // it has to be paused by this very step
	unsure  bool        // the book can't tell what this step makes of it
}

// failed is a batch that a worker failed.
type failed struct {
	job   ledger.JobID
	stage int
	from  int64
}

// blames says whether an outcome may be its worker's fault.
func blames(c ledger.OutcomeClass) bool {
	switch c {
	case ledger.OutcomeRetryable, ledger.OutcomeKilledMemory, ledger.OutcomeKilledTime, ledger.OutcomeKilledSignal:
		return true
	}
	return false
}

// tally takes note of what a worker's live lease came to. What an inventory
// tells may count, or not.
func (b *book) tally(at ledger.Time, s *seat, l *leaseBook, c ledger.OutcomeClass, fresh bool) {
	j, q := b.jobs[l.fence.Job], &s.failing
	switch {
	case j == nil:
	case c == ledger.OutcomeDoneWithSkips && fresh: // it may have skipped too many
		q.sure, q.unsure, q.paused = nil, true, false
		b.succeeded(at, j, l.stage, s)
	case won(c) && fresh:
		*q = failing{}
		b.succeeded(at, j, l.stage, s)
	case won(c):
		q.sure = nil
	case blames(c):
		q.batches = note(q.batches, l)
		if fresh {
			b.failedAgain(at, s, l)
		}
	}
}

// note adds a lease's batch to those that failed.
func note(batches []failed, l *leaseBook) []failed {
	one := failed{l.fence.Job, l.stage, l.span.from}
	if slices.Contains(batches, one) {
		return batches
	}
	return append(batches, one)
}

// succeeded notes when a worker has done something of a stage last.
func (b *book) succeeded(at ledger.Time, j *jobBook, stage int, s *seat) {
	if j.doneBy[stage] == nil {
		j.doneBy[stage] = map[*seat]ledger.Time{}
	}
	j.doneBy[stage][s] = at
}

// failedAgain judges whether a worker has to be paused now.
func (b *book) failedAgain(at ledger.Time, s *seat, l *leaseBook) {
	q := &s.failing
	if len(q.sure) == 0 {
		q.since = at
	}
	q.sure = note(q.sure, l)
	if q.paused && q.trial {
		q.at, q.trial, q.alone = at, false, false
	}
	q.due = len(q.sure) >= b.w.law.ledger.QuarantineAfter && s.takes() && b.othersDo(at, s, l)
}

// othersDo says whether another worker has done some of what this one fails, and
// another one is there that can.
func (b *book) othersDo(at ledger.Time, s *seat, l *leaseBook) bool {
	j, did := b.jobs[l.fence.Job], false
	for other, last := range j.doneBy[l.stage] { // in any order: it is a question of yes or no
		did = did || other != s && last >= s.failing.since
	}
	var requires []string // of what failed: the job may be at another stage by now
	if l.stage >= 0 {
		requires = j.def.plan.Stages[l.stage].Requires
	}
	return did && slices.ContainsFunc(b.seats, func(other *seat) bool {
		return other != s && other.takes() && fits(other.worker, j.def.settings.Labels, requires) && !b.closedTo(at, j, b.stageOf(j.id, l.stage), other)
	})
}

// checkPaused: who fails everything that others do is paused, and nobody else.
func (b *book) checkPaused(at ledger.Time) {
	nobody := !slices.ContainsFunc(b.seats, (*seat).takes)
	for _, s := range b.seats {
		q := &s.failing
		q.alone = q.alone || nobody
		enough := len(q.batches) >= b.w.law.ledger.QuarantineAfter
		if !enough && !q.paused && !q.unsure {
			continue
		}
		v, _ := b.w.coordinator.ledger.Worker(s.name, at)
		paused := v.State == ledger.StandingQuarantined
		switch {
		case q.unsure:
		case paused && !q.paused && !enough:
			b.fail("%s is in quarantine, and has failed %d batches", s.name, len(q.batches))
		case q.due && v.State == ledger.StandingReady:
			b.fail("%s has failed %d batches in a row that others do, and is not in quarantine", s.name, len(q.batches))
		case paused && !q.paused && !s.refunds:
			b.fail("%s is in quarantine from now on, and what it spent is not refunded", s.name)
		case paused && !q.paused:
			q.at, q.trial, q.alone = at, false, false
		}
		if s.attached && (paused || v.State == ledger.StandingReady) { // otherwise something else hides it
			q.paused, q.unsure = paused, false
		}
		q.due = false
	}
}

// checkTrial: a worker in quarantine gets one batch at a time, and none before
// its time, unless there is nobody else, be it for the moment in which another
// one attaches anew.
func (b *book) checkTrial(at ledger.Time, s *seat, l *ledger.Lease) {
	q := &s.failing
	if !q.paused {
		return
	}
	if n := b.held(s); n > 0 {
		b.fail("granted %v to %s, which is in quarantine and has %d leases", l.Fence, s.name, n)
	}
	others := slices.ContainsFunc(b.seats, (*seat).takes)
	if others && !q.alone && b.arrives == nil && at < q.at.Add(b.w.law.ledger.QuarantineMin) {
		b.fail("granted %v to %s, which is in quarantine since %d", l.Fence, s.name, q.at)
	}
	q.trial = true
}

// refunded gives back what a worker spent of jobs that are not over.
func (b *book) refunded(f *ledger.AttemptsRefunded) {
	for _, j := range b.order {
		if j.state.Over() {
			continue
		}
		for on, by := range j.spentBy {
			j.spent[on] -= by[f.Worker]
			delete(by, f.Worker)
		}
		j.failures -= j.failedBy[f.Worker]
		delete(j.failedBy, f.Worker)
	}
}
