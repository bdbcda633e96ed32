package ledger

// A stage over the source may need no more than the first so many records of
// its outputs. Its end is then brought forward as soon as what is done without
// a gap has that many: what lies behind is left out for good. That follows
// from the facts alone, so that every replica does it at the same one.

// prefix returns how many records the stage's outputs must have, -1 when all
// are needed.
func (p *Plan) prefix() int64 {
	if limit := p.Stages[0].PrefixLimit; limit != nil {
		return *limit
	}
	return -1
}

// bound moves the end of the first stage to where its outputs are enough.
func (s *State) bound(j *job) {
	limit := j.plan.prefix()
	if limit < 0 {
		return
	}
	if limit > 0 && s.bug.has(BugShortPrefix) {
		limit--
	}
	g := &j.stages[0]
	g.advance(limit)
	switch {
	case g.found >= limit:
		s.cutOff(j, g)
	case g.front == g.total:
		g.total = j.layout.total() // something was made again, and came to less
	}
}

// advance counts the records of what is done without a gap, up to a limit.
func (g *stage) advance(limit int64) {
	for g.found < limit {
		_, e, ok := g.done.floor(g.front)
		if !ok || e.to <= g.front {
			return
		}
		if e.from >= g.front { // or it has only grown, by what has no records
			g.found += e.sum.RecordsOut // those too that were read, and given up since
		}
		g.front = e.to
	}
}

// retreat takes an entry that is undone, and what is counted behind it, off
// what was counted.
func (g *stage) retreat(e *entry) {
	if e.from >= g.front {
		return
	}
	for n := &e.place; n != nil && n.val.from < g.front; n = n.next {
		g.found -= n.val.sum.RecordsOut
	}
	g.front = e.from
}

// cutOff leaves out everything behind what was counted.
func (s *State) cutOff(j *job, g *stage) {
	var behind []*entry
	for _, e := range g.done.from(g.front) {
		behind = append(behind, e)
	}
	for _, e := range behind {
		if e.out.ID != "" && e.out.Kind != OutputFile {
			s.dropped = append(s.dropped, e.out)
		}
		j.wasted += e.batches
		s.undo(e)
	}
	g.forgive(g.front, g.total)
	g.total = g.front
}

// followBound follows a change of where the first stage ends.
func (l *Ledger) followBound(r *run, k *work) {
	if k.index != 0 || r.job.plan.prefix() < 0 {
		return
	}
	was, now := k.total, k.stage.total
	if k.total = now; now > was {
		k.pending.add(was, now)
	}
	if now < was {
		for b := range r.all.all() {
			if b.work == k && (b.kind == LeaseMerge && !b.intact() || b.kind != LeaseMerge && b.from >= now) {
				l.dissolve(b, "the records before it are enough")
			}
		}
		k.pending.remove(now, was)
		l.looking = true // the next stage may begin, though the job was listed already
	}
	l.hurry(k)
}

// hurry tries a batch again at once that has failed for the last time before,
// when it has become clear that its job depends on it.
func (l *Ledger) hurry(k *work) {
	f, ok := k.stage.failed.get(k.stage.front)
	if !ok {
		return
	}
	for b := range k.run.all.all() {
		if b.work == k && b.from == f.from && b.phase == batchBacksOff && (f.class == OutcomeFatal || f.spent >= k.run.maxAttempts()) {
			b.retryAt = l.now
			l.retryDue(b)
			return
		}
	}
}

// ahead says whether a batch may turn out not to be needed: its failure says
// nothing of the job yet.
func (b *batch) ahead() bool {
	return b.work.index == 0 && b.kind == LeaseProcess && b.run.job.plan.prefix() >= 0 && b.from > b.work.stage.front
}

// probe returns how large a batch should be at most while it is not known how
// far a prefix reaches: small at first, and growing with what was looked at.
func (l *Ledger) probe(r *run, k *work) Position {
	b, limit := l.boundsOf(r.job.layout), float64(r.job.plan.prefix())
	least := b.least
	if r.job.layout.unit != UnitBytes {
		least = max(least, min(limit, b.first))
	}
	return Position(max(least, float64(k.stage.front)/float64(max(l.slotsFor(r, k), 1))))
}
