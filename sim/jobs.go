package sim

import (
	"fmt"
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/worker/session"
)

// jobDef is a job as its user means it, and what its data holds.
type jobDef struct {
	key      string
	spec     []byte
	settings ledger.Settings
	plan     *ledger.Plan
	planOnly bool
	bases    []int64 // where each fragment begins
	total    int64
	seed     uint64

	limit     int64   // how many records of the result are wanted; all when 0
	badEvery  uint64  // one record in so many is bad; none when 0
	flaky     float64 // how many attempts fail for passing reasons
	hungry    int64   // batches of more positions run out of memory; none when 0
	poison    int64   // the batch with this position fails for good; none when -1
	weak      string  // the worker on which everything fails
	hidden    int     // of a hundred files, so many are not seen by a worker but the first
	strict    bool    // who does not see the folder of the sink has another one
	lacking   int     // of a hundred stages, so many a worker but the first can't run
	nowhere   bool    // there is a file that nobody sees
	cancelAt  moment  // no cancellation when 0, as below
	pauseAt   moment
	resumeAt  moment
	submitAt  moment
	twice     bool // it is submitted twice at once
	readAfter time.Duration
	readPause time.Duration // before each output, at most
	worked    time.Duration // of all slots, on what is over
	began     moment        // when the first of it ran
}

// bad says whether the record at a position is bad.
func (j *jobDef) bad(at int64) bool {
	return j.badEvery > 0 && dice(j.seed, uint64(at), 1)%j.badEvery == 0
}

// bads is how many bad records there are before a position.
func (j *jobDef) bads(end int64) uint64 {
	n := uint64(0)
	for at := range end {
		if j.bad(at) {
			n++
		}
	}
	return n
}

// part is what an output of a range of the source should hold.
func (j *jobDef) part(from, to int64) spans { return j.good(from, to).first(j.limit) }

// good is what there is to hold.
func (j *jobDef) good(from, to int64) spans {
	var s spans
	for at := from; at < to; at++ {
		if !j.bad(at) {
			s = s.add(span{at, at + 1})
		}
	}
	return s
}

// Places that a worker may not see, beside the fragments.
const (
	sourceFolder = -1
	sinkFolder   = -2
)

// sees says whether a worker sees the files of a lease.
func (j *jobDef) sees(k *worker, lease *ledger.Lease) bool {
	switch lease.Kind {
	case ledger.LeasePlan:
		return j.seen(k, sourceFolder)
	case ledger.LeaseCommit:
		return j.seen(k, sinkFolder)
	}
	for _, s := range lease.Splits {
		if !j.seen(k, s.Fragment) {
			return false
		}
	}
	return true
}

// lacks says whether a worker can run nothing of the stage of a lease: it lacks
// a program, or the folder of the sink.
func (j *jobDef) lacks(k *worker, lease *ledger.Lease) bool {
	if lease.Kind != ledger.LeaseProcess {
		return false
	}
	if j.toFiles() && lease.Stage == len(j.plan.Stages)-1 && !j.seen(k, sinkFolder) {
		return true
	}
	return k.name != "w1" && dice(j.seed, uint64(lease.Stage), uint64(k.name[1]), 4)%100 < uint64(j.lacking)
}

// seen says whether a worker sees a file, or a folder.
func (j *jobDef) seen(k *worker, file int) bool {
	if j.nowhere && file == len(j.plan.Fragments)-1 {
		return false
	}
	return k.name == "w1" || dice(j.seed, uint64(file+10), uint64(k.name[1]), 3)%100 >= uint64(j.hidden)
}

// trouble is how an attempt fails; None when it does not.
func (j *jobDef) trouble(k *worker, lease *ledger.Lease) session.Class {
	source := lease.Kind == ledger.LeaseProcess && len(lease.Splits) > 0
	from, to := int64(lease.From), int64(lease.To)
	if source && j.poison >= from && j.poison < to {
		return session.Fatal
	}
	if source && j.hungry > 0 && to-from > j.hungry {
		return session.KilledMemory
	}
	if k.name == j.weak {
		return session.Retryable
	}
	if k.sick {
		return k.failing(lease)
	}
	f := lease.Fence
	roll := dice(j.seed, uint64(f.Batch), uint64(f.Attempt), uint64(f.Term), 2)
	if float64(roll%1_000_000)/1_000_000 < j.flaky {
		passing := []session.Class{session.Retryable, session.Retryable, session.KilledTime, session.KilledSignal}
		return passing[roll/1_000_000%uint64(len(passing))]
	}
	return session.None
}

// toFiles says whether the result goes to files.
func (j *jobDef) toFiles() bool {
	return j.plan.Stages[len(j.plan.Stages)-1].Output == ledger.OutputFile
}

// drawJob makes up a job.
func (w *world) drawJob(n int) *jobDef {
	j := &jobDef{
		key: fmt.Sprintf("job-%d", n), spec: fmt.Appendf(nil, "spec %d", n), poison: -1,
		seed: w.rng.Uint64(), planOnly: w.chance(0.03),
		submitAt: w.between(0, w.law.calm*2/3), twice: w.chance(0.2),
		readAfter: w.between(0, 10*time.Second), readPause: 20 * time.Millisecond,
	}
	if w.chance(0.2) {
		j.readPause = w.between(0, 3*time.Second) // a slow reader
	}
	j.settings = ledger.Settings{
		Priority: int32(w.pick(-1, 1)), Weight: []float64{0, 1, 2, 5}[w.pick(0, 3)],
		MaxAttempts: 40,
	}
	j.settings.User = []string{"", "ann", "bob"}[w.pick(0, 2)]
	if w.chance(0.4) {
		j.settings.Keep = true
		j.settings.KeepFor = w.between(15*time.Second, 80*time.Second)
	}
	if w.chance(0.2) {
		j.settings.Delay = w.between(0, 5*time.Second)
	}
	if w.chance(0.3) {
		j.settings.MaxConcurrency = uint32(w.pick(1, 4))
	}
	if w.chance(0.1) {
		j.settings.MaxSpoolBytes = int64(w.pick(1, 5000))
	}
	if w.chance(0.2) {
		j.settings.Labels = []ledger.Label{{Key: "zone", Value: "a"}}
	}
	w.drawPlan(j)
	w.drawTrouble(j)
	return j
}

// drawTrouble makes up what goes wrong with a job's data, and with its user.
func (w *world) drawTrouble(j *jobDef) {
	if w.chance(0.3) {
		j.flaky = 0.2 * w.rng.Float64()
	}
	if w.chance(0.3) {
		j.badEvery = uint64(w.pick(5, 60))
		j.settings.SkipLimit = j.bads(j.total)
		if w.chance(0.1) {
			j.settings.SkipLimit /= 2
		}
	}
	whole := j.plan.Stages[0].Cut.WholeFiles || j.plan.Stages[0].Cut.Rule != ledger.CutLate
	for _, f := range j.plan.Fragments {
		whole = whole || f.Whole || len(f.Cuts) > 0
	}
	if !whole && w.chance(0.15) {
		j.hungry = int64(w.pick(3, 40))
	}
	switch {
	case w.chance(0.05):
		j.poison = w.rng.Int64N(j.total)
	case w.chance(0.05):
		j.settings.Deadline = w.between(2*time.Second, 30*time.Second)
	case w.chance(0.05):
		j.settings.MaxAttempts = 2
	case w.chance(0.05):
		j.settings.RetryBudget = uint64(w.pick(1, 10))
	case w.chance(0.1):
		if j.weak = w.someWorker().name; j.weak == "w1" {
			j.weak = "w2" // the first can do everything
		}
		if !w.law.spools { // or it would wait for room for too long
			j.settings.MaxAttempts = 1000
		}
	}
	if w.chance(0.2) {
		j.hidden = w.pick(5, 60)
		j.nowhere = w.chance(0.1)
		j.strict = w.chance(0.3)
	}
	if w.chance(0.1) {
		j.lacking = w.pick(5, 60)
	}
	if w.chance(0.1) {
		j.cancelAt = j.submitAt + w.between(0, 20*time.Second)
	}
	if w.chance(0.2) {
		j.pauseAt = j.submitAt + w.between(0, 10*time.Second)
		j.resumeAt = j.pauseAt + w.between(0, 10*time.Second)
	}
}

// drawPlan makes up the fragments and stages.
func (w *world) drawPlan(j *jobDef) {
	p := &ledger.Plan{Payload: []byte("plan")}
	unit := []ledger.Unit{ledger.UnitBytes, ledger.UnitRows, ledger.UnitRecords}[w.pick(0, 2)]
	files := w.pick(1, 4)
	if w.chance(0.3) {
		files = w.pick(5, 60)
	}
	size := w.pick(1, w.law.positions/files+1)
	fenced := w.chance(0.2)
	for range files {
		f := ledger.Fragment{Unit: unit, Extent: int64(w.pick(1, size)), Records: -1}
		if unit != ledger.UnitRecords {
			f.SizeBytes = f.Extent * int64(w.pick(1, 20))
		}
		if unit == ledger.UnitBytes {
			f.SizeBytes = f.Extent
		}
		if w.chance(0.1) {
			f.Whole = true
		} else if fenced {
			for at := int64(w.pick(1, 9)); at < f.Extent; at += int64(w.pick(1, 30)) {
				f.Cuts = append(f.Cuts, at)
			}
		}
		j.bases = append(j.bases, j.total)
		j.total += f.Extent
		p.Fragments = append(p.Fragments, f)
	}
	j.plan = p
	w.drawStages(j, p)
}

func (w *world) drawStages(j *jobDef, p *ledger.Plan) {
	first := ledger.Stage{Name: "first", Input: ledger.InputSource, Output: ledger.OutputArrow, Mergeable: w.chance(0.7), Cut: w.drawCut(j)}
	if w.chance(0.3) {
		first.Requires = []string{"sql"}
	}
	p.Stages = []ledger.Stage{first}
	for range []int{0, 0, 0, 1, 1, 2}[w.pick(0, 5)] {
		p.Stages = append(p.Stages, ledger.Stage{Name: "collect", Input: ledger.InputCollect,
			Output: ledger.OutputArrow, Cut: ledger.Cut{Rule: ledger.CutOne}})
	}
	if w.chance(0.2) {
		j.limit = int64(w.pick(1, int(j.total)))
		if w.chance(0.5) {
			j.limit = min(j.limit, int64(w.pick(1, 20)))
		}
		p.Stages[0].PrefixLimit = &j.limit
	}
	if w.chance(0.3) {
		p.Stages[len(p.Stages)-1].Output = ledger.OutputFile
		p.Stages[len(p.Stages)-1].Mergeable = false
	}
}

func (w *world) drawCut(j *jobDef) ledger.Cut {
	c := ledger.Cut{Rule: ledger.CutLate}
	switch w.pick(0, 7) {
	case 0:
		c.Rule = ledger.CutOne
	case 1, 2:
		c.Rule, c.Size = ledger.CutBatches, int64(w.pick(1, 40))
	case 3:
		c.Rule, c.Size = ledger.CutRecords, int64(w.pick(5, 50))
	case 4:
		c.Rule, c.Size = ledger.CutBytes, int64(w.pick(5, 200))
	}
	if w.chance(0.2) {
		c.MaxFiles = uint32(w.pick(1, 5))
	}
	c.WholeFiles = w.chance(0.1)
	return c
}

// jobOf is the job of a number that some coordinator gave.
func (w *world) jobOf(id ledger.JobID) *jobDef { return w.book.jobs[id].def }
