package ledger

import (
	"fmt"
	"maps"
	"slices"
)

// Encode returns a snapshot of the state.
func (s *State) Encode() []byte {
	w := &wire{}
	w.snapshot(s)
	return w.buf
}

// Restore returns the state of a snapshot (a new one when empty) with facts
// applied. It fails when the snapshot is not one of this program's versions.
func Restore(snapshot []byte, facts ...Fact) (*State, error) {
	s := NewState()
	if len(snapshot) > 0 {
		w := &wire{buf: snapshot, reading: true}
		if w.snapshot(s); w.err == nil && len(w.buf) > 0 {
			w.fail()
		}
		if w.err != nil {
			return nil, fmt.Errorf("snapshot: %w", w.err)
		}
	}
	for _, f := range facts {
		s.Apply(f)
	}
	return s, nil
}

func (w *wire) snapshot(s *State) {
	kind := kindSnapshot
	w.header(&kind)
	if kind != kindSnapshot {
		w.fail()
	}
	num(w, &s.term)
	num(w, &s.base)
	num(w, &s.lastJob)
	w.cordons(s)
	n := len(s.order)
	num(w, &n)
	for i := 0; i < n && w.err == nil; i++ {
		if !w.reading {
			w.job(s, s.order[i])
			continue
		}
		j := &job{}
		if w.job(s, j); w.err == nil {
			s.add(j)
		}
	}
}

func (w *wire) cordons(s *State) {
	names := slices.Sorted(maps.Keys(s.cordoned))
	many(w, &names, str[WorkerID])
	for _, id := range names {
		s.cordoned[id] = true
	}
}

func (w *wire) job(s *State, j *job) {
	num(w, &j.id)
	str(w, &j.key)
	w.settings(&j.settings)
	w.bytes(&j.spec)
	w.flag(&j.planOnly)
	num(w, &j.submitted)
	num(w, &j.state)
	w.flag(&j.paused)
	num(w, &j.ended)
	num(w, &j.class)
	str(w, &j.reason)
	w.bytes(&j.fault)
	many(w, &j.inputs, (*wire).input)
	num(w, &j.read)
	w.flag(&j.released)
	w.flag(&j.shelved)
	w.flag(&j.remaking)
	num(w, &j.firstEnd)
	num(w, &j.keptFrom)
	w.record(j)
	str(w, &j.remakeReason)
	w.bytes(&j.remakeFault)
	num(w, &j.batches)
	num(w, &j.retries)
	num(w, &j.refunded)
	many(w, &j.tallies, (*wire).tally)
	num(w, &j.wasted)
	num(w, &j.merges)
	num(w, &j.rerun)
	many(w, &j.skips, func(w *wire, b *[]byte) { w.bytes(b) })
	num(w, &j.maxBatch)
	w.jobPlan(j)
	w.stage(s, j, planStage)
	w.stage(s, j, commitStage)
	for i := range j.stages {
		w.stage(s, j, i)
	}
}

// record is what a job had done before some of it was lost.
func (w *wire) record(j *job) {
	kept := j.record != nil
	w.flag(&kept)
	if !kept {
		return
	}
	if w.reading {
		j.record = &Stats{}
	}
	x := j.record
	num(w, &x.BatchesDone)
	num(w, &x.PositionsDone)
	num(w, &x.PositionsTotal)
	w.counters(&x.Counters)
	w.float(&x.BatchRecords)
	num(w, &x.BatchTime)
	num(w, &x.Elapsed)
}

// jobPlan is the plan, if there is one, and its stages as yet without what is
// done.
func (w *wire) jobPlan(j *job) {
	planned := j.plan != nil
	w.flag(&planned)
	if !planned || w.err != nil {
		return
	}
	p := j.plan
	if w.reading {
		p = &Plan{}
	}
	w.plan(p)
	fragments := j.fragments
	num(w, &fragments)
	if !w.reading || w.err != nil {
		return
	}
	if err := p.Check(); err != nil {
		w.err = fmt.Errorf("%w: %w", errEncoding, err)
		return
	}
	j.setPlan(p)
	j.fragments = fragments
	if j.released {
		j.layout = nil
	}
}

func (w *wire) stage(s *State, j *job, index int) {
	g := j.stage(index)
	num(w, &g.total)
	num(w, &g.batches)
	num(w, &g.elapsed)
	num(w, &g.cap)
	num(w, &g.front)
	num(w, &g.found)
	if w.reading && (g.total < 0 || g.front < 0 || g.front > g.total) {
		w.fail()
	}
	w.flag(&g.closed)
	w.counters(&g.sum)
	n := g.done.len()
	num(w, &n)
	if w.reading {
		for ; n > 0 && w.err == nil; n-- {
			w.readEntry(s, j, index)
		}
	} else {
		for e := range g.order.all() {
			w.entry(e)
		}
	}
	w.failures(g)
}

func (w *wire) readEntry(s *State, j *job, index int) {
	g := j.stage(index)
	e := &entry{job: j, stage: index}
	w.entry(e)
	if w.err == nil && (e.from < 0 || e.from >= e.to || e.to > g.total || g.overlapsDone(e.from, e.to) || s.outputs[e.out.ID] != nil) {
		w.fail()
	}
	if w.err == nil {
		s.insert(e)
	}
}

func (w *wire) entry(e *entry) {
	num(w, &e.from)
	num(w, &e.to)
	num(w, &e.batches)
	num(w, &e.level)
	w.output(&e.out)
	w.counters(&e.sum)
	num(w, &e.elapsed)
}

func (w *wire) failures(g *stage) {
	n := g.failed.len()
	num(w, &n)
	if !w.reading {
		for _, f := range g.failed.from(0) {
			w.failure(f)
		}
		return
	}
	for ; n > 0 && w.err == nil; n-- {
		f := &failure{}
		w.failure(f)
		if f.from < 0 || f.from >= f.to || f.to > g.total {
			w.fail()
			return
		}
		g.failed.put(f.from, f)
	}
}

func (w *wire) tally(t *tally) {
	str(w, &t.worker)
	num(w, &t.spent)
}

func (w *wire) failure(f *failure) {
	num(w, &f.from)
	num(w, &f.to)
	num(w, &f.spent)
	many(w, &f.gone, str[WorkerID])
	many(w, &f.by, (*wire).tally)
	num(w, &f.class)
	w.bytes(&f.first)
}
