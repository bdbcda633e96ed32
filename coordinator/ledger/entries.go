package ledger

import "time"

// overlapsDone says whether any position of [from, to) is done.
func (g *stage) overlapsDone(from, to Position) bool {
	_, e, ok := g.done.floor(to - 1)
	return ok && e.to > from
}

// insert adds a done range to a stage. Ranges without output unite with their
// neighbours.
func (s *State) insert(e *entry) {
	g := e.job.stage(e.stage)
	g.size += e.to - e.from
	prev, next := g.neighbours(e.from)
	if e.out.ID != "" {
		g.outputs++
		s.hold(e)
	} else {
		if !e.mayGo() {
			e.sum = Counters{} // never subtracted
		}
		if next != nil && next.from == e.to && next.out.ID == "" {
			e.absorb(next)
			g.unlink(next)
		}
		if prev != nil && prev.to == e.from && prev.out.ID == "" {
			prev.absorb(e)
			return
		}
	}
	g.done.put(e.from, e)
	e.place.val = e
	var after *node[*entry]
	if prev != nil {
		after = &prev.place
	}
	g.order.pushAfter(&e.place, after)
}

// mayGo says whether an entry may be undone although it has no output: when it
// turns out to lie behind the prefix that is enough, or when it was merged with
// its neighbours, and that output is lost.
func (e *entry) mayGo() bool {
	return e.stage == 0 && e.job.plan.prefix() >= 0 || e.stage >= 0 && e.job.plan.Stages[e.stage].Mergeable
}

// extend makes a done batch without output a part of the entry before it, when
// that has none either: so do most, and no entry is made for them.
func (g *stage) extend(from, to Position, sum *Counters, elapsed time.Duration) bool {
	prev, next := g.neighbours(from)
	if prev == nil || prev.to != from || prev.out.ID != "" {
		return false
	}
	g.size += to - from
	one := entry{from: from, to: to, batches: 1, elapsed: elapsed}
	if prev.mayGo() {
		one.sum = *sum
	}
	prev.absorb(&one)
	if next != nil && next.from == to && next.out.ID == "" {
		prev.absorb(next)
		g.unlink(next)
	}
	return true
}

// neighbours returns the entries before and behind a position that is not
// done.
func (g *stage) neighbours(at Position) (prev, next *entry) {
	if _, p, ok := g.done.floor(at); ok {
		prev = p
		if prev.place.next != nil {
			next = prev.place.next.val
		}
		return prev, next
	}
	if g.order.head != nil {
		next = g.order.head.val
	}
	return nil, next
}

// absorb takes a neighbour's range over.
func (e *entry) absorb(o *entry) {
	e.from, e.to = min(e.from, o.from), max(e.to, o.to)
	e.batches += o.batches
	e.elapsed += o.elapsed
	e.sum.add(&o.sum)
}

// unlink takes an entry out of its stage's order.
func (g *stage) unlink(e *entry) {
	g.done.remove(e.from)
	e.place.leave()
}

// hold notes who holds an entry's output.
func (s *State) hold(e *entry) {
	e.job.stage(e.stage).bytes += e.out.Bytes
	e.held.val = e
	s.outputs[e.out.ID] = e
	h := s.holders[e.out.Worker]
	if h == nil {
		h = &list[*entry]{}
		s.holders[e.out.Worker] = h
	}
	h.push(&e.held)
}

// unhold forgets an entry's output.
func (s *State) unhold(e *entry) {
	delete(s.outputs, e.out.ID)
	h := e.held.in
	e.held.leave()
	if h != nil && h.n == 0 {
		delete(s.holders, e.out.Worker)
	}
	g := e.job.stage(e.stage)
	g.outputs--
	g.bytes -= e.out.Bytes
}

// undo makes a done range undone, with what it counted.
func (s *State) undo(e *entry) {
	g := e.job.stage(e.stage)
	g.retreat(e)
	if e.out.ID != "" {
		s.unhold(e)
	}
	g.unlink(e)
	g.size -= e.to - e.from
	g.batches -= e.batches
	g.elapsed -= e.elapsed
	e.job.batches -= e.batches
	if !s.bug.has(BugKeepCounters) {
		g.sum.sub(&e.sum)
	}
}

// redo makes a whole stage undone.
func (s *State) redo(j *job, i int) {
	g := &j.stages[i]
	for e := range g.order.all() {
		if e.out.ID != "" {
			s.dropped = append(s.dropped, e.out)
			s.unhold(e)
		}
	}
	j.batches -= g.batches
	*g = stage{total: g.total, cap: g.cap}
}

// dropOutputs gives up all outputs of a stage: what is done stays done.
func (s *State) dropOutputs(j *job, i int) {
	g := &j.stages[i]
	held := make([]*entry, 0, g.outputs)
	for e := range g.order.all() {
		if e.out.ID != "" {
			held = append(held, e)
		}
	}
	for _, e := range held {
		if e.out.Kind != OutputFile {
			s.dropped = append(s.dropped, e.out)
		}
		s.give(e)
	}
}

// give gives up an entry's output: its range stays done.
func (s *State) give(e *entry) {
	g := e.job.stage(e.stage)
	s.unhold(e)
	g.unlink(e)
	g.size -= e.to - e.from
	e.out = Output{}
	s.insert(e)
}
