package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
)

// book is a second, dumber opinion. It sees what the coordinator hears, what
// it decides and what becomes durable, and what workers hear and do; it keeps
// what was promised in plain lists, and shares no code with what it judges.
type book struct {
	w       *world
	fault   error
	jobs    map[ledger.JobID]*jobBook
	order   []*jobBook
	seats   []*seat
	live    []*leaseBook
	reports map[ledger.Fence]*report
	granted map[ledger.Fence]bool
	outputs map[ledger.OutputID]*outputBook
	workers []*workerBook

	base     ledger.JobID // jobs are numbered from the one after
	numbered bool         // that is known
	term     ledger.Term
	began    ledger.Time // the term
	grace    ledger.Time // when the new leader's grace ends
	asked    map[string]bool
	largest  int // of the snapshots
	steps    int
	wentOn   ledger.Time            // when the coordinator went on last that had got no time
	thawed   ledger.Time            // when the coordinator went on last that had stood still
	doing    []ledger.Fence         // whose ranges the step at hand proposes to be done
	arrives  *ledger.WorkerAttached // in this step
}

// seat is a worker as the coordinator knows it.
type seat struct {
	name     ledger.WorkerID
	worker   *worker // the process that attached last; nil before the first
	session  ledger.SessionID
	attached bool
	draining bool
	slots    int
	credit   int
	has      int // leases, when that was counted last
	bytes    int64
	unable   ledger.Time // since when it may not be given anything, if that is so
	silent   bool        // a lease of it ran out, and it has not been heard since
	ordered  bool        // the operator wants it to leave
	freed    bool        // it may leave: nothing of it is needed
	cordoned bool        // the operator wants it to get nothing
	asking   int         // cordons, or their ends, that are not yet durable

	known       bool   // it has attached to this coordinator
	incarnation uint64 // of the process that has
	opinion     ledger.Opinion
	rumour      rumour
	refused     ledger.SessionID // after this session its address refused a connection
	scorched    bool             // they were given up in this very step, in which it is back
	burnt       bool             // its outputs may be given up, if it does not come back
	died        ledger.Time      // by both witnesses; 0 if it has not
	heard       ledger.Time
	gone        ledger.Time // since when its session is
	heartbeat   time.Duration
	failing     failing
	refunds     bool // the step at hand gives back what it spent

	asks     ledger.WorkerAttached // to be taken up
	listed   map[ledger.Fence]ledger.Lease
	outcomes map[ledger.Fence]bool // of the inventory, unanswered
}

// leaseBook is a lease that the coordinator holds to be live.
type leaseBook struct {
	fence   ledger.Fence
	kind    ledger.LeaseKind
	stage   int
	span    span
	seat    *seat
	renewed ledger.Time
	orphan  bool // of a term before; nobody has presented it yet
	told    bool // its outcome was reported, and not yet answered
	inputs  []ledger.Output
	alone   bool
}

// report is an outcome that the coordinator heard.
type report struct {
	class ledger.OutcomeClass
	lease *leaseBook // as granted; nil when nobody knows
	live  bool       // by the time that it was heard
	out   ledger.Output
	count ledger.Counters
	skips int64
	seat  *seat
}

func newBook(w *world) *book {
	b := &book{w: w, jobs: map[ledger.JobID]*jobBook{}, reports: map[ledger.Fence]*report{},
		granted: map[ledger.Fence]bool{}, outputs: map[ledger.OutputID]*outputBook{}, asked: map[string]bool{}, workers: make([]*workerBook, len(w.workers))}
	for _, name := range w.names() {
		b.seats = append(b.seats, &seat{name: ledger.WorkerID(name)})
	}
	return b
}

// fail notes the first fault that was found; the world ends with it.
func (b *book) fail(format string, args ...any) {
	if b.fault == nil {
		b.fault = fmt.Errorf("at %.4f s: "+format, append([]any{seconds(b.w.now)}, args...)...)
	}
}

func (b *book) seatOf(name ledger.WorkerID) *seat {
	for _, s := range b.seats {
		if s.name == name {
			return s
		}
	}
	return nil
}

// at is the seat of a session, if it is the worker's latest.
func (b *book) at(name ledger.WorkerID, session ledger.SessionID) *seat {
	s := b.seatOf(name)
	if s == nil || s.session != session || !s.attached {
		return nil
	}
	return s
}

// deadline is when a lease ends that nobody renews.
func (b *book) deadline(l *leaseBook) ledger.Time {
	if l.orphan {
		return b.grace
	}
	return l.renewed.Add(b.w.law.ledger.Lease)
}

// end takes a lease from the live ones. Its range may be granted again, at the
// latest when the longest back-off is over; never, as far as the book can
// tell, when the time is given as 0.
func (b *book) end(l *leaseBook, again ledger.Time) {
	b.live = slices.DeleteFunc(b.live, func(m *leaseBook) bool { return m == l })
	if g := b.stageOf(l.fence.Job, l.stage); g != nil && l.kind != ledger.LeaseMerge {
		g.park(l.span, again)
		for _, other := range b.live { // what somebody else holds too is not his alone to give back
			if other.fence.Job == l.fence.Job && other.stage == l.stage && other.kind != ledger.LeaseMerge {
				g.unpark(other.span)
			}
		}
	}
}

// backedOff is when a range may be expected to be granted again: after the
// longest back-off, and the time for which a failed one may wait for another
// worker.
func (b *book) backedOff(at ledger.Time) ledger.Time {
	return max(at, b.grace).Add(b.w.law.ledger.BackoffMax + b.w.law.ledger.Lease)
}

// thaw has everything begin anew that was out, when the coordinator has stood
// still for too long after it wanted to be woken; not again soon after that.
func (b *book) thaw(at ledger.Time) {
	law := &b.w.law.ledger
	if wake := b.w.coordinator.wake; wake == 0 || law.StandStill == 0 || at.Sub(wake) < law.StandStill ||
		b.thawed > 0 && at < b.thawed.Add(2*law.Lease) {
		return
	}
	b.thawed = at
	for _, l := range b.live {
		if !l.orphan {
			l.renewed = at
		}
	}
	for _, s := range b.seats {
		if s.attached {
			s.heard = at
		}
	}
}

// expire ends the leases whose time has passed.
func (b *book) expire(at ledger.Time) {
	for _, l := range slices.Clone(b.live) {
		if at >= b.deadline(l) && !l.told {
			l.seat.silent = l.seat.silent || !l.orphan
			b.end(l, b.backedOff(at))
		}
	}
}

// began begins a term: what was live is nobody's until it is presented.
func (b *book) beginTerm(term ledger.Term, at ledger.Time) {
	b.term, b.began, b.thawed = term, at, 0
	b.grace = at.Add(b.w.law.ledger.Grace)
	for _, l := range b.live {
		l.orphan, l.told = true, false
	}
	for _, s := range b.seats {
		s.attached, s.credit, s.bytes, s.draining, s.ordered = false, 0, 0, false, false
		s.burnt, s.failing = false, failing{}
		s.known, s.opinion, s.rumour, s.refused, s.asking, s.gone, s.died = false, 0, rumour{}, 0, 0, at, 0
	}
	for _, j := range b.order {
		j.found, j.closing, j.reading = true, false, false
		j.settled, j.views, j.cannot = true, map[ledger.WorkerID]*viewBook{}, map[cannotOf]bool{}
		clear(j.failing)
		clear(j.full)
		for _, g := range j.stages {
			g.refound(b.backedOff(at))
		}
	}
}

// forgetAll is for a coordinator that has lost its log: no job is left, and no
// lease is anybody's.
func (b *book) forgetAll() {
	clear(b.jobs)
	clear(b.reports)
	b.order, b.live, b.numbered = nil, nil, false
	for _, s := range b.seats {
		s.cordoned = false
	}
}

// happened sees an event before the ledger does.
func (b *book) happened(at ledger.Time, e ledger.Event) {
	b.thaw(at)
	b.bury(at) // three heartbeats are over before a lease is
	b.expire(at)
	b.burn(at)
	b.hears(at, e)
	b.arrives = nil
	for _, s := range b.seats {
		s.scorched = false
	}
	defer b.burn(at)
	defer b.bury(at)
	switch e := e.(type) {
	case ledger.WorkerAttached:
		b.seatOf(e.Worker).asks, b.arrives = e, &e
	case ledger.SessionLost:
		b.sessionLost(at, e)
	case ledger.Heartbeat:
		if s := b.at(e.Worker, e.Session); s != nil {
			for _, l := range b.live {
				if l.seat == s && !l.orphan {
					l.renewed = at
				}
			}
		}
	case ledger.CreditGranted:
		if s := b.at(e.Worker, e.Session); s != nil {
			s.credit += int(e.Batches)
			s.bytes += e.Bytes
		}
	case ledger.OutcomeReported:
		if s := b.at(e.Worker, e.Session); s != nil {
			b.heard(at, s, e.Outcome, b.liveLease(e.Outcome.Fence, s), true)
		}
	case ledger.SinkChecked:
		b.sinkChecked(at, e)
	case ledger.OutputLost:
		for _, id := range e.Outputs {
			b.outputOf(id).lost = true
		}
	case ledger.WorkerDraining:
		if s := b.at(e.Worker, e.Session); s != nil {
			s.draining = true
		}
	case ledger.Gossiped:
		b.gossiped(e)
	case ledger.WorkerRefused:
		if s := b.seatOf(e.Worker); s.session == e.Session && !s.attached {
			s.refused = e.Session
		}
	case ledger.WorkersCordoned:
		for _, name := range e.Workers {
			b.seatOf(name).asking++
		}
	case ledger.WorkersDrained:
		for _, name := range e.Workers {
			if s := b.seatOf(name); s.attached {
				s.ordered = true
			}
		}
	case ledger.ResultRequested:
		b.jobs[e.Job].reading, b.jobs[e.Job].wanted = true, true
	}
}

// hears notes that a worker has said something.
func (b *book) hears(at ledger.Time, e ledger.Event) {
	var s *seat
	switch e := e.(type) {
	case ledger.Heartbeat:
		s = b.at(e.Worker, e.Session)
	case ledger.CreditGranted:
		s = b.at(e.Worker, e.Session)
	case ledger.OutcomeReported:
		s = b.at(e.Worker, e.Session)
	case ledger.SinkChecked:
		s = b.at(e.Worker, e.Session)
	}
	if s != nil {
		s.silent, s.heard = false, at
	}
}

func (b *book) liveLease(f ledger.Fence, s *seat) *leaseBook {
	for _, l := range b.live {
		if l.fence == f && l.seat == s && !l.orphan {
			return l
		}
	}
	return nil
}

// heard notes an outcome, and whether its lease was live.
func (b *book) heard(at ledger.Time, s *seat, o ledger.Outcome, l *leaseBook, fresh bool) {
	r := b.reports[o.Fence]
	if r == nil {
		r = &report{}
		b.reports[o.Fence] = r
	}
	if r.live && l == nil {
		return // told again
	}
	*r = report{class: o.Class, lease: l, live: l != nil, out: o.Output, count: o.Counters,
		skips: o.Counters.RecordsSkipped, seat: s}
	b.missing(s, o.Missing)
	if j := b.jobs[o.Fence.Job]; j != nil && l != nil && l.kind == ledger.LeaseMerge {
		j.merged = at
	}
	if l != nil {
		l.told = true
		b.tally(at, s, l, o.Class, fresh)
		b.mergeFailed(l, o.Class)
		j := b.jobs[l.fence.Job]
		if j != nil && o.Class == ledger.OutcomeInputGone {
			j.saw(tried{l.stage, l.span}, s)
		}
		if j != nil && o.Class == ledger.OutcomeNoRoom {
			j.full[tried{l.stage, l.span}] = append(j.full[tried{l.stage, l.span}], s.name)
		}
	}
}

// mergeFailed counts what no durable fact tells.
func (b *book) mergeFailed(l *leaseBook, c ledger.OutcomeClass) {
	if j := b.jobs[l.fence.Job]; j != nil && l.kind == ledger.LeaseMerge && !won(c) {
		j.spent[tried{l.stage, l.span}]++
	}
}

func (b *book) sessionLost(at ledger.Time, e ledger.SessionLost) {
	s := b.at(e.Worker, e.Session)
	if s == nil {
		return
	}
	s.attached, s.credit, s.bytes, s.gone = false, 0, 0, at
}

// held is how many leases a worker has that it has not answered.
func (b *book) held(s *seat) int {
	n := 0
	for _, l := range b.live {
		if l.seat == s && !l.orphan && !l.told {
			n++
		}
	}
	return n
}

// liveOn is a live lease on a range, merges apart.
func (b *book) liveOn(job ledger.JobID, stage int, on span) *leaseBook {
	for _, l := range b.live {
		if l.fence.Job == job && l.stage == stage && l.kind != ledger.LeaseMerge && l.span.overlaps(on) {
			return l
		}
	}
	return nil
}
