package sim

import (
	"slices"

	"github.com/millrace/millrace/coordinator/ledger"
)

// check holds after every step of the coordinator.
func (b *book) check(at ledger.Time) {
	b.expire(at)
	b.checkOnce()
	b.checkPaused(at)
	b.watchSeats(at)
	b.checkExplained(at)
	b.checkOwed()
	b.checkKept(at)
	for _, s := range b.seats {
		if s.takes() && s.asking == 0 && s.credit > 0 && (b.held(s) == 0 || b.hasRoom(s)) {
			b.checkIdle(at, s)
		}
	}
}

// hasRoom says whether a worker that is not idle has a free slot, and credit
// for whatever there is. It may be kept free, then, for a batch that takes it
// whole: the book does not know for which.
func (b *book) hasRoom(s *seat) bool {
	if b.held(s) >= s.slots {
		return false
	}
	for _, l := range b.live {
		if l.seat == s && l.alone {
			return false
		}
	}
	bytes := int64(0)
	for _, j := range b.order {
		if j.state.Over() {
			continue
		}
		if first := j.stages[0]; len(j.stages) == 2 || first.complete() || first.size+first.busy == 0 {
			return false
		}
		for _, f := range j.def.plan.Fragments {
			bytes += f.SizeBytes
		}
	}
	return s.bytes > 0 && s.bytes >= bytes
}

// checkOnce: no two live leases share a position.
func (b *book) checkOnce() {
	for i, l := range b.live {
		if l.orphan || l.told || l.kind == ledger.LeaseMerge {
			continue
		}
		for _, m := range b.live[i+1:] {
			if !m.orphan && !m.told && m.kind != ledger.LeaseMerge && l.fence.Job == m.fence.Job &&
				l.stage == m.stage && l.span.overlaps(m.span) {
				b.fail("%v and %v both hold %v", l.fence, m.fence, m.span)
			}
		}
	}
}

// checkIdle: a worker that has room and credit finds nothing that it could do,
// or it would have been granted.
func (b *book) checkIdle(at ledger.Time, s *seat) {
	for _, j := range b.order {
		g, requires := b.ready(at, j)
		if g == nil || !fits(s.worker, j.def.settings.Labels, requires) || b.closedTo(at, j, g, s) {
			continue
		}
		for _, p := range g.parked {
			on := tried{j.stage(g), p.span}
			if p.again > 0 && at > max(p.again, b.late()) && !b.blindFor(at, j, s, on) && !b.leftToRoomier(j, s, on, requires) {
				b.fail("%s is idle, and %v of job %d waits for nothing since %d", s.name, p.span, j.id, p.again)
			}
		}
		if left := j.due(g); left > 0 {
			b.fail("%s is idle, and %d positions of job %d wait for nothing (%v)", s.name, left, j.id,
				b.w.coordinator.ledger.Explain(j.id, at))
		}
	}
}

// late is until when what waits may wait since the coordinator got no time: what
// it has to do begins later then.
func (b *book) late() ledger.Time {
	if b.wentOn == 0 {
		return 0
	}
	return b.backedOff(b.wentOn)
}

// untouched is how many positions were never leased.
func (g *stageBook) untouched() int64 {
	left := g.total - g.size - g.busy
	for _, p := range g.parked {
		left -= p.span.to - p.span.from
	}
	return left
}

func fits(k *worker, labels []ledger.Label, requires []string) bool {
	for _, l := range labels {
		if !slices.Contains(k.labels, l) {
			return false
		}
	}
	for _, p := range requires {
		if !slices.Contains(k.processors, p) {
			return false
		}
	}
	return true
}

// ready is the stage of a job that may be granted from, if there is one.
func (b *book) ready(at ledger.Time, j *jobBook) (*stageBook, []string) {
	d := &j.def.settings
	if b.exhausted(d.User) || b.quota(d.User) > 0 && b.closes(d.User) || j.state.Over() || j.paused || j.closing || j.found && at < b.grace ||
		d.MaxConcurrency > 0 && b.running(j.id) >= int(d.MaxConcurrency) {
		return nil, nil
	}
	switch j.state {
	case ledger.StatePlanning:
		return b.stageOf(j.id, planning), nil
	case ledger.StateCommitting:
		return b.stageOf(j.id, committing), nil
	}
	for i, g := range j.stages[:len(j.stages)-2] {
		if g.complete() {
			continue
		}
		if i == 0 && at < j.submitted.Add(d.Delay) || i > 0 && (j.stages[i-1].outputs() > 1 || at < b.backedOff(j.merged) || slices.ContainsFunc(b.seats, (*seat).leaves)) {
			return nil, nil // too early, or outputs may be merged first
		}
		if j.streams(i) && b.mayWait(j, g) {
			return nil, nil
		}
		if j.writing(i) && b.holds(at, j) && b.outstanding(j) {
			return nil, nil
		}
		return g, j.def.plan.Stages[i].Requires
	}
	return nil, nil
}

// crowded says whether so much of a result is not read that no more is due.
func (b *book) crowded(j *jobBook, g *stageBook) bool {
	unread, limit := g.unread, j.def.settings.MaxSpoolBytes
	return j.reading && unread >= b.w.law.ledger.UnreadBytes || limit > 0 && 5*unread >= 2*limit
}

// mayWait says whether a job may have nothing to grant for its reader's sake:
// there is something to read, or it is being made. With a limit of the job's own
// the book can't tell how much of that is expected.
func (b *book) mayWait(j *jobBook, g *stageBook) bool {
	busy := g.unread > 0 || g.busy > 0 || len(g.parked) > 0
	return busy && (j.def.settings.MaxSpoolBytes > 0 || b.crowded(j, g))
}

func (g *stageBook) outputs() int { return g.unate }

// cancels notes that a user wants an end.
func (b *book) cancels(j *jobDef) { b.asked[j.key] = true }

// accepted: a submission is answered with the one durable job of its key.
func (b *book) accepted(d *jobDef, a ledger.Answer) {
	if j := b.jobs[a.Job]; j == nil || j.def.key != d.key {
		b.fail("the submission of %s was answered with job %d, which is not its own", d.key, a.Job)
	}
}

// ended checks a job that is over.
func (b *book) ended(at ledger.Time, e ledger.JobEnded) {
	j := b.jobs[e.Job]
	if j.state != e.State {
		b.fail("job %d ends in state %d: it is in %d", e.Job, e.State, j.state)
		return
	}
	for _, l := range slices.Clone(b.live) {
		if moves := l.stage == len(j.stages)-3 && b.drains(l.inputs); l.fence.Job == e.Job && !l.told && !moves {
			b.end(l, 0) // a merge that nobody waits for any more
		}
	}
	v, ok := b.w.coordinator.ledger.Job(e.Job, at)
	if !ok && j.forgotten {
		return // a leader that found it done has not told so before
	}
	if e.State != ledger.StateDone || j.def.planOnly || j.partial {
		return
	}
	source := j.stages[0]
	if j.def.nowhere && source.total == j.def.total {
		b.fail("job %d is done, and nobody sees all of its files", e.Job)
	}
	if j.def.poison >= 0 && j.def.poison < source.total || j.def.bads(source.total) > j.def.settings.SkipLimit {
		b.fail("job %d is done, and can't be", e.Job)
	}
	for i, g := range j.stages[:len(j.stages)-2] {
		if !g.complete() {
			b.fail("job %d is done, but for %d positions of stage %d", e.Job, g.total-g.size, i)
		}
	}
	if got, want := b.w.plane.moved[j.def].first(j.def.limit), j.def.part(0, j.def.total); j.def.toFiles() && !got.equal(want) {
		b.fail("job %d is done, and its files hold %v, not %v", e.Job, got, want)
	}
	b.checkCounters(j, v)
}

// checkCounters: what a job says that it did is what its winners did.
func (b *book) checkCounters(j *jobBook, v ledger.JobView) {
	var in, out ledger.Counters
	for _, e := range j.stages[0].done {
		in = sum(in, e.count)
	}
	last := len(j.stages) - 3
	for _, e := range j.stages[last].done {
		out = sum(out, e.count)
	}
	got := v.Stats.Counters
	if got.RecordsIn != in.RecordsIn || got.BytesIn != in.BytesIn || got.RecordsSkipped != in.RecordsSkipped ||
		got.RecordsOut != out.RecordsOut || got.BytesOut != out.BytesOut {
		b.fail("job %d counts %+v; its winners %+v in, %+v out", j.id, got, in, out)
	}
	if end := j.stages[0].total; v.Stats.PositionsDone != end || v.Stats.PositionsTotal != end {
		b.fail("job %d is done, with %d of %d positions", j.id, v.Stats.PositionsDone, v.Stats.PositionsTotal)
	}
	tries := int64(0)
	for _, g := range j.stages[:last+1] {
		for _, e := range g.done {
			tries += e.tries
		}
	}
	if v.Stats.BatchesDone != tries {
		b.fail("job %d counts %d batches, its winners are %d", j.id, v.Stats.BatchesDone, tries)
	}
	if v.Stats.Rerun != j.rerun {
		b.fail("job %d counts %d batches that ran again, and %d were lost", j.id, v.Stats.Rerun, j.rerun)
	}
	b.checkFixedCut(j)
}

// checkFixedCut: a user who asks for so many batches gets them.
func (b *book) checkFixedCut(j *jobBook) {
	c := j.def.plan.Stages[0].Cut
	if j.def.limit > 0 {
		return
	}
	free := !c.WholeFiles && j.def.hungry == 0
	for _, f := range j.def.plan.Fragments {
		free = free && !f.Whole && len(f.Cuts) == 0
	}
	n := int64(0)
	for _, e := range j.stages[0].done {
		n += e.tries
	}
	if c.Rule == ledger.CutOne && n != 1 && j.def.hungry == 0 {
		b.fail("job %d asked for one batch, and got %d", j.id, n)
	}
	if want := min(c.Size, j.def.total); c.Rule == ledger.CutBatches && free && c.MaxFiles == 0 && n != want {
		b.fail("job %d asked for %d batches, and got %d", j.id, want, n)
	}
}

// forgotten: nothing is needed of a job any more.
func (b *book) forgotten(id ledger.JobID) {
	j := b.jobs[id]
	if !j.state.Over() {
		b.fail("job %d is to be forgotten, and not over", id)
	}
	if j.state == ledger.StateDone && !j.def.planOnly && !j.def.toFiles() && !j.forgotten && !j.shelved &&
		j.stages[len(j.stages)-3].outputs() > 0 {
		b.fail("job %d is to be forgotten, and its result is not read", id)
	}
	j.gone = true
	for _, l := range slices.Clone(b.live) {
		if l.fence.Job == id {
			b.end(l, 0)
		}
	}
}

// rereads: a client asks a new coordinator, which may have to repeat what the
// log has lost.
func (b *book) rereads(id ledger.JobID) { b.jobs[id].reread = true }

// cutDelivered drops what was delivered behind a position. A merged output that
// was delivered, lost with its worker, and in part made again and noted as read
// by a coordinator that died then, reaches over it.
func (j *jobBook) cutDelivered(at int64) {
	n := len(j.delivered)
	if n == 0 {
		return
	}
	last := &j.delivered[n-1]
	var kept []span
	for _, s := range last.spans {
		if s.to = min(s.to, at); s.from < s.to {
			kept = append(kept, s)
		}
	}
	last.spans = kept
}

// consumed: a client reads on where it stopped.
func (b *book) consumed(id ledger.JobID, out ledger.Output, c *content) {
	j := b.jobs[id]
	from := c.spans[0].from
	if j.reread {
		j.delivered = slices.DeleteFunc(j.delivered, func(d delivery) bool { return d.spans[0].from >= from })
		j.reread = false
		j.cutDelivered(from)
	}
	if n := len(j.delivered); n > 0 && j.delivered[n-1].spans[len(j.delivered[n-1].spans)-1].to > from {
		b.fail("job %d: output %s begins at %d, which was read before", id, out.ID, from)
	}
	j.delivered = append(j.delivered, delivery{out.ID, c.spans})
}

// everythingRead: a client that was told to have read all has.
func (b *book) everythingRead(id ledger.JobID) {
	j := b.jobs[id]
	var got spans
	for _, d := range j.delivered {
		got = got.join(d.spans)
	}
	got = got.first(j.def.limit)
	if want := j.def.part(0, j.def.total); !got.equal(want) {
		b.fail("job %d: its client has read %v, not %v", id, got, want)
	}
	j.readAll = true
}

// snapshot: what is kept is proportional to fragments, leases and holes.
func (b *book) snapshot(size int) {
	b.largest = max(b.largest, size)
	most := 1000
	for _, j := range b.order {
		most += 1000
		if j.state.Over() && j.gone {
			most += 100 * min(len(j.def.plan.Fragments), 100)
			continue
		}
		for _, f := range j.def.plan.Fragments {
			most += 60 + 10*len(f.Cuts)
		}
		for _, g := range j.stages {
			most += 300*(g.outputs()+len(g.parked)) + 200*g.holes()
		}
	}
	most += 300 * len(b.live)
	if size > most {
		b.fail("a snapshot has %d bytes: what is left to do is worth %d", size, most)
	}
}

// holes is how many done ranges do not touch the one before.
func (g *stageBook) holes() int {
	n, at := 0, int64(-1)
	for _, e := range g.done {
		if e.span.from != at || e.out != "" {
			n++
		}
		at = e.span.to
	}
	return n
}
