package ledger

func (s *State) outputsLost(f *OutputsLost) bool {
	j := s.jobs[f.Job]
	if j == nil || j.released || j.rests() && !f.Wanted && !s.bug.has(BugEagerRemake) {
		return false
	}
	took := f.Wanted && j.rests() && !j.stages[f.Stage].complete() // some was lost before
	if f.Wanted && j.rests() {
		j.remember()
	}
	for _, id := range f.Outputs {
		e := s.outputs[id]
		if e == nil || e.job != j || e.stage != f.Stage {
			continue
		}
		j.rerun += e.batches
		s.undo(e)
		took = true
	}
	if took {
		s.reopen(j, f.Stage)
	}
	return took
}

// reopen makes a job run again that lost outputs of a stage. What the stage
// had consumed must be made again too, down to a stage whose outputs are there.
func (s *State) reopen(j *job, index int) {
	if j.state == StateDone {
		j.remaking, j.firstEnd = j.settings.Keep, j.ended
		j.remakeReason, j.remakeFault = "", nil
		j.ended = 0
		s.live++
	}
	j.state = StateRunning
	j.committed = stage{total: 1}
	for i := index - 1; i >= 0 && !j.stages[i+1].complete(); i-- {
		if j.stages[i].closed {
			j.rerun += j.stages[i].batches
			s.redo(j, i)
		}
	}
}

func (s *State) outputsMerged(f *OutputsMerged) bool {
	j, g := s.mergeTarget(f)
	if j == nil || f.Stage < 0 || g.closed || s.outputs[f.Output.ID] != nil {
		return false
	}
	run := g.tiles(f.From, f.To)
	if !sameOutputs(run, f.Inputs) {
		return false
	}
	j.maxBatch = max(j.maxBatch, f.Fence.Batch)
	j.merges++
	merged := &entry{job: j, stage: f.Stage, from: f.From, to: f.To, out: f.Output}
	for _, e := range run {
		merged.batches += e.batches
		merged.elapsed += e.elapsed
		merged.level = max(merged.level, e.level+1)
		merged.sum.add(&e.sum)
		if e.out.ID != "" {
			s.dropped = append(s.dropped, e.out)
			s.unhold(e)
		}
		g.unlink(e)
		g.size -= e.to - e.from
	}
	s.insert(merged)
	return true
}

// tiles returns the entries that cover [from, to) exactly, or none.
func (g *stage) tiles(from, to Position) []*entry {
	e, ok := g.done.get(from)
	if !ok {
		return nil
	}
	var run []*entry
	for {
		run = append(run, e)
		switch next := e.place.next; {
		case e.to == to:
			return run
		case e.to > to || next == nil || next.val.from != e.to:
			return nil
		default:
			e = next.val
		}
	}
}

// sameOutputs says whether the outputs of entries are the named ones.
func sameOutputs(run []*entry, ids []OutputID) bool {
	i := 0
	for _, e := range run {
		if e.out.ID == "" {
			continue
		}
		if i == len(ids) || ids[i] != e.out.ID {
			return false
		}
		i++
	}
	return len(run) > 0 && i == len(ids)
}
