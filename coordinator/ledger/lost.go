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
	e.losing = true
	if n := len(l.facts); n > 0 {
		if f, ok := l.facts[n-1].(*OutputsLost); ok && f.Job == e.job.id && f.Stage == e.stage {
			f.Outputs = append(f.Outputs, e.out.ID)
			return
		}
	}
	l.propose(&OutputsLost{e.job.id, e.stage, []OutputID{e.out.ID}})
}
