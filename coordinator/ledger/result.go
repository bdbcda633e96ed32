package ledger

// reading is a client that reads a job's result.
type reading struct {
	told      Position // up to where outputs were told
	delivered Position // up to where the client has them, durable or not
	ahead     int      // outputs told and not consumed
	last      bool     // that there are no more was told
	restart   bool     // what was told before is void
	left      bool     // the client has gone away
}

func (l *Ledger) resultRequested(e ResultRequested) {
	j, r := l.state.jobs[e.Job], l.runs[e.Job]
	switch {
	case j == nil || j.planOnly || j.plan != nil && j.toFiles():
	case j.settings.Keep:
		if r != nil && j.rests() {
			l.remake(r)
		}
	case r != nil:
		restart := r.reading != nil
		l.untell(r)
		r.reading = &reading{told: j.read, delivered: j.read, restart: restart}
		l.touch(r)
		l.advanceReading(r)
	case j.state == StateDone:
		l.emit(OutputReady{Job: j.id, Last: true}) // it is empty, or was read
	}
}

// untell takes back what was told of a result and not consumed.
func (l *Ledger) untell(r *run) {
	if r.reading == nil || len(r.stages) == 0 {
		return
	}
	for e := range r.job.stages[r.job.last()].order.all() {
		if e.from >= r.reading.told {
			return
		}
		if e.told {
			e.told = false
		}
	}
}

// restartReading begins again after the last consumed output, since some that
// were told may be lost.
func (l *Ledger) restartReading(r *run) {
	p := r.reading
	if p == nil {
		return
	}
	l.untell(r)
	void := p.restart || p.ahead > 0 || p.last
	r.reading = &reading{told: r.job.read, delivered: p.delivered, restart: void, left: p.left}
}

// advanceReading tells the outputs that have become ready to be delivered.
func (l *Ledger) advanceReading(r *run) {
	p := r.reading
	if p == nil || p.last || len(r.stages) == 0 || r.job.toFiles() {
		return
	}
	g := &r.job.stages[r.job.last()]
	var ready []Output
	for p.ahead < l.cfg.ResultWindow {
		_, e, ok := g.done.floor(p.told)
		if !ok || e.to <= p.told || e.losing || !l.tell(r, e) {
			break
		}
		if e.told {
			ready = append(ready, e.out)
			p.ahead++
		}
		p.told = e.to
	}
	p.last = r.job.state == StateDone && p.told == g.total
	if len(ready) > 0 || p.last || p.restart {
		l.emit(OutputReady{r.job.id, ready, p.last, p.restart})
		p.restart = false
	}
}

// tell marks an entry's output as told, if the client needs it. It says
// whether the entries behind it may be looked at.
func (l *Ledger) tell(r *run, e *entry) bool {
	switch {
	case e.out.ID == "" || e.reading:
		return true
	case e.to <= r.reading.delivered: // made again after it had arrived
		l.consume(e)
		return true
	case e.merge != nil && !l.unpin(e):
		return false
	}
	e.told = true
	return true
}

// unpin frees an output from a merge, unless that has begun.
func (l *Ledger) unpin(e *entry) bool {
	b := e.merge
	if b.phase != batchReady && b.phase != batchBacksOff {
		return false
	}
	l.drop(b)
	return true
}

func (l *Ledger) resultConsumed(e ResultConsumed) {
	x, r := l.state.outputs[e.Output], l.runs[e.Job]
	if r == nil || x == nil || x.job != r.job || x.reading || r.job.settings.Keep {
		return
	}
	if p := r.reading; p != nil {
		p.delivered = max(p.delivered, x.to)
	}
	l.consume(x)
}

// wasRead says whether an entry is part of a result that was read up to behind
// it: it was made again, and nobody wants it.
func (e *entry) wasRead() bool {
	j := e.job
	return e.stage >= 0 && e.stage == j.last() && e.to <= j.read && !j.settings.Keep && !j.toFiles()
}

func (l *Ledger) consume(e *entry) {
	e.reading = true
	l.propose(&ResultRead{e.job.id, e.out.ID})
}

// followRead follows the delivery of an output.
func (l *Ledger) followRead(f *ResultRead) {
	e := l.state.outputs[f.Output]
	told := e != nil && e.told
	r := l.runs[f.Job]
	if !l.state.Apply(f) || r == nil {
		return
	}
	l.dropDropped()
	if r.job.state.Over() {
		l.roomMade()
	}
	e.told, e.reading = false, false
	if p := r.reading; p != nil && told {
		p.ahead--
	}
	l.moveOn(r)
}
