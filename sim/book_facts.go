package sim

import (
	"maps"
	"slices"

	"github.com/millrace/millrace/coordinator/ledger"
)

// durable sees facts before the ledger does.
func (b *book) durable(facts []ledger.Fact) {
	for _, f := range facts {
		switch f := f.(type) {
		case *ledger.JobAdded:
			b.added(f)
		case *ledger.JobPlanned:
			b.planned(f)
		case *ledger.PauseSet:
			if j := b.jobs[f.Job]; !j.state.Over() {
				j.paused = f.Paused
			}
		case *ledger.AttemptsRefunded:
			b.refunded(f)
		case *ledger.CordonSet:
			for _, name := range f.Workers {
				s := b.seatOf(name)
				s.cordoned, s.asking = f.Cordoned, max(s.asking-1, 0)
			}
		case *ledger.JobClosed:
			b.makesRoom(f.Job)
			b.closed(f)
		case *ledger.RangeDone:
			b.rangeDone(f)
		case *ledger.RangeFailed:
			b.rangeFailed(f)
		case *ledger.OutputsLost:
			b.outputsLost(f)
		case *ledger.OutputsMerged:
			b.merged(f)
		case *ledger.TermBegan:
			b.number(f)
		case *ledger.JobForgotten:
			b.makesRoom(f.Job)
			if j := b.jobs[f.Job]; j.state.Over() { // otherwise lost parts are being made again
				j.forgotten = true
			}
		case *ledger.JobShelved:
			b.makesRoom(f.Job)
			b.jobs[f.Job].shelved = true
		case *ledger.ResultRead:
			b.consumedFor(f)
		}
	}
}

// number notes where job numbers begin: at the first term of all.
func (b *book) number(f *ledger.TermBegan) {
	if !b.numbered {
		b.base, b.numbered = ledger.JobID(f.Term)-1, true
	}
}

// added numbers a job, as every replica does.
func (b *book) added(f *ledger.JobAdded) {
	for _, j := range b.order {
		if j.def.key == f.Key && !j.forgotten {
			return
		}
	}
	for _, c := range b.w.clients {
		if c.job.key == f.Key {
			j := newJobBook(b.base+ledger.JobID(len(b.order)+1), c.job, f.At)
			b.order = append(b.order, j)
			b.jobs[j.id] = j
			return
		}
	}
	b.fail("a job with key %s was added: nobody submitted it", f.Key)
}

func (b *book) planned(f *ledger.JobPlanned) {
	j := b.jobs[f.Job]
	if j.state != ledger.StatePlanning {
		return
	}
	j.wins[f.Fence] = true
	j.state = ledger.StateRunning
	j.plannedAt, j.fresh, j.settled = b.w.coordinator.clock(), true, false
	if r := b.reports[f.Fence]; r != nil && r.seat != nil {
		j.views[r.seat.name] = &viewBook{incarnation: r.seat.incarnation, seen: true}
	}
	stages := []*stageBook{}
	for i := range j.def.plan.Stages {
		g := &stageBook{total: 1}
		if i == 0 {
			g.total = j.def.total
		}
		stages = append(stages, g)
	}
	j.stages = append(stages, j.stages...)
	b.stageOf(f.Job, planning).win(entryBook{span: span{0, 1}})
	if j.def.planOnly {
		j.state, j.ended = ledger.StateDone, f.At
	}
}

// closed checks that there was a reason.
func (b *book) closed(f *ledger.JobClosed) {
	j := b.jobs[f.Job]
	if j.state.Over() {
		return
	}
	j.state, j.ended = f.State, f.At
	if j.remaking {
		j.state, j.remaking, j.partial = ledger.StateDone, false, true
		return
	}
	d := &j.def.settings
	if f.State == ledger.StateCancelled {
		if !b.asked[j.def.key] {
			b.fail("job %d was cancelled, and nobody asked for it", f.Job)
		}
		return
	}
	late := d.Deadline > 0 && f.At >= j.submitted.Add(d.Deadline)
	tired := false
	for _, n := range j.spent {
		tired = tired || n+1 >= int(d.MaxAttempts)
	}
	broke := d.RetryBudget > 0 && j.failures+1 >= d.RetryBudget
	blind := f.Class == ledger.OutcomeInputGone && j.blind || f.Class == ledger.OutcomeUnable && j.unable
	if !blind && !j.fatal && !late && !tired && !broke {
		b.fail("job %d failed for no good reason: %v %s %s", f.Job, f.Class, f.Reason, f.Failure)
	}
}

// rangeDone notes a winner: of an attempt that was live, whose output is what
// its range should come to, where nothing was done before.
func (b *book) rangeDone(f *ledger.RangeDone) {
	j, g := b.jobs[f.Fence.Job], b.stageOf(f.Fence.Job, f.Stage)
	won := span{int64(f.From), int64(f.To)}
	if j.state.Over() || g == nil || !b.fed(j, f.Stage) || won.to > g.total {
		return // it comes too late
	}
	if g.overlapsDone(won) {
		b.fail("%v is done by %v, and was done before", won, f.Fence)
		return
	}
	r := b.reports[f.Fence]
	if r == nil || r.lease.span != won || r.out.ID != f.Output.ID {
		b.fail("%v is said to be done by %v, which has reported %+v", won, f.Fence, r)
		return
	}
	b.checkOutput(j, f.Stage, won, f.Output.ID)
	b.over(f.Fence)
	delete(j.full, tried{f.Stage, won})
	g.win(entryBook{span: won, out: f.Output.ID, bytes: f.Output.Bytes, count: r.count, tries: 1})
	j.wins[f.Fence] = true
	if f.Stage == 0 && j.def.limit > 0 {
		b.cutOff(j, g)
	}
	if f.Stage > 0 {
		j.stages[f.Stage-1].eat()
	}
	j.ended = f.At
	if f.Stage == committing {
		j.stages[len(j.stages)-3].eat()
		j.state = ledger.StateDone
		j.remaking, j.wanted = false, false
	} else if f.Stage == len(j.stages)-3 && g.complete() && !j.def.toFiles() {
		j.state = ledger.StateDone
		j.remaking, j.wanted = false, false
	} else if f.Stage == len(j.stages)-3 && g.complete() {
		j.state = ledger.StateCommitting
	}
}

// over ends a lease that has won, whether its worker hears of that or not.
func (b *book) over(f ledger.Fence) {
	for _, l := range b.live {
		if l.fence == f {
			b.end(l, 0)
			return
		}
	}
}

// cutOff forgets what lies behind the first outputs that are enough.
func (b *book) cutOff(j *jobBook, g *stageBook) {
	end, records := int64(0), int64(0)
	for _, e := range g.done {
		if e.span.from != end || records >= j.def.limit {
			break
		}
		end = e.span.to
		records += e.count.RecordsOut
	}
	if records < j.def.limit {
		return
	}
	g.total = end
	g.lose(nil, func(e entryBook) bool { return e.span.from >= end })
	g.parked = slices.DeleteFunc(g.parked, func(p parked) bool { return p.span.from >= end })
	for _, l := range slices.Clone(b.live) {
		if l.fence.Job == j.id && l.stage == 0 && l.span.to > end {
			b.end(l, 0)
		}
	}
}

// fed says whether all that a stage reads is still there.
func (b *book) fed(j *jobBook, stage int) bool {
	switch {
	case stage > 0:
		return j.stages[stage-1].complete()
	case stage == committing:
		return j.stages[len(j.stages)-3].complete()
	}
	return true
}

// eat notes that nobody reads a stage's outputs any more.
func (g *stageBook) eat() {
	for i := range g.done {
		g.eaten(&g.done[i])
	}
}

// checkOutput compares an output with what its range should come to.
func (b *book) checkOutput(j *jobBook, stage int, s span, id ledger.OutputID) {
	if stage < 0 || j.def.plan.Stages[stage].Output == ledger.OutputNone {
		return
	}
	want := j.def.part(s.from, s.to)
	if stage > 0 {
		want = j.def.part(0, j.def.total)
	}
	var got spans
	if id != "" {
		got = b.w.plane.contents[id].spans
	}
	if !got.equal(want) {
		b.fail("job %d, stage %d: output %s of %v holds %v, not %v", j.id, stage, id, s, got, want)
	}
}

func (b *book) rangeFailed(f *ledger.RangeFailed) {
	for _, l := range b.live {
		if l.fence == f.Fence && !l.seat.attached { // nobody hears of it
			b.end(l, 0)
			break
		}
	}
	j := b.jobs[f.Fence.Job]
	delete(j.failing, f.Fence)
	delete(j.full, tried{f.Stage, span{int64(f.From), int64(f.To)}})
	if f.Class == ledger.OutcomeInputGone {
		return // that spends nothing
	}
	j.failures++
	j.failedBy[f.Worker]++
	whole := tried{f.Stage, span{int64(f.From), int64(f.To)}}
	j.spent[whole]++
	if j.spentBy[whole] == nil {
		j.spentBy[whole] = map[ledger.WorkerID]int{}
	}
	j.spentBy[whole][f.Worker]++
	j.fatal = j.fatal || f.Class == ledger.OutcomeFatal
	if f.SplitAt > 0 {
		j.halved = append(j.halved, span{int64(f.From), int64(f.To)})
		for _, half := range []span{{int64(f.From), int64(f.SplitAt)}, {int64(f.SplitAt), int64(f.To)}} { // they have been tried as often
			on := tried{f.Stage, half}
			j.spent[on], j.spentBy[on] = j.spent[whole], maps.Clone(j.spentBy[whole])
		}
	}
}

// outputsLost undoes what the lost outputs stood for, and what had consumed
// them needs once more.
func (b *book) outputsLost(f *ledger.OutputsLost) {
	j, g := b.jobs[f.Job], b.stageOf(f.Job, f.Stage)
	if j.gone || g == nil || j.ruined() {
		return
	}
	if j.rests() && !f.Wanted || j.shelved || j.forgotten {
		return // nobody asks for it
	}
	lost := g.lose(j, func(e entryBook) bool { return !e.ate && e.out != "" && slices.Contains(f.Outputs, e.out) })
	if !lost && !(j.rests() && !g.complete()) {
		return
	}
	j.lostSome = true
	j.remaking = j.remaking || j.rests()
	j.state, j.partial = ledger.StateRunning, false
	for i := f.Stage - 1; i >= 0 && !j.stages[i+1].complete(); i-- {
		j.stages[i].lose(j, func(e entryBook) bool { return e.ate })
	}
	b.stageOf(f.Job, committing).lose(nil, func(entryBook) bool { return true })
	for _, l := range slices.Clone(b.live) {
		if l.fence.Job == f.Job && (l.stage > f.Stage || l.stage == committing || l.kind == ledger.LeaseMerge && !b.intact(l)) {
			b.end(l, 0) // it reads what is not there any more
		}
	}
}

// intact says whether all inputs of a merge are still outputs of winners.
func (b *book) intact(l *leaseBook) bool {
	g := b.stageOf(l.fence.Job, l.stage)
	return !slices.ContainsFunc(l.inputs, func(o ledger.Output) bool { return !g.has(o.ID) })
}

// merged puts one output in the place of neighbours.
func (b *book) merged(f *ledger.OutputsMerged) {
	j, g := b.jobs[f.Fence.Job], b.stageOf(f.Fence.Job, f.Stage)
	moves := f.Moves && j.state == ledger.StateDone && f.Stage == len(j.stages)-3 && !j.shelved && !j.forgotten
	if j.state != ledger.StateRunning && !moves || g == nil {
		return
	}
	s := span{int64(f.From), int64(f.To)}
	one := entryBook{span: s, out: f.Output.ID, bytes: f.Output.Bytes}
	var inputs []ledger.OutputID
	covered := int64(0)
	for _, e := range g.done {
		if !e.span.overlaps(s) {
			continue
		}
		covered += e.span.to - e.span.from
		one.count = sum(one.count, e.count)
		one.tries += e.tries
		if e.out != "" && !e.ate {
			inputs = append(inputs, e.out)
		}
	}
	if covered != s.to-s.from || !slices.Equal(inputs, f.Inputs) {
		return // it comes too late: what it merged is not there any more
	}
	delete(j.full, tried{f.Stage, s})
	b.checkOutput(j, f.Stage, s, f.Output.ID)
	g.lose(nil, func(e entryBook) bool { return e.span.overlaps(s) })
	g.win(one)
	j.wins[f.Fence] = true
	b.over(f.Fence)
}

// consumedFor notes an output that its reader needs no more.
func (b *book) consumedFor(f *ledger.ResultRead) {
	j := b.jobs[f.Job]
	g := j.stages[len(j.stages)-3]
	for i := range g.done {
		if e := &g.done[i]; e.out == f.Output {
			g.eaten(e)
		}
	}
}

func sum(a, b ledger.Counters) ledger.Counters {
	a.RecordsIn += b.RecordsIn
	a.BytesIn += b.BytesIn
	a.RecordsOut += b.RecordsOut
	a.BytesOut += b.BytesOut
	a.RecordsSkipped += b.RecordsSkipped
	return a
}
