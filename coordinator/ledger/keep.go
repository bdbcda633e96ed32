package ledger

import "time"

// A job that has ended is kept for a time, and then forgotten with its result.
// A kept result stays with the workers that made it, or is shelved by the shell
// when it is small. What of it is lost is made again only when somebody asks.

// JobRemoved: a client wants an ended job forgotten, with its result. It is
// answered when that is durable.
type JobRemoved struct {
	Request RequestID
	Job     JobID
}

// ResultShelved: the shell has a copy of the whole kept result of a done job.
// The outputs are dropped from the workers; from now on the result is the
// shell's business, until the job is forgotten.
type ResultShelved struct {
	Job JobID
}

// JobShelved: the shell has the job's result.
type JobShelved struct {
	Job JobID
}

func (JobRemoved) event()    {}
func (ResultShelved) event() {}
func (*JobShelved) fact()    {}

// Part is an output of a kept result, and where it lies. When it is made again
// the bounds may be others.
type Part struct {
	Output   Output
	From, To Position
}

// Result returns the parts of the kept result of a job that is done, in
// source order: those that are there. They are complete unless something of
// them is lost: then [ResultRequested] has that made again, and [Changed] tells
// when to look again. A job that is not done or does not keep its result has
// none. Of a shelved result there are none, and they are complete.
func (l *Ledger) Result(id JobID) (parts []Part, complete bool) {
	j := l.state.jobs[id]
	if j == nil || j.state != StateDone || !j.settings.Keep {
		return nil, false
	}
	if j.released || j.toFiles() {
		return nil, true
	}
	g := &j.stages[j.last()]
	complete = g.complete()
	parts = make([]Part, 0, g.outputs)
	for e := range g.order.all() {
		switch {
		case e.out.ID == "":
		case e.absent || e.losing:
			complete = false
		default:
			parts = append(parts, Part{e.out, e.from, e.to})
		}
	}
	return parts, complete
}

// rests says whether a job is done and its result is kept: what is lost of it
// is lost until somebody asks.
func (j *job) rests() bool { return j.state == StateDone && j.settings.Keep }

// remake has the lost parts of a kept result made again.
func (l *Ledger) remake(r *run) {
	j := r.job
	var lost []OutputID
	g := &j.stages[j.last()]
	for e := range g.order.all() {
		if e.absent || l.cfg.Bug.has(BugRemakeAll) && e.out.ID != "" {
			lost = append(lost, e.out.ID)
			e.losing = true
		}
	}
	if (len(lost) > 0 || !g.complete()) && !r.remaking {
		r.remaking = true
		l.propose(&OutputsLost{Job: j.id, Stage: j.last(), Outputs: lost, Wanted: true})
	}
}

// loseDead gives up the outputs of a kept result that dead workers hold, when
// nothing else of it is left to do: the job is not done without them.
func (l *Ledger) loseDead(k *work) {
	r := k.run
	if !r.job.settings.Keep || k.index < 0 || k.index != r.job.last() || r.job.toFiles() || !k.begun() {
		return
	}
	for e := range k.stage.order.all() {
		if e.out.ID == "" {
			continue
		}
		if w := l.workers[e.out.Worker]; w != nil && w.dead {
			l.lose(e)
		}
	}
}

// remember keeps what a job had done when it was done, before some of that is
// undone since its output is lost. What could not be made again before is about
// to run again.
func (j *job) remember() {
	if j.record == nil {
		was := j.stats(j.ended)
		j.record = &was
		return
	}
	j.rerun += j.record.BatchesDone - j.batches
}

// settleRemake ends the attempt to make lost parts of a kept result again: the
// job is done as it was before, with what is left of its result.
func (s *State) settleRemake(j *job, f *JobClosed) {
	s.end(j, StateDone, f.At)
	if j.record != nil {
		j.rerun -= j.record.BatchesDone - j.batches // they have not
	}
	j.remakeReason, j.remakeFault = f.Reason, f.Failure
	for i := range j.stages {
		j.stages[i].failed.reset()
	}
}

// keptFor is how long a job is kept once it has ended.
func (l *Ledger) keptFor(j *job) time.Duration {
	if l.cfg.Bug.has(BugForgetEarly) {
		return 1
	}
	if d := j.settings.KeepFor; d > 0 {
		return d
	}
	return l.cfg.KeepFor
}

// expires returns when an ended job is forgotten.
func (j *job) expires(l *Ledger) Time { return j.keptFrom.Add(l.keptFor(j)) }

// expiryEvery is how seldom jobs are looked through for those whose time is
// over.
const expiryEvery = time.Second

// expireAt has ended jobs looked through at a time, unless that happens before.
func (l *Ledger) expireAt(at Time) {
	if l.expiry == 0 || at < l.expiry {
		l.expiry = at
		l.timers.push(timer{at: at, kind: dueExpiry})
	}
}

// expiryDue proposes to forget the jobs whose time is over.
func (l *Ledger) expiryDue(at Time) {
	if at != l.expiry {
		return
	}
	l.expiry = 0
	next := never
	for _, j := range l.state.order {
		if !j.state.Over() || j.pruned || l.cfg.Bug.has(BugKeepForever) {
			continue
		}
		switch due := j.expires(l); {
		case due > l.now:
			next = min(next, due)
		case l.beingRead(j):
			next = min(next, l.now.Add(expiryEvery))
		default:
			l.forget(j, Asked{})
		}
	}
	if next != never {
		l.expireAt(max(next, l.now.Add(expiryEvery)))
	}
}

// beingRead says whether a client is reading a result that can't be read
// again.
func (l *Ledger) beingRead(j *job) bool {
	r := l.runs[j.id]
	return r != nil && r.reading != nil && !r.reading.left
}

// forget proposes to forget an ended job. Who asked for it, if anybody, is answered.
func (l *Ledger) forget(j *job, asked Asked) {
	j.pruned = true
	l.propose(&JobForgotten{Job: j.id, Asked: asked})
}

func (l *Ledger) jobRemoved(e JobRemoved) {
	switch j := l.state.jobs[e.Job]; {
	case j == nil:
		l.answer(e.Request, AnswerNotFound, e.Job, false)
	case !j.state.Over():
		l.answer(e.Request, AnswerRunning, e.Job, false)
	default:
		l.forget(j, Asked{l.term, e.Request})
	}
}

func (l *Ledger) resultShelved(e ResultShelved) {
	if j := l.state.jobs[e.Job]; j != nil && j.rests() && !j.released {
		l.propose(&JobShelved{e.Job})
	}
}

func (s *State) jobShelved(f *JobShelved) bool {
	j := s.jobs[f.Job]
	if j == nil || !j.rests() || j.released || !j.stages[j.last()].complete() {
		return false
	}
	j.shelved = true
	s.release(j)
	return true
}

func (l *Ledger) followShelved(f *JobShelved, took bool) {
	if r := l.runs[f.Job]; took && r != nil {
		l.change(r)
		l.endRun(r, "the result is kept elsewhere") // it is released: nothing moves any more
		l.retire(r)
	}
}
