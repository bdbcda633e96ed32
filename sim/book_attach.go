package sim

import (
	"slices"

	"github.com/millrace/millrace/coordinator/ledger"
)

// attaching notes an inventory, that the coordinator has taken up.
func (b *book) attaching(at ledger.Time, s *seat, e ledger.WorkerAttached) {
	s.listed, s.outcomes = map[ledger.Fence]ledger.Lease{}, map[ledger.Fence]bool{}
	for _, h := range e.Leases {
		s.listed[h.Lease.Fence] = h.Lease
	}
	for _, o := range e.Outcomes {
		s.outcomes[o.Fence] = true
		b.presented(at, s, o)
	}
}

// presented notes an outcome of an inventory. It may win although nobody
// remembers its lease, if its range is not done.
func (b *book) presented(at ledger.Time, s *seat, o ledger.Outcome) {
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
	b.heard(at, s, o, l, false)
}

// enlistDone holds those leases to be live whose ranges are proposed to be done.
func (b *book) enlistDone() {
	for _, f := range b.doing {
		if r := b.reports[f]; r != nil && r.lease != nil {
			b.enlist(r.lease)
		}
	}
}

// enlist holds a lease to be live whose outcome is about to win.
func (b *book) enlist(l *leaseBook) {
	g := b.stageOf(l.fence.Job, l.stage)
	if g == nil || l.kind == ledger.LeaseMerge || slices.Contains(b.live, l) || g.overlapsDone(l.span) || b.liveOn(l.fence.Job, l.stage, l.span) != nil {
		return
	}
	l.told = true
	b.live = append(b.live, l)
	g.take(l.span)
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
	l := b.w.coordinator.linkOf(e.Worker, e.Session)
	s.worker = l.worker
	b.checkTaken(at, s, l)
	if s.burnt {
		b.mayForgetUnable(s)
	}
	s.incarnate(l)
	b.attaching(at, s, s.asks)
	b.audit(s.asks)
	for _, f := range b.doing {
		if r := b.reports[f]; r != nil && r.lease != nil {
			b.yield(r.lease)
		}
	}
	b.enlistDone()
	s.burnt, s.scorched, s.freed = false, s.burnt, false
	s.heard, s.silent, s.heartbeat, s.refused = at, false, e.Heartbeat, 0
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
		if j := b.jobs[l.fence.Job]; j != nil {
			j.lost[tried{l.stage, l.span}]++
		}
		b.end(l, b.backedOff(at))
	}
	b.enlistDone()
	b.expectKept(s, e, kept)
}

// keep makes a lease of an inventory live again.
func (b *book) keep(at ledger.Time, s *seat, f ledger.Fence) {
	listed, ok := s.listed[f]
	if !ok {
		b.fail("%s: kept %v, which it did not list", s.name, f)
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
		if j == nil || j.closing || j.state != ledger.StateRunning {
			continue
		}
		g := b.stageOf(f.Job, stageOf(&l))
		covers := span{int64(l.From), int64(l.To)}
		if g == nil || l.Stage > 0 || covers.to > g.total || g.overlapsDone(covers) || b.liveOn(f.Job, stageOf(&l), covers) != nil {
			continue
		}
		if j.lostSome || j.fails(stageOf(&l), covers) || slices.ContainsFunc(j.halved, covers.overlaps) {
			continue // its inputs may be others now, or its range
		}
		b.fail("%s: running lease %v was dropped for nothing", s.name, f)
	}
}
