package ledger

func (l *Ledger) outputLost(e OutputLost) {
	for _, id := range e.Outputs {
		if x := l.state.outputs[id]; x != nil {
			l.lose(x)
		}
	}
}

// lose proposes that the output of an entry is lost, once.
func (l *Ledger) lose(e *entry) {
	if e.losing || e.out.ID == "" || l.cfg.Bug.has(BugForgetLost) {
		return
	}
	if e.job.rests() && !l.cfg.Bug.has(BugEagerRemake) {
		if r := l.runs[e.job.id]; !e.absent && r != nil {
			e.absent = true
			if b := e.merge; b != nil && (b.phase == batchReady || b.phase == batchBacksOff) {
				l.drop(b) // it can't be moved any more
			}
			l.change(r)
		}
		return
	}
	e.losing = true
	if n := len(l.facts); n > 0 {
		if f, ok := l.facts[n-1].(*OutputsLost); ok && f.Job == e.job.id && f.Stage == e.stage && !f.Wanted {
			f.Outputs = append(f.Outputs, e.out.ID)
			return
		}
	}
	l.propose(&OutputsLost{Job: e.job.id, Stage: e.stage, Outputs: []OutputID{e.out.ID}})
}
