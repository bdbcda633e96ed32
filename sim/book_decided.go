package sim

import (
	"slices"

	"github.com/millrace/millrace/coordinator/ledger"
)

// decided sees an effect before it is carried out.
func (b *book) decided(at ledger.Time, e ledger.Effect) {
	switch e := e.(type) {
	case ledger.Append:
		for _, f := range e.Facts {
			b.proposed(at, f)
		}
	case ledger.Attached:
		b.attached(at, e)
	case ledger.DrainWorker:
		b.seatOf(e.Worker).ordered = true
	case ledger.LetGo:
		b.letGo(at, e)
	case ledger.RefuseSession:
		b.sessionRefused(at, e)
	case ledger.Grant:
		b.grant(at, e)
	case ledger.CheckSink:
		b.asksSink(at, e)
	case ledger.Revoke:
		b.revoke(at, e)
	case ledger.Ack:
		b.acked(at, e)
	case ledger.Refuse:
		b.refused(at, e)
	case ledger.DropOutputs:
		b.dropped(e)
	case ledger.JobEnded:
		b.ended(at, e)
	case ledger.EndJob:
		b.forgotten(e.Job)
	}
}

// foresee notes the ends and the refunds that a step proposes: they bind the step
// itself, though they are told last.
func (b *book) foresee(effects []ledger.Effect) {
	b.doing = b.doing[:0]
	for _, s := range b.seats {
		s.refunds = false
	}
	for _, e := range effects {
		a, ok := e.(ledger.Append)
		if !ok {
			continue
		}
		for _, f := range a.Facts {
			switch f := f.(type) {
			case *ledger.RangeFailed:
				if j := b.jobs[f.Fence.Job]; j != nil {
					j.failing[f.Fence] = tried{f.Stage, span{int64(f.From), int64(f.To)}}
				}
			case *ledger.RangeDone:
				b.doing = append(b.doing, f.Fence)
			case *ledger.JobClosed:
				if j := b.jobs[f.Job]; j != nil {
					j.closing = true
				}
			case *ledger.AttemptsRefunded:
				b.seatOf(f.Worker).refunds = true
			}
		}
	}
}

// proposed checks that a fact comes of an attempt that may still win.
func (b *book) proposed(at ledger.Time, f ledger.Fact) {
	var fence ledger.Fence
	switch f := f.(type) {
	case *ledger.RangeDone:
		fence = f.Fence
	case *ledger.OutputsMerged:
		fence = f.Fence
	case *ledger.JobPlanned:
		fence = f.Fence
	case *ledger.OutputsLost:
		b.loses(at, f)
		return
	case *ledger.RangeFailed:
		b.checkRoom(f)
		return
	case *ledger.JobForgotten:
		b.forgets(at, f)
		return
	case *ledger.JobClosed:
		if j := b.jobs[f.Job]; j != nil && f.Class == ledger.OutcomeInputGone {
			j.blind = b.askedAll(at, j) && !(j.found && at < b.grace)
		}
		if j := b.jobs[f.Job]; j != nil && f.Class == ledger.OutcomeUnable {
			j.unable = b.otherFolder(j) || b.nobodyCan(at, j) && !(j.found && at < b.grace)
		}
		return
	default:
		return
	}
	r := b.reports[fence]
	if r == nil || !r.live || !won(r.class) {
		b.fail("%T of %v: no live attempt has said so", f, fence)
		return
	}
	b.yield(r.lease)
}

func won(c ledger.OutcomeClass) bool {
	return c == ledger.OutcomeDone || c == ledger.OutcomeDoneWithSkips
}

// grant checks a lease that is given, and notes it.
func (b *book) grant(at ledger.Time, e ledger.Grant) {
	l := e.Lease
	s := b.at(e.Worker, e.Session)
	j := b.jobs[l.Fence.Job]
	switch {
	case s == nil:
		b.fail("granted %v to session %d of %s, which is not attached", l.Fence, e.Session, e.Worker)
		return
	case j == nil:
		b.fail("granted %v of a job that is not durable", l.Fence)
		return
	case s.draining || s.ordered:
		b.fail("granted %v to %s, which drains", l.Fence, e.Worker)
	case s.cordoned && s.asking == 0:
		b.fail("granted %v to %s, which is cordoned", l.Fence, e.Worker)
	case s.doubtful():
		b.fail("granted %v to %s, of which gossip says %d", l.Fence, e.Worker, s.opinion)
	case b.exhausted(j.def.settings.User):
		b.fail("granted %v, and its user has all %d leases that he may have", l.Fence, b.quota(j.def.settings.User))
	case b.granted[l.Fence] || l.Fence.Term != b.term:
		b.fail("granted %v twice, or in term %d", l.Fence, b.term)
	}
	b.granted[l.Fence] = true
	b.checkTrial(at, s, l)
	b.grantTurn(at, s, j, l)
	b.grantCredit(s, l)
	b.grantJob(at, s, j, l)
	b.grantAble(at, s, j, l)
	m := &leaseBook{fence: l.Fence, kind: l.Kind, stage: stageOf(l), span: span{int64(l.From), int64(l.To)}, seat: s, renewed: at, inputs: l.Inputs, alone: l.Alone}
	b.grantRange(at, j, m, l)
	b.grantInputs(j, l)
	b.live = append(b.live, m)
}

// grantTurn checks that an idle worker serves nobody before a job of higher
// priority that has something for it, unless it was kept free meanwhile.
func (b *book) grantTurn(at ledger.Time, s *seat, j *jobBook, l *ledger.Lease) {
	if b.held(s) > 0 || l.Alone || l.Kind != ledger.LeaseProcess {
		return
	}
	for _, other := range b.order {
		if other.def.settings.Priority <= j.def.settings.Priority {
			continue
		}
		if g, requires := b.ready(at, other); g != nil && fits(s.worker, other.def.settings.Labels, requires) && other.due(g) > 0 && !b.closedTo(at, other, g, s) {
			b.fail("granted %v to %s, and job %d of higher priority waits", l.Fence, s.name, other.id)
		}
	}
}

func (b *book) grantCredit(s *seat, l *ledger.Lease) {
	if s.credit < 1 {
		b.fail("granted %v to %s without credit", l.Fence, s.name)
	}
	if l.Bytes > s.bytes && b.held(s) > 0 {
		b.fail("granted %v, of %d bytes, to busy %s with credit for %d", l.Fence, l.Bytes, s.name, s.bytes)
	}
	s.credit--
	s.bytes -= l.Bytes
}

func (b *book) grantJob(at ledger.Time, s *seat, j *jobBook, l *ledger.Lease) {
	d := &j.def.settings
	moves := l.Kind == ledger.LeaseMerge && j.state == ledger.StateDone // to another worker, since theirs leaves
	if (j.paused || j.state.Over()) && !moves {
		b.fail("granted %v of a job that is paused or over", l.Fence)
	}
	if n := b.running(l.Fence.Job); d.MaxConcurrency > 0 && n >= int(d.MaxConcurrency) {
		b.fail("granted %v beside %d others: at most %d may run", l.Fence, n, d.MaxConcurrency)
	}
	for _, label := range d.Labels {
		if !slices.Contains(s.worker.labels, label) {
			b.fail("granted %v to %s, which lacks the label %v", l.Fence, s.name, label)
		}
	}
	if l.Kind == ledger.LeasePlan || l.Kind == ledger.LeaseCommit {
		return
	}
	if at < j.submitted.Add(d.Delay) {
		b.fail("granted %v before its delay of %v", l.Fence, d.Delay)
	}
	for _, p := range j.def.plan.Stages[l.Stage].Requires {
		if !slices.Contains(s.worker.processors, p) {
			b.fail("granted %v to %s, which lacks the processor %s", l.Fence, s.name, p)
		}
	}
}

// running is how many leases of a job are out.
func (b *book) running(job ledger.JobID) int {
	n := 0
	for _, l := range b.live {
		if l.fence.Job == job && !l.orphan && !l.told {
			n++
		}
	}
	return n
}

// grantRange checks that nobody else has the range, or had it done.
func (b *book) grantRange(at ledger.Time, j *jobBook, m *leaseBook, l *ledger.Lease) {
	if l.Kind == ledger.LeaseMerge {
		j.merged = at
		return
	}
	g := b.stageOf(l.Fence.Job, m.stage)
	if g == nil || m.span.from < 0 || m.span.from >= m.span.to || m.span.to > g.total {
		b.fail("granted %v for %v, which does not exist", l.Fence, m.span)
		return
	}
	if g.overlapsDone(m.span) {
		b.fail("granted %v for %v, which is done", l.Fence, m.span)
	}
	if other := b.liveOn(l.Fence.Job, m.stage, m.span); other != nil && (!other.orphan || at < b.grace) {
		b.fail("granted %v for %v, which %v holds", l.Fence, m.span, other.fence)
	}
	if j.streams(m.stage) && b.crowded(j, g) && m.span.from > g.readUpTo() {
		b.fail("granted %v for %v, and its reader has %d bytes before it", l.Fence, m.span, g.unread)
	}
	g.take(m.span)
	if len(l.Splits) > 0 || m.stage == 0 {
		b.grantSplits(j, l)
	}
}

// grantSplits checks that the splits are the range, cut where it may be.
func (b *book) grantSplits(j *jobBook, l *ledger.Lease) {
	at := int64(l.From)
	for _, s := range l.Splits {
		f := &j.def.plan.Fragments[s.Fragment]
		if j.def.bases[s.Fragment]+s.From != at || s.From >= s.To || s.To > f.Extent {
			b.fail("granted %v with splits %v, which are not its range", l.Fence, l.Splits)
			return
		}
		for _, edge := range []int64{s.From, s.To} {
			inner := edge > 0 && edge < f.Extent
			if inner && (f.Whole || j.def.plan.Stages[0].Cut.WholeFiles || len(f.Cuts) > 0 && !slices.Contains(f.Cuts, edge)) {
				b.fail("granted %v: fragment %d may not be cut at %d", l.Fence, s.Fragment, edge)
			}
		}
		if len(l.Splits) > 1 && s.To-s.From < f.Extent && j.def.plan.Stages[0].Cut.Rule == ledger.CutLate {
			b.fail("granted %v: it packs a part of fragment %d with others", l.Fence, s.Fragment)
		}
		at = j.def.bases[s.Fragment] + s.To
	}
	if at != int64(l.To) {
		b.fail("granted %v with splits %v, which end before its range", l.Fence, l.Splits)
	}
	if n := j.def.plan.Stages[0].Cut.MaxFiles; n > 0 && len(l.Splits) > int(n) && j.def.plan.Stages[0].Cut.Rule == ledger.CutLate {
		b.fail("granted %v with %d files: at most %d", l.Fence, len(l.Splits), n)
	}
}

// grantInputs checks that outputs are read whole and in source order.
func (b *book) grantInputs(j *jobBook, l *ledger.Lease) {
	var want spans
	from := l.Stage
	switch {
	case l.Kind == ledger.LeaseMerge:
		want = j.def.part(int64(l.From), int64(l.To))
	case l.Kind == ledger.LeaseCommit:
		want, from = j.def.part(0, j.def.total), len(j.stages)-3
	case l.Kind == ledger.LeaseProcess && l.Stage > 0:
		want, from = j.def.part(0, j.def.total), l.Stage-1
	default:
		return
	}
	if l.Kind == ledger.LeaseMerge && l.Stage > 0 {
		want = j.def.part(0, j.def.total)
	}
	var got spans
	for _, in := range l.Inputs {
		if !b.stageOf(l.Fence.Job, from).has(in.ID) {
			b.fail("granted %v with input %s, which is no output of a winner", l.Fence, in.ID)
			return
		}
		got = got.join(b.w.plane.contents[in.ID].spans)
	}
	if got = got.first(j.def.limit); !got.equal(want) {
		b.fail("granted %v with inputs of %v, not %v", l.Fence, got, want)
	}
}

// revoke takes a lease back at once, unless it is only asked for.
func (b *book) revoke(at ledger.Time, e ledger.Revoke) {
	if e.IfWaiting {
		return
	}
	for _, l := range b.live {
		if l.fence == e.Fence {
			b.checkRevoked(at, l, e)
			b.end(l, b.backedOff(at))
			b.enlistDone()
			return
		}
	}
}

// checkRevoked: no lease is taken from a worker that lives, unless its job is
// over, or somebody else has or had some of its range.
func (b *book) checkRevoked(at ledger.Time, l *leaseBook, e ledger.Revoke) {
	j := b.jobs[l.fence.Job]
	if j == nil || j.closing || j.state.Over() || l.orphan || l.kind == ledger.LeaseMerge || at >= b.deadline(l) || b.claimed(l) {
		return
	}
	for _, other := range b.live {
		if other != l && other.fence.Job == l.fence.Job && other.stage == l.stage && other.span.overlaps(l.span) {
			return
		}
	}
	if g := b.stageOf(l.fence.Job, l.stage); g != nil && !g.overlapsDone(l.span) && l.span.to <= g.total {
		b.fail("%s: the live lease %v is revoked: %s", e.Worker, l.fence, e.Reason)
	}
}

// claimed says whether a worker that attaches in this step has, or had, some of
// a lease's range.
func (b *book) claimed(l *leaseBook) bool {
	on := func(x *ledger.Lease) bool {
		return x.Fence.Job == l.fence.Job && stageOf(x) == l.stage && l.span.overlaps(span{int64(x.From), int64(x.To)})
	}
	return b.arrives != nil &&
		(slices.ContainsFunc(b.arrives.Leases, func(h ledger.HeldLease) bool { return on(&h.Lease) }) ||
			slices.ContainsFunc(b.arrives.Outcomes, func(o ledger.Outcome) bool { return on(o.Granted) }))
}

// acked checks that what is acknowledged is durable.
func (b *book) acked(at ledger.Time, e ledger.Ack) {
	r := b.reports[e.Fence]
	if r == nil {
		b.fail("acknowledged %v, which nobody reported", e.Fence)
		return
	}
	if j := b.jobs[e.Fence.Job]; won(r.class) && j != nil && !j.wins[e.Fence] && !j.ruined() {
		b.fail("acknowledged %v before it was durable", e.Fence)
	}
	b.learnsUnable(r)
	b.settle(at, r, e.Fence)
}

// settle ends the lease of an answered outcome.
func (b *book) settle(at ledger.Time, r *report, f ledger.Fence) {
	for _, l := range b.live {
		if l.fence == f {
			b.end(l, b.backedOff(at))
			return
		}
	}
}

// refused checks that work is not thrown away for nothing.
func (b *book) refused(at ledger.Time, e ledger.Refuse) {
	r := b.reports[e.Fence]
	if r == nil {
		b.fail("refused %v, which nobody reported", e.Fence)
		return
	}
	j := b.jobs[e.Fence.Job]
	tooMany := r.skips > 0 && j != nil && j.def.limit > 0 // it may have skipped too many, for now
	if r.live && !r.lease.orphan && won(r.class) && !tooMany && j != nil && j.state == ledger.StateRunning && !j.lostSome && !j.closing {
		if g := b.stageOf(e.Fence.Job, r.lease.stage); r.lease.kind == ledger.LeaseProcess && r.lease.stage >= 0 && !g.overlapsDone(r.lease.span) && r.lease.span.to <= g.total {
			b.fail("refused %v, whose lease was live: %s", e.Fence, e.Reason)
		}
	}
	b.settle(at, r, e.Fence)
}

// dropped checks that nobody needs an output that is given up.
func (b *book) dropped(e ledger.DropOutputs) {
	for _, id := range e.Outputs {
		for _, j := range b.order {
			if j.needs(id) {
				b.fail("output %s of job %d is dropped, and still needed", id, j.id)
			}
		}
	}
}
