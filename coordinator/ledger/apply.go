package ledger

import (
	"fmt"
	"slices"
)

// Apply changes the state by a fact, alike on every replica. It says whether
// the fact took hold; one that does not fit any more changes nothing.
func (s *State) Apply(f Fact) bool {
	s.dropped = s.dropped[:0]
	switch f := f.(type) {
	case *TermBegan:
		s.termBegan(f)
		return true
	case *JobAdded:
		return s.jobAdded(f)
	case *JobPlanned:
		return s.jobPlanned(f)
	case *PauseSet:
		return s.pauseSet(f)
	case *JobClosed:
		return s.jobClosed(f)
	case *JobForgotten:
		return s.jobForgotten(f)
	case *RangeDone:
		return s.rangeDone(f)
	case *RangeFailed:
		return s.rangeFailed(f)
	case *OutputsLost:
		return s.outputsLost(f)
	case *OutputsMerged:
		return s.outputsMerged(f)
	case *ResultRead:
		return s.resultRead(f)
	case *AttemptsRefunded:
		return s.attemptsRefunded(f)
	case *JobShelved:
		return s.jobShelved(f)
	case *CordonSet:
		return s.cordonSet(f)
	case *WorkWasted:
		return s.workWasted(f)
	}
	panic(fmt.Sprintf("ledger: unknown fact %T", f))
}

// termBegan notes a term. The first term of all says where job numbers begin:
// a coordinator that lost its log, and whose terms are later, gives none again
// that workers may know.
func (s *State) termBegan(f *TermBegan) {
	if s.term == 0 && !s.bug.has(BugSameNumbers) {
		s.base = JobID(f.Term) - 1
		s.lastJob = s.base
	}
	s.term = max(s.term, f.Term)
}

func (s *State) jobAdded(f *JobAdded) bool {
	if _, known := s.keys[f.Key]; known && !s.bug.has(BugSkipKey) {
		return false
	}
	s.lastJob++
	s.add(&job{
		id: s.lastJob, key: f.Key, settings: f.Settings, spec: f.Spec, planOnly: f.PlanOnly,
		submitted: f.At, state: StatePlanning,
		planning: stage{total: 1}, committed: stage{total: 1},
	})
	return true
}

// running returns a job in a state, nil when there is none.
func (s *State) running(id JobID, state JobState) *job {
	if j := s.jobs[id]; j != nil && j.state == state {
		return j
	}
	return nil
}

func (s *State) jobPlanned(f *JobPlanned) bool {
	j := s.running(f.Job, StatePlanning)
	if j == nil {
		return false
	}
	j.setPlan(f.Plan)
	s.weigh(j)
	j.planning.failed.reset()
	j.state = StateRunning
	if j.planOnly {
		s.end(j, StateDone, f.At)
		s.release(j)
		return true
	}
	s.advance(j, f.At)
	return true
}

// advance moves a job on that has nothing left to do in its state.
func (s *State) advance(j *job, at Time) {
	if j.state == StateRunning && j.stages[j.last()].complete() {
		if !j.toFiles() {
			s.end(j, StateDone, at)
			s.releaseRead(j)
			return
		}
		j.state = StateCommitting
	}
	if j.state == StateCommitting && j.committed.complete() {
		s.end(j, StateDone, at)
		s.release(j)
	}
}

func (s *State) end(j *job, state JobState, at Time) {
	j.state, j.ended = state, max(at, j.submitted)
	j.keptFrom = j.ended
	if len(j.stages) > 0 && j.stages[j.last()].complete() {
		j.record = nil // nothing of its result is lost
	}
	if j.remaking { // it has ended before
		j.remaking, j.ended = false, j.firstEnd
	}
	s.live--
}

// releaseRead releases a done job once its result has been read.
func (s *State) releaseRead(j *job) {
	if j.state == StateDone && j.stages[j.last()].outputs == 0 {
		s.release(j)
	}
}

func (s *State) pauseSet(f *PauseSet) bool {
	j := s.jobs[f.Job]
	if j == nil || j.state.Over() {
		return false
	}
	j.paused = f.Paused
	return true
}

func (s *State) jobClosed(f *JobClosed) bool {
	j := s.jobs[f.Job]
	if j == nil || j.state.Over() {
		return false
	}
	if f.Untried && j.retries > 0 {
		j.retries--
	}
	if j.remaking {
		s.settleRemake(j, f)
		return true
	}
	s.end(j, f.State, f.At)
	j.class, j.reason, j.fault, j.inputs = f.Class, f.Reason, f.Failure, f.Inputs
	s.release(j)
	return true
}

func (s *State) jobForgotten(f *JobForgotten) bool {
	j := s.jobs[f.Job]
	if j == nil || !j.state.Over() {
		return false
	}
	s.forget(j)
	return true
}

// target returns the job and stage that work on [from, to) belongs to, if the
// job is still about it.
func (s *State) target(id JobID, index int, from, to Position) (*job, *stage) {
	j := s.jobs[id]
	if j == nil || j.state != stateOf(index) {
		return nil, nil
	}
	g := j.stage(index)
	if g == nil || from < 0 || from >= to || to > g.total {
		return nil, nil
	}
	return j, g
}

// mergeTarget returns the job and stage that merged outputs belong to, if they
// may be replaced: while the job runs, or as parts of a result that are moved.
func (s *State) mergeTarget(f *OutputsMerged) (*job, *stage) {
	j := s.jobs[f.Fence.Job]
	if j == nil || !f.Moves || !j.moves(f.Stage) {
		return s.target(f.Fence.Job, f.Stage, f.From, f.To)
	}
	if g := &j.stages[f.Stage]; f.From >= 0 && f.From < f.To && f.To <= g.total {
		return j, g
	}
	return nil, nil
}

// moves says whether a job is done, and parts of its result may be moved.
func (j *job) moves(index int) bool {
	return j.state == StateDone && !j.released && index == j.last() && !j.toFiles()
}

// stateOf returns the state in which a stage runs.
func stateOf(index int) JobState {
	switch index {
	case planStage:
		return StatePlanning
	case commitStage:
		return StateCommitting
	}
	return StateRunning
}

// wins says whether a done range is what its job still waits for.
func (s *State) wins(f *RangeDone) bool {
	j, g := s.target(f.Fence.Job, f.Stage, f.From, f.To)
	if j == nil || g.overlapsDone(f.From, f.To) || s.outputs[f.Output.ID] != nil {
		return false
	}
	return f.Stage <= 0 || j.stages[f.Stage-1].complete() // else some of what it read is lost
}

func (s *State) rangeDone(f *RangeDone) bool {
	if !s.wins(f) {
		s.waste(f.Fence.Job)
		return false
	}
	j, g := s.target(f.Fence.Job, f.Stage, f.From, f.To)
	j.maxBatch = max(j.maxBatch, f.Fence.Batch)
	g.forgive(f.From, f.To)
	g.sum.add(&f.Counters)
	if s.bug.has(BugCountTwice) {
		g.sum.add(&f.Counters)
	}
	if len(f.Skips) > 0 && len(j.skips) < maxSkips {
		j.skips = append(j.skips, f.Skips)
	}
	g.batches++
	g.elapsed += f.Elapsed
	if f.Stage >= 0 {
		j.batches++
	}
	if out := j.kept(f.Output, f.Stage); out.ID != "" || !g.extend(f.From, f.To, &f.Counters, f.Elapsed) {
		s.insert(&entry{
			job: j, stage: f.Stage, from: f.From, to: f.To, batches: 1,
			out: out, sum: f.Counters, elapsed: f.Elapsed,
		})
	}
	if f.Stage == 0 {
		s.bound(j)
	}
	s.settle(j, f.Stage, f.At)
	return true
}

// kept returns an output of a stage as it is kept: a commit has none.
func (j *job) kept(out Output, index int) Output {
	if out.ID == "" || index < 0 {
		return Output{}
	}
	out.Kind = j.plan.Stages[index].Output
	return out
}

// settle follows the completion of a stage: the outputs that it has consumed
// are given up.
func (s *State) settle(j *job, index int, at Time) {
	if index >= 0 && !j.stages[index].complete() {
		return
	}
	if index > 0 && !j.stages[index-1].closed {
		j.stages[index-1].closed = true
		s.dropOutputs(j, index-1)
	}
	s.advance(j, at)
}

// forgive forgets failures inside [from, to), or on its edges.
func (g *stage) forgive(from, to Position) {
	for {
		at, f, ok := g.failed.floor(to - 1)
		if !ok || f.to <= from {
			return
		}
		g.failed.remove(at)
	}
}

func (s *State) rangeFailed(f *RangeFailed) bool {
	j, g := s.target(f.Fence.Job, f.Stage, f.From, f.To)
	if j == nil || g.overlapsDone(f.From, f.To) {
		return false
	}
	j.maxBatch = max(j.maxBatch, f.Fence.Batch)
	spends := f.Class != OutcomeInputGone || s.bug.has(BugSpendGone)
	if spends {
		j.retries++ // until its job is closed over it
		if j.settings.RetryBudget > 0 {
			j.tallies = tallied(j.tallies, f.Worker, maxTallies)
		}
	}
	old, _ := g.failed.get(f.From)
	fail := &failure{from: f.From, to: f.To, class: f.Class, first: f.Failure}
	if old != nil && old.to == f.To {
		*fail = *old
		if len(fail.first) == 0 {
			fail.first = f.Failure
		}
	}
	if spends {
		fail.spent++
		fail.by = tallied(fail.by, f.Worker, maxBlamed)
	}
	if f.Class == OutcomeInputGone && !slices.Contains(fail.gone, f.Worker) {
		fail.gone = append(slices.Clip(fail.gone), f.Worker)
	}
	g.forgive(f.From, f.To)
	if f.SplitAt <= f.From || f.SplitAt >= f.To {
		g.failed.put(f.From, fail)
		return true
	}
	left, right := *fail, *fail
	left.to, right.from = f.SplitAt, f.SplitAt
	g.failed.put(left.from, &left)
	g.failed.put(right.from, &right)
	g.cap = max(left.to-left.from, right.to-right.from)
	return true
}

// blame puts a worker at the end of those that are to be avoided.
func blame(by []WorkerID, w WorkerID) []WorkerID {
	rest := slices.DeleteFunc(slices.Clone(by), func(x WorkerID) bool { return x == w })
	return append(rest[max(0, len(rest)+1-maxBlamed):], w)
}

func (s *State) resultRead(f *ResultRead) bool {
	e := s.outputs[f.Output]
	if e == nil || e.job.id != f.Job || e.stage != e.job.last() || e.job.toFiles() {
		return false
	}
	j := e.job
	j.read = max(j.read, e.to) // it may be one that was made again after it was read
	s.dropped = append(s.dropped, e.out)
	s.give(e)
	s.releaseRead(j)
	return true
}

func (s *State) workWasted(f *WorkWasted) bool {
	return s.waste(f.Job)
}

// waste counts a finished attempt whose work is thrown away.
func (s *State) waste(id JobID) bool {
	j := s.jobs[id]
	if j == nil {
		return false
	}
	j.wasted++
	return true
}
