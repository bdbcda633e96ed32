package ledger

import (
	"slices"
	"time"
)

// State is the durable part of the ledger: what facts made of it.
type State struct {
	term    Term
	base    JobID // what job numbers begin behind
	lastJob JobID
	jobs    map[JobID]*job
	order   []*job // by rising number
	keys    map[string]JobID
	live    int   // jobs that have not ended
	bytes   int64 // of the specs and plans of all jobs

	outputs map[OutputID]*entry
	holders map[WorkerID]*list[*entry] // what each worker holds

	cordoned map[WorkerID]bool // they get no new leases

	// dropped are the outputs that the last fact made useless.
	dropped []Output
	// bug is the planted one, of a leader under test.
	bug Bug
}

// NewState returns a state without any job.
func NewState() *State {
	return &State{
		jobs:    map[JobID]*job{},
		keys:    map[string]JobID{},
		outputs: map[OutputID]*entry{},
		holders: map[WorkerID]*list[*entry]{},

		cordoned: map[WorkerID]bool{},
	}
}

// Term returns the highest term that began.
func (s *State) Term() Term { return s.term }

// job is the durable part of a job.
type job struct {
	id        JobID
	key       string
	settings  Settings
	spec      []byte
	planOnly  bool
	submitted Time
	bytes     int64 // of spec and plan, as counted

	state  JobState
	paused bool
	ended  Time
	class  OutcomeClass
	reason string
	fault  []byte // the worker's failure that ended it
	inputs []Input

	plan      *Plan
	fragments int // of the plan as it was made
	layout    *layout
	stages    []stage
	planning  stage
	committed stage

	read     Position // up to where the result was delivered
	released bool     // nothing of it is needed any more
	shelved  bool     // the shell has the result

	remaking bool // it was done, and lost parts of its result are made again
	firstEnd Time // when it was done first
	keptFrom Time // when it ended last: it is kept so long from then on
	// record is what it had done when it was done first, as long as some of its
	// result is lost, or nil.
	record *Stats
	// remakeReason and remakeFault say why that failed last.
	remakeReason string
	remakeFault  []byte

	batches  int64 // done, in all stages
	retries  int64
	refunded int64   // of them, for the budget
	tallies  []tally // what workers spent of the budget
	wasted   int64
	merges   int64
	rerun    int64 // batches undone since their outputs were lost
	skips    [][]byte
	maxBatch BatchID // the highest number that a fact names
	pruned   bool    // its forgetting was proposed
}

// maxSkips is how many reports of skipped records a job keeps.
const maxSkips = 20

// stage is what is done of a stage.
type stage struct {
	total   Position // where it ends
	done    ordered[*entry]
	order   list[*entry] // done, in order
	size    Position     // how many positions are done
	outputs int          // entries that have one
	bytes   int64        // of all outputs
	failed  ordered[*failure]
	sum     Counters // of winners
	batches int64
	elapsed time.Duration
	// front is up to where everything is done, and found how many records that
	// has, where a prefix is enough.
	front Position
	found int64
	// cap bounds batches in positions, since larger ones ran out of memory;
	// no bound when 0.
	cap Position
	// closed: the next stage has consumed the outputs.
	closed bool
}

// complete says whether every position is done.
func (g *stage) complete() bool { return g.size == g.total }

// entry is a done range: of one batch, or of several whose outputs were merged
// or which have none.
type entry struct {
	job      *job
	stage    int
	from, to Position
	batches  int64
	level    uint8 // how often it was merged
	out      Output
	sum      Counters
	elapsed  time.Duration
	place    node[*entry] // in stage.order
	held     node[*entry] // in State.holders

	// The rest is the leader's.
	merge   *batch     // that has it for an input
	losing  bool       // its loss was proposed
	told    bool       // it was told to the client that reads the result
	reading bool       // its delivery was proposed
	absent  bool       // it is lost, and is made again when somebody asks
	doubts  []WorkerID // who could not reach it
}

// maxBlamed is how many workers are remembered that failed a range.
const maxBlamed = 8

// failure is what is known of a range that failed and is not done.
type failure struct {
	from, to Position
	spent    uint32
	gone     []WorkerID // workers that did not find its input
	by       []tally    // workers that failed it lately
	class    OutcomeClass
	first    []byte
}

// stage returns a stage by its index, also planning and commit.
func (j *job) stage(i int) *stage {
	switch {
	case i == planStage:
		return &j.planning
	case i == commitStage:
		return &j.committed
	case i < 0 || i >= len(j.stages):
		return nil
	}
	return &j.stages[i]
}

// last returns the index of the last stage.
func (j *job) last() int { return len(j.stages) - 1 }

// toFiles says whether the result is files, that a commit moves in place.
func (j *job) toFiles() bool { return j.plan.Stages[j.last()].Output == OutputFile }

// setPlan gives the job its plan, and lays out its stages.
func (j *job) setPlan(p *Plan) {
	j.plan, j.fragments = p, len(p.Fragments)
	j.layout = newLayout(p.Fragments, p.Stages[0].Cut)
	j.stages = make([]stage, len(p.Stages))
	for i := range j.stages {
		j.stages[i].total = 1
	}
	j.stages[0].total = j.layout.total()
	if p.prefix() == 0 {
		j.stages[0].total = 0
	}
}

// add puts a job into the state.
func (s *State) add(j *job) {
	s.jobs[j.id] = j
	s.order = append(s.order, j)
	if j.key != "" {
		s.keys[j.key] = j.id
	}
	if !j.state.Over() {
		s.live++
	}
	s.weigh(j)
}

// weigh counts anew how many bytes a job's spec and plan have.
func (s *State) weigh(j *job) {
	was := j.bytes
	j.bytes = int64(len(j.spec))
	if j.plan != nil {
		j.bytes += j.plan.bytes()
	}
	s.bytes += j.bytes - was
}

// forget takes a job out of the state.
func (s *State) forget(j *job) {
	s.release(j)
	delete(s.jobs, j.id)
	s.bytes -= j.bytes
	if j.key != "" {
		delete(s.keys, j.key)
	}
	i, _ := slices.BinarySearchFunc(s.order, j.id, func(a *job, id JobID) int { return int(int64(a.id) - int64(id)) })
	s.order = slices.Delete(s.order, i, i+1)
}

// keepFragments is how many fragments of a plan are kept, for people, when
// nothing of the job is needed any more.
const keepFragments = 100

// release lets go of everything that only a running job or an unread result
// needs.
func (s *State) release(j *job) {
	if j.released {
		return
	}
	j.released = true
	for i := range j.stages {
		s.dropOutputs(j, i)
		j.stages[i].failed.reset()
	}
	j.planning.failed.reset()
	j.committed.failed.reset()
	j.layout = nil
	if j.plan != nil && len(j.plan.Fragments) > keepFragments {
		kept := *j.plan
		kept.Fragments = slices.Clone(kept.Fragments[:keepFragments])
		j.plan = &kept
		if s.jobs[j.id] == j {
			s.weigh(j)
		}
	}
}
