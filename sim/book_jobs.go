package sim

import (
	"slices"

	"github.com/millrace/millrace/coordinator/ledger"
)

// What is no stage of a plan has these numbers in durable facts.
const (
	planning   = -1
	committing = -2
)

// jobBook is a job as far as it is durable.
type jobBook struct {
	id        ledger.JobID
	def       *jobDef
	submitted ledger.Time
	state     ledger.JobState
	paused    bool
	closing   bool         // an end has been proposed, as far as the book can tell
	found     bool         // by a leader that did not add it
	lostSome  bool         // outputs were lost
	gone      bool         // nobody needs anything of it
	stages    []*stageBook // two more than the plan has: planning and commit, last
	wins      map[ledger.Fence]bool
	failing   map[ledger.Fence]bool // a failure is proposed, and not yet durable
	spent     map[tried]int
	failures  uint64
	fatal     bool
	delivered []delivery
	reread    bool
	readAll   bool
	batches   int64
}

// tried is a range that was tried.
type tried struct {
	stage int
	span  span
}

// delivery is an output that the client has read.
type delivery struct {
	id    ledger.OutputID
	spans spans
}

// stageBook is what is done of a stage.
type stageBook struct {
	total  int64
	done   []entryBook // in order
	size   int64       // of what is done
	busy   int64       // of what is leased
	parked []parked
}

// entryBook is a done range.
type entryBook struct {
	span  span
	out   ledger.OutputID
	count ledger.Counters
	tries int64
	ate   bool // its output was consumed
}

// parked is a range that was leased, and is neither done nor leased.
type parked struct {
	span  span
	again ledger.Time // when it may be expected to be granted again; never when 0
}

func (g *stageBook) overlapsDone(s span) bool {
	return slices.ContainsFunc(g.done, func(e entryBook) bool { return e.span.overlaps(s) })
}

func (g *stageBook) has(id ledger.OutputID) bool {
	return slices.ContainsFunc(g.done, func(e entryBook) bool { return e.out == id && !e.ate })
}

func (g *stageBook) complete() bool { return g.size == g.total }

// take notes that a range is leased.
func (g *stageBook) take(s span) {
	g.unpark(s)
	g.busy += s.to - s.from
}

func (g *stageBook) unpark(s span) {
	var rest []parked
	for _, p := range g.parked {
		if !p.span.overlaps(s) {
			rest = append(rest, p)
			continue
		}
		if p.span.from < s.from {
			rest = append(rest, parked{span{p.span.from, s.from}, p.again})
		}
		if s.to < p.span.to {
			rest = append(rest, parked{span{s.to, p.span.to}, p.again})
		}
	}
	g.parked = rest
}

// park notes that a range is leased no more, unless it is done.
func (g *stageBook) park(s span, again ledger.Time) {
	g.busy -= s.to - s.from
	if !g.overlapsDone(s) {
		g.parked = append(g.parked, parked{s, again})
	}
}

// refound is what a new leader makes of parked ranges.
func (g *stageBook) refound(again ledger.Time) {
	for i := range g.parked {
		g.parked[i].again = again
	}
}

// win notes a done range.
func (g *stageBook) win(e entryBook) {
	g.unpark(e.span)
	i, _ := slices.BinarySearchFunc(g.done, e.span.from, func(d entryBook, from int64) int { return int(d.span.from - from) })
	g.done = slices.Insert(g.done, i, e)
	g.size += e.span.to - e.span.from
}

// lose undoes the entries that a condition names.
func (g *stageBook) lose(which func(entryBook) bool) (lost bool) {
	g.done = slices.DeleteFunc(g.done, func(e entryBook) bool {
		if !which(e) {
			return false
		}
		g.size -= e.span.to - e.span.from
		lost = true
		return true
	})
	return lost
}

func newJobBook(id ledger.JobID, d *jobDef, at ledger.Time) *jobBook {
	return &jobBook{id: id, def: d, submitted: at, state: ledger.StatePlanning,
		stages: []*stageBook{{total: 1}, {total: 1}},
		wins:   map[ledger.Fence]bool{}, failing: map[ledger.Fence]bool{}, spent: map[tried]int{}}
}

// stageOf finds a stage; planning and commit have numbers of their own.
func (b *book) stageOf(job ledger.JobID, stage int) *stageBook {
	j := b.jobs[job]
	if j == nil {
		return nil
	}
	n := len(j.stages)
	switch {
	case stage == planning:
		return j.stages[n-2]
	case stage == committing:
		return j.stages[n-1]
	case stage < n-2:
		return j.stages[stage]
	}
	return nil
}

// ruined says whether a job has ended without a result.
func (j *jobBook) ruined() bool {
	return j.state == ledger.StateFailed || j.state == ledger.StateCancelled
}

// needs says whether somebody has yet to read an output.
func (j *jobBook) needs(id ledger.OutputID) bool {
	if j.gone || j.ruined() {
		return false
	}
	last := len(j.stages) - 3
	for i, g := range j.stages[:max(last+1, 0)] {
		if !g.has(id) {
			continue
		}
		if i < last {
			return !j.stages[i+1].complete()
		}
		return !j.def.toFiles() && !j.def.planOnly || j.def.toFiles() && j.state != ledger.StateDone
	}
	return false
}

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
		case *ledger.JobClosed:
			b.closed(f)
		case *ledger.RangeDone:
			b.rangeDone(f)
		case *ledger.RangeFailed:
			b.rangeFailed(f)
		case *ledger.OutputsLost:
			b.outputsLost(f)
		case *ledger.OutputsMerged:
			b.merged(f)
		case *ledger.ResultRead:
			b.consumedFor(f)
		}
	}
}

// added numbers a job, as every replica does.
func (b *book) added(f *ledger.JobAdded) {
	for _, j := range b.order {
		if j.def.key == f.Key {
			return
		}
	}
	for _, c := range b.w.clients {
		if c.job.key == f.Key {
			j := newJobBook(ledger.JobID(len(b.order)+1), c.job, f.At)
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
		j.state = ledger.StateDone
	}
}

// closed checks that there was a reason.
func (b *book) closed(f *ledger.JobClosed) {
	j := b.jobs[f.Job]
	if j.state.Over() {
		return
	}
	j.state = f.State
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
	if !j.fatal && !late && !tired && !broke {
		b.fail("job %d failed for no good reason: %v %s %s", f.Job, f.Class, f.Reason, f.Failure)
	}
}

// rangeDone notes a winner: of an attempt that was live, whose output is what
// its range should come to, where nothing was done before.
func (b *book) rangeDone(f *ledger.RangeDone) {
	j, g := b.jobs[f.Fence.Job], b.stageOf(f.Fence.Job, f.Stage)
	won := span{int64(f.From), int64(f.To)}
	if j.state.Over() || g == nil || !b.fed(j, f.Stage) {
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
	g.win(entryBook{span: won, out: f.Output.ID, count: r.count, tries: 1})
	j.wins[f.Fence] = true
	if f.Stage > 0 {
		j.stages[f.Stage-1].eat()
	}
	if f.Stage == committing {
		j.stages[len(j.stages)-3].eat()
		j.state = ledger.StateDone
	} else if f.Stage == len(j.stages)-3 && g.complete() && !j.def.toFiles() {
		j.state = ledger.StateDone
	} else if f.Stage == len(j.stages)-3 && g.complete() {
		j.state = ledger.StateCommitting
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
		g.done[i].ate = true
	}
}

// checkOutput compares an output with what its range should come to.
func (b *book) checkOutput(j *jobBook, stage int, s span, id ledger.OutputID) {
	if stage < 0 || j.def.plan.Stages[stage].Output == ledger.OutputNone {
		return
	}
	want := j.def.good(s.from, s.to)
	if stage > 0 {
		want = j.def.good(0, j.def.total)
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
	j := b.jobs[f.Fence.Job]
	delete(j.failing, f.Fence)
	j.failures++
	j.spent[tried{f.Stage, span{int64(f.From), int64(f.To)}}]++
	j.fatal = j.fatal || f.Class == ledger.OutcomeFatal
}

// outputsLost undoes what the lost outputs stood for, and what had consumed
// them needs once more.
func (b *book) outputsLost(f *ledger.OutputsLost) {
	j, g := b.jobs[f.Job], b.stageOf(f.Job, f.Stage)
	if j.gone || g == nil || j.ruined() {
		return
	}
	lost := g.lose(func(e entryBook) bool { return !e.ate && e.out != "" && slices.Contains(f.Outputs, e.out) })
	if !lost {
		return
	}
	j.lostSome = true
	j.state = ledger.StateRunning
	for i := range f.Stage {
		j.stages[i].lose(func(entryBook) bool { return true })
	}
	b.stageOf(f.Job, committing).lose(func(entryBook) bool { return true })
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
	if j.state != ledger.StateRunning || g == nil {
		return
	}
	s := span{int64(f.From), int64(f.To)}
	one := entryBook{span: s, out: f.Output.ID}
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
	b.checkOutput(j, f.Stage, s, f.Output.ID)
	g.lose(func(e entryBook) bool { return e.span.overlaps(s) })
	g.win(one)
	j.wins[f.Fence] = true
}

// consumedFor notes an output that its reader needs no more.
func (b *book) consumedFor(f *ledger.ResultRead) {
	j := b.jobs[f.Job]
	for i := range j.stages[len(j.stages)-3].done {
		if e := &j.stages[len(j.stages)-3].done[i]; e.out == f.Output {
			e.ate = true
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
