package ledger

import "bytes"

func (l *Ledger) answer(q RequestID, code AnswerCode, id JobID, existed bool) {
	if q != 0 {
		l.emit(Answer{q, code, id, existed})
	}
}

// answerAsked answers a request whose fact was committed, if it was asked of
// this leader.
func (l *Ledger) answerAsked(a Asked, code AnswerCode, id JobID, existed bool) {
	if a.Term == l.term {
		l.answer(a.Request, code, id, existed)
	}
}

func (l *Ledger) jobSubmitted(e JobSubmitted) {
	if id, known := l.state.keys[e.Key]; known && !l.cfg.Bug.has(BugSkipKey) {
		l.answerKnown(e.Request, id, e.Spec, e.PlanOnly)
		return
	}
	if l.state.live+l.asking >= l.cfg.MaxJobs {
		l.answer(e.Request, AnswerFull, 0, false)
		return
	}
	l.asking++
	l.propose(&JobAdded{
		At: l.now, Asked: Asked{l.term, e.Request}, Key: e.Key,
		Settings: e.Settings, Spec: e.Spec, PlanOnly: e.PlanOnly,
	})
}

// answerKnown answers a submission whose key is taken: well, if it is by the
// same job.
func (l *Ledger) answerKnown(q RequestID, id JobID, spec []byte, planOnly bool) {
	if j := l.state.jobs[id]; !bytes.Equal(j.spec, spec) || j.planOnly != planOnly {
		l.answer(q, AnswerKeyTaken, id, true)
		return
	}
	l.answer(q, AnswerOK, id, true)
}

func (l *Ledger) followAdded(f *JobAdded, took bool) {
	if f.Asked.Term == l.term {
		l.asking--
	}
	if !took {
		if f.Asked.Term == l.term {
			l.answerKnown(f.Asked.Request, l.state.keys[f.Key], f.Spec, f.PlanOnly)
		}
		return
	}
	j := l.state.order[len(l.state.order)-1]
	r := l.newRun(j, 0)
	l.answerAsked(f.Asked, AnswerOK, j.id, false)
	l.change(r)
	l.touch(r)
}

// asked returns the job that a client wants to change, and what to answer if it
// can't be.
func (l *Ledger) asked(id JobID) (*run, AnswerCode) {
	j := l.state.jobs[id]
	if j == nil {
		return nil, AnswerNotFound
	}
	if j.state.Over() {
		return nil, AnswerEnded
	}
	return l.runs[id], AnswerOK
}

func (l *Ledger) jobCancelled(e JobCancelled) {
	r, code := l.asked(e.Job)
	if r == nil {
		if j := l.state.jobs[e.Job]; j != nil && j.state == StateCancelled {
			code = AnswerOK
		}
		l.answer(e.Request, code, e.Job, false)
		return
	}
	r.closing = true
	l.propose(&JobClosed{
		At: l.now, Asked: Asked{l.term, e.Request}, Job: e.Job,
		State: StateCancelled, Class: OutcomeCancelled, Reason: e.Reason,
	})
	l.relist(r)
}

func (l *Ledger) followClosed(f *JobClosed, took bool) {
	j := l.state.jobs[f.Job]
	code := AnswerOK
	switch {
	case j == nil:
		code = AnswerNotFound
	case j.state != f.State && !(took && j.state == StateDone):
		code = AnswerEnded
	}
	l.answerAsked(f.Asked, code, f.Job, false)
	r := l.runs[f.Job]
	if r == nil {
		return
	}
	r.closing = false // it may be reopened
	if !took {
		return
	}
	reason := "the job has failed"
	if f.State == StateCancelled {
		reason = "the job was cancelled"
	}
	l.change(r)
	l.endRun(r, reason)
	if j.released { // its result could not be made again otherwise, and what is left of it stays
		l.retire(r)
	}
}

func (l *Ledger) followForgotten(f *JobForgotten, took bool) {
	if j := l.state.jobs[f.Job]; !took && j != nil { // its result is made again
		j.pruned = false
		l.answerAsked(f.Asked, AnswerRunning, f.Job, false)
		return
	}
	l.answerAsked(f.Asked, AnswerOK, f.Job, false)
	if r := l.runs[f.Job]; r != nil {
		l.endRun(r, "the job is forgotten")
		l.retire(r)
	}
}

func (l *Ledger) pause(q RequestID, id JobID, paused bool) {
	r, code := l.asked(id)
	if r == nil {
		l.answer(q, code, id, false)
		return
	}
	l.propose(&PauseSet{Asked{l.term, q}, id, paused})
}

func (l *Ledger) followPause(f *PauseSet, took bool) {
	r := l.runs[f.Job]
	if !took || r == nil {
		l.answerAsked(f.Asked, AnswerEnded, f.Job, false)
		return
	}
	l.answerAsked(f.Asked, AnswerOK, f.Job, false)
	l.change(r)
	l.touch(r)
	l.unblock(r)
}
