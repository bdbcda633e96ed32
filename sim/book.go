package sim

import (
	"fmt"
	"slices"

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
	workers []*workerBook

	term    ledger.Term
	began   ledger.Time // the term
	grace   ledger.Time // when the new leader's grace ends
	asked   map[string]bool
	largest int // of the snapshots
}

// seat is a worker as the coordinator knows it.
type seat struct {
	worker   *worker
	session  ledger.SessionID
	attached bool
	draining bool
	slots    int
	credit   int
	bytes    int64
	silent   bool // a lease of it ran out, and it has not been heard since
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
		granted: map[ledger.Fence]bool{}, asked: map[string]bool{}, workers: make([]*workerBook, len(w.workers))}
	for _, k := range w.workers {
		b.seats = append(b.seats, &seat{worker: k})
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
		if s.worker.id() == name {
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
		if b.liveOn(l.fence.Job, l.stage, l.span) != nil {
			again = 0 // the other one decides
		}
		g.park(l.span, again)
	}
}

// backedOff is when a range may be expected to be granted again: after the
// longest back-off, and the time for which a failed one may wait for another
// worker.
func (b *book) backedOff(at ledger.Time) ledger.Time {
	return max(at, b.grace).Add(b.w.law.ledger.BackoffMax + b.w.law.ledger.Lease)
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
	b.term, b.began = term, at
	b.grace = at.Add(b.w.law.ledger.Grace)
	for _, l := range b.live {
		l.orphan, l.told = true, false
	}
	for _, s := range b.seats {
		s.attached, s.credit, s.bytes, s.draining = false, 0, 0, false
	}
	for _, j := range b.order {
		j.found, j.closing = true, false
		clear(j.failing)
		for _, g := range j.stages {
			g.refound(b.backedOff(at))
		}
	}
}

// happened sees an event before the ledger does.
func (b *book) happened(at ledger.Time, e ledger.Event) {
	b.expire(at)
	b.hears(e)
	switch e := e.(type) {
	case ledger.WorkerAttached:
		b.attaching(e)
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
			b.heard(s, e.Outcome, b.liveLease(e.Outcome.Fence, s))
		}
	case ledger.WorkerDraining:
		if s := b.at(e.Worker, e.Session); s != nil {
			s.draining = true
		}
	}
}

// hears notes that a worker has said something.
func (b *book) hears(e ledger.Event) {
	var s *seat
	switch e := e.(type) {
	case ledger.WorkerAttached:
		s = b.seatOf(e.Worker)
	case ledger.Heartbeat:
		s = b.at(e.Worker, e.Session)
	case ledger.CreditGranted:
		s = b.at(e.Worker, e.Session)
	case ledger.OutcomeReported:
		s = b.at(e.Worker, e.Session)
	}
	if s != nil {
		s.silent = false
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
func (b *book) heard(s *seat, o ledger.Outcome, l *leaseBook) {
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
	if l != nil {
		l.told = true
		b.mergeFailed(l, o.Class)
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
	s.attached, s.credit, s.bytes = false, 0, 0
	if !e.Dead {
		return
	}
	for _, l := range slices.Clone(b.live) {
		if l.seat == s && !l.told {
			b.end(l, b.backedOff(at))
		}
	}
}

// attaching notes an inventory; the coordinator's answer says what comes of it.
func (b *book) attaching(e ledger.WorkerAttached) {
	s := b.seatOf(e.Worker)
	s.listed, s.outcomes = map[ledger.Fence]ledger.Lease{}, map[ledger.Fence]bool{}
	for _, h := range e.Leases {
		s.listed[h.Lease.Fence] = h.Lease
	}
	for _, o := range e.Outcomes {
		s.outcomes[o.Fence] = true
		b.presented(s, o)
	}
}

// presented notes an outcome of an inventory. It may win although nobody
// remembers its lease, if its range is not done.
func (b *book) presented(s *seat, o ledger.Outcome) {
	var l *leaseBook
	for _, m := range b.live {
		if m.fence == o.Fence {
			l = m
		}
	}
	if l == nil {
		l = &leaseBook{fence: o.Fence, kind: o.Granted.Kind, stage: stageOf(o.Granted),
			span: span{int64(o.Granted.From), int64(o.Granted.To)}, seat: s, orphan: true}
		g := b.stageOf(o.Fence.Job, l.stage)
		if g != nil && l.kind != ledger.LeaseMerge && !g.overlapsDone(l.span) && b.liveOn(o.Fence.Job, l.stage, l.span) == nil {
			b.live = append(b.live, l)
			g.take(l.span)
		}
	}
	b.heard(s, o, l)
}

// stageOf numbers planning and commits as the durable facts do.
func stageOf(l *ledger.Lease) int {
	switch l.Kind {
	case ledger.LeasePlan:
		return planning
	case ledger.LeaseCommit:
		return committing
	}
	return l.Stage
}

// attached notes what an attach came to.
func (b *book) attached(at ledger.Time, e ledger.Attached) {
	s := b.seatOf(e.Worker)
	if s.attached && e.Session <= s.session {
		b.fail("%s: session %d was accepted after %d", e.Worker, e.Session, s.session)
	}
	s.session, s.attached, s.draining, s.slots = e.Session, true, false, s.worker.slots
	s.credit, s.bytes = 0, 0
	kept := map[ledger.Fence]bool{}
	for _, f := range e.Keep {
		kept[f] = true
		b.keep(at, s, f)
	}
	for _, l := range slices.Clone(b.live) {
		if l.seat != s || kept[l.fence] || l.told && s.outcomes[l.fence] {
			continue
		}
		if l.told {
			l.told = false
		}
		b.end(l, b.backedOff(at))
	}
	b.expectKept(s, e, kept)
}

// keep makes a lease of an inventory live again.
func (b *book) keep(at ledger.Time, s *seat, f ledger.Fence) {
	listed, ok := s.listed[f]
	if !ok {
		b.fail("%s: kept %v, which it did not list", s.worker.name, f)
		return
	}
	for _, l := range b.live {
		if l.fence == f {
			l.orphan, l.renewed, l.seat = false, at, s
			return
		}
	}
	l := &leaseBook{fence: f, kind: listed.Kind, stage: stageOf(&listed),
		span: span{int64(listed.From), int64(listed.To)}, seat: s, renewed: at}
	b.yield(l)
	b.live = append(b.live, l)
	if g := b.stageOf(f.Job, l.stage); g != nil && l.kind != ledger.LeaseMerge {
		g.take(l.span)
	}
}

// yield ends what an absent worker holds of a range that another one turns out
// to have had before; one that is attached is told.
func (b *book) yield(to *leaseBook) {
	for _, l := range slices.Clone(b.live) {
		if l != to && !l.seat.attached && l.fence.Job == to.fence.Job && l.stage == to.stage &&
			l.kind != ledger.LeaseMerge && to.kind != ledger.LeaseMerge && l.span.overlaps(to.span) {
			b.end(l, 0)
		}
	}
}

// expectKept: work that runs goes on, unless it is done or under way
// elsewhere; a change of leader is no reason to stop it.
func (b *book) expectKept(s *seat, e ledger.Attached, kept map[ledger.Fence]bool) {
	for _, f := range e.Drop {
		l, ok := s.listed[f]
		if !ok || kept[f] || l.Kind != ledger.LeaseProcess {
			continue
		}
		j := b.jobs[f.Job]
		if j == nil || j.state != ledger.StateRunning {
			continue
		}
		g := b.stageOf(f.Job, stageOf(&l))
		covers := span{int64(l.From), int64(l.To)}
		if g == nil || l.Stage > 0 || g.overlapsDone(covers) || b.liveOn(f.Job, stageOf(&l), covers) != nil {
			continue
		}
		if j.lostSome || j.failing[f] {
			continue // its inputs may be others now
		}
		b.fail("%s: running lease %v was dropped for nothing", s.worker.name, f)
	}
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
