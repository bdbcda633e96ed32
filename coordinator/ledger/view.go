package ledger

import "time"

// JobState is where a job is in its life.
type JobState uint8

// The states, with the numbers of the contract.
const (
	StateUnspecified JobState = iota // no job
	StatePlanning                    // a worker makes the plan
	StateRunning                     // batches run
	StateCommitting                  // the sink's files are being moved in place
	StateDone                        // everything is done
	StateFailed                      // the job failed
	StateCancelled                   // the job was cancelled
)

// Over says whether the job has ended.
func (s JobState) Over() bool { return s >= StateDone }

// Stats is a job's progress in numbers.
type Stats struct {
	// BatchesDone in all stages; planning, merges and commits do not count.
	BatchesDone int64
	// BatchesRunning now, in all stages, planning and commits; merges do not
	// count.
	BatchesRunning int64
	// PositionsDone and PositionsTotal of the source stage.
	PositionsDone, PositionsTotal int64
	// Counters of winners: input of the source stage, output of the last
	// stage, the processors' own of all stages.
	Counters Counters
	// Retries are failed attempts that were tried again, or will be.
	Retries int64
	// Wasted are finished attempts whose work was thrown away.
	Wasted int64
	// Merges done.
	Merges int64
	// Rerun are batches that were done and are undone since their outputs were
	// lost: they run again, or have.
	Rerun int64
	// BatchRecords and BatchTime are means over the source stage's batches.
	BatchRecords float64
	BatchTime    time.Duration
	// Elapsed since submission, until the end.
	Elapsed time.Duration
	// Remaining by the speed so far; negative while unknown.
	Remaining time.Duration
}

// JobView is how a job is. Its slices belong to the ledger: they are read, and
// not kept beyond the next Step.
type JobView struct {
	ID       JobID
	Key      string
	State    JobState
	Paused   bool
	PlanOnly bool
	Spec     []byte
	// Plan, once there is one, with its first fragments only when nothing of
	// the job is needed any more; Fragments is how many it was made with.
	Plan      *Plan
	Fragments int
	Submitted Time
	// Ended is 0 before the end.
	Ended Time
	// Class, Reason and Failure say why the job failed. Reason is a sentence
	// of the ledger's own, or the client's why it was cancelled; Failure is
	// the worker's.
	Class   OutcomeClass
	Reason  string
	Failure []byte
	// FailedOn is what the batch read of the source that made the job fail, the
	// first of it; none where that was not a batch of the source.
	FailedOn []Input
	// Skips is what workers said of skipped records, at most 20.
	Skips [][]byte
	// ResultRead: the whole result was delivered.
	ResultRead bool
	// ResultEmpty: the job is done, and there was nothing to deliver.
	ResultEmpty bool
	Stats       Stats
	User        string
	// Kept: the result can be read again and again, once the job is done.
	Kept bool
	// Shelved: the shell has the result, and the workers have not.
	Shelved bool
	// ResultBytes is what workers hold of the result of a done job.
	ResultBytes int64
	// Remake says why lost parts of the kept result could not be made again,
	// empty if they could, or nobody asked; RemakeFailure is a worker's.
	Remake        string
	RemakeFailure []byte
	// Barred are the workers that get nothing of the stage that the job is at.
	Barred []Barred
	// Expires is when an ended job is forgotten; 0 before it has ended.
	Expires Time
}

// Job returns how a job is at a time.
func (l *Ledger) Job(id JobID, at Time) (JobView, bool) {
	j := l.state.jobs[id]
	if j == nil {
		return JobView{}, false
	}
	return l.view(j, max(at, l.now)), true
}

// Jobs returns at most limit jobs, newest first.
func (l *Ledger) Jobs(limit int, at Time) []JobView {
	all := l.state.order
	out := make([]JobView, 0, min(limit, len(all)))
	for i := len(all) - 1; i >= 0 && len(out) < limit; i-- {
		out = append(out, l.view(all[i], max(at, l.now)))
	}
	return out
}

func (l *Ledger) view(j *job, at Time) JobView {
	v := JobView{
		ID: j.id, Key: j.key, State: j.state, Paused: j.paused, PlanOnly: j.planOnly, Spec: j.spec,
		Plan: j.plan, Fragments: j.fragments, Submitted: j.submitted, Ended: j.ended,
		Class: j.class, Reason: j.reason, Failure: j.fault, FailedOn: j.inputs, Skips: j.skips,
		ResultRead:  j.state == StateDone && j.released && !j.settings.Keep,
		ResultEmpty: j.state == StateDone && j.released && j.read == 0 && !j.shelved,
		Stats:       j.stats(at),
		User:        j.settings.User, Kept: j.settings.Keep, Shelved: j.shelved,
		Remake: j.remakeReason, RemakeFailure: j.remakeFault,
	}
	if j.state.Over() {
		v.Expires = j.expires(l)
	}
	if j.state == StateDone && !j.released {
		v.ResultBytes = j.stages[j.last()].bytes
	}
	if r := l.runs[j.id]; r != nil {
		if k := r.current(); k != nil {
			v.Barred = l.barsOf(k)
		}
		v.Stats.BatchesRunning = int64(r.leases - r.mergeLeases)
	}
	return v
}

// stats returns a job's progress at a time. What a done job had done stays, also
// when some of it is lost.
func (j *job) stats(at Time) Stats {
	if j.state.Over() && j.record != nil {
		was := *j.record
		was.Retries, was.Wasted, was.Merges, was.Rerun = j.retries, j.wasted, j.merges, j.rerun
		return was
	}
	if j.state.Over() {
		at = j.ended
	}
	s := Stats{
		BatchesDone: j.batches, Retries: j.retries, Wasted: j.wasted, Merges: j.merges, Rerun: j.rerun,
		Elapsed: at.Sub(j.submitted), Remaining: -1,
	}
	if len(j.stages) == 0 {
		return s
	}
	source := &j.stages[0]
	s.PositionsDone, s.PositionsTotal = int64(source.size), int64(source.total)
	s.Counters = j.counters()
	if n := source.batches; n > 0 {
		s.BatchRecords = float64(source.sum.RecordsIn) / float64(n)
		s.BatchTime = source.elapsed / time.Duration(n)
	}
	switch {
	case j.state.Over():
		s.Remaining = 0
	case source.size > 0:
		left := float64(source.total-source.size) / float64(source.size)
		if limit := j.plan.prefix(); source.found > 0 && source.found < limit {
			left = min(left, float64(limit-source.found)/float64(source.found))
		}
		s.Remaining = time.Duration(float64(s.Elapsed) * left)
	}
	return s
}

// counters returns the sums that a job shows.
func (j *job) counters() Counters {
	source, last := &j.stages[0].sum, &j.stages[j.last()].sum
	c := Counters{
		RecordsIn: source.RecordsIn, BytesIn: source.BytesIn, RecordsSkipped: source.RecordsSkipped,
		RecordsOut: last.RecordsOut, BytesOut: last.BytesOut,
	}
	for i := range j.stages {
		if custom := j.stages[i].sum.Custom; len(custom) > 0 {
			c.Custom = combineCounts(c.Custom, custom, 1)
		}
	}
	return c
}
