package ledger

// overlapsDone says whether any position of [from, to) is done.
func (g *stage) overlapsDone(from, to Position) bool {
	_, e, ok := g.done.floor(to - 1)
	return ok && e.to > from
}

// insert adds a done range to a stage. Ranges without output unite with their
// neighbours, for nothing can happen to them any more.
func (s *State) insert(e *entry) {
	g := e.job.stage(e.stage)
	e.place.val, e.held.val = e, e
	g.size += e.to - e.from
	if e.out.ID != "" {
		g.outputs++
		s.hold(e)
	} else {
		e.sum = Counters{} // never subtracted
	}
	prev, next := g.neighbours(e)
	if e.out.ID == "" {
		if prev != nil && prev.to == e.from && prev.out.ID == "" {
			e.absorb(prev)
			g.unlink(prev)
			prev, _ = g.neighbours(e)
		}
		if next != nil && next.from == e.to && next.out.ID == "" {
			e.absorb(next)
			g.unlink(next)
		}
	}
	g.done.put(e.from, e)
	var after *node[*entry]
	if prev != nil {
		after = &prev.place
	}
	g.order.pushAfter(&e.place, after)
}

func (g *stage) neighbours(e *entry) (prev, next *entry) {
	if _, p, ok := g.done.floor(e.from - 1); ok {
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
}

// unlink takes an entry out of its stage's order.
func (g *stage) unlink(e *entry) {
	g.done.remove(e.from)
	e.place.leave()
}

// hold notes who holds an entry's output.
func (s *State) hold(e *entry) {
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
	e.job.stage(e.stage).outputs--
}

// undo makes a done range undone, with what it counted.
func (s *State) undo(e *entry) {
	g := e.job.stage(e.stage)
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
