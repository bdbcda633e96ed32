package sim

import (
	"cmp"
	"slices"

	"github.com/millrace/millrace/coordinator/ledger"
)

// What is no stage of a plan has these numbers in durable facts.
const (
	planning   = -1
	committing = -2
)

// jobBook is a job as far as it is durable.
type jobBook struct {
	id        ledger.JobID
	def       *jobDef
	submitted ledger.Time
	state     ledger.JobState
	paused    bool
	closing   bool  // an end has been proposed, as far as the book can tell
	found     bool  // by a leader that did not add it
	lostSome  bool  // outputs were lost
	gone      bool  // nobody needs anything of it
	forgotten bool  // durably
	shelved   bool  // the coordinator has a copy of the result
	removed   bool  // its user wants it forgotten
	remaking  bool  // it was done, and lost parts of its result are being made again
	partial   bool  // in vain
	rerun     int64 // batches that were undone since their outputs were lost
	wanted    bool  // somebody asked for a kept result since it was done last
	ended     ledger.Time
	merged    ledger.Time  // when a merge was granted, or its worker said something of it last
	stages    []*stageBook // two more than the plan has: planning and commit, last
	wins      map[ledger.Fence]bool
	failing   map[ledger.Fence]tried // a failure is proposed, and not yet durable
	spent     map[tried]int
	spentBy   map[tried]map[ledger.WorkerID]int
	doneBy    map[int]map[*seat]ledger.Time // when each worker did some of a stage last
	lost      map[tried]int                 // with their workers
	unseen    map[tried][]ledger.WorkerID   // who does not see an input
	full      map[tried][]ledger.WorkerID   // who had no room for what a range comes to, since it was done or failed last
	blind     bool                          // an end was proposed, since nobody does
	halved    []span                        // ranges of the source that were split, for they needed too much memory
	views     map[ledger.WorkerID]*viewBook // who was asked about the folder, or planned
	cannot    map[cannotOf]bool             // whether it is sure that the coordinator knows
	plannedAt ledger.Time
	settled   bool // since then nobody had anything to say any more of the folder, or another coordinator came
	fresh     bool // in this step
	owes      bool // its end, at the end of this step
	unable    bool // an end was proposed, since nobody can run it, or a worker has another folder
	failures  uint64
	failedBy  map[ledger.WorkerID]uint64 // what was not refunded
	fatal     bool
	delivered []delivery
	reread    bool
	reading   bool // this coordinator was asked for the result
	readAll   bool
}

// tried is a range that was tried.
type tried struct {
	stage int
	span  span
}

// fails says whether a failure of some of a range is proposed, and not yet
// durable.
func (j *jobBook) fails(stage int, on span) bool {
	for _, was := range j.failing { // in any order: it is a question of yes or no
		if was.stage == stage && was.span.overlaps(on) {
			return true
		}
	}
	return false
}

// delivery is an output that the client has read.
type delivery struct {
	id    ledger.OutputID
	spans spans
}

// stageBook is what is done of a stage.
type stageBook struct {
	total  int64
	done   []entryBook // in order
	size   int64       // of what is done
	busy   int64       // of what is leased
	parked []parked
	unread int64 // bytes of outputs that lie in spools, for a reader or a later stage
	unate  int   // such outputs
}

// count notes that an entry has an output that somebody is to read, or not any
// more.
func (g *stageBook) count(e *entryBook, sign int) {
	if e.out != "" && !e.ate {
		g.unread += int64(sign) * e.bytes
		g.unate += sign
	}
}

// eaten notes that an output is needed no more.
func (g *stageBook) eaten(e *entryBook) {
	g.count(e, -1)
	e.ate = true
}

// entryBook is a done range.
type entryBook struct {
	span  span
	out   ledger.OutputID
	count ledger.Counters
	tries int64
	ate   bool // its output was consumed
	bytes int64
}

// parked is a range that was leased, and is neither done nor leased.
type parked struct {
	span  span
	again ledger.Time // when it may be expected to be granted again; never when 0
}

func (g *stageBook) overlapsDone(s span) bool {
	i, _ := slices.BinarySearchFunc(g.done, s.from, func(e entryBook, from int64) int { return cmp.Compare(e.span.to-1, from) })
	return i < len(g.done) && g.done[i].span.overlaps(s)
}

func (g *stageBook) has(id ledger.OutputID) bool {
	return slices.ContainsFunc(g.done, func(e entryBook) bool { return e.out == id && !e.ate })
}

func (g *stageBook) complete() bool { return g.size == g.total }

// take notes that a range is leased.
func (g *stageBook) take(s span) {
	g.unpark(s)
	g.busy += s.to - s.from
}

func (g *stageBook) unpark(s span) {
	var rest []parked
	for _, p := range g.parked {
		if !p.span.overlaps(s) {
			rest = append(rest, p)
			continue
		}
		if p.span.from < s.from {
			rest = append(rest, parked{span{p.span.from, s.from}, p.again})
		}
		if s.to < p.span.to {
			rest = append(rest, parked{span{s.to, p.span.to}, p.again})
		}
	}
	g.parked = rest
}

// park notes that a range is leased no more, unless it is done.
func (g *stageBook) park(s span, again ledger.Time) {
	g.busy -= s.to - s.from
	if !g.overlapsDone(s) && s.to <= g.total {
		g.parked = append(g.parked, parked{s, again})
	}
}

// refound is what a new leader makes of parked ranges.
func (g *stageBook) refound(again ledger.Time) {
	for i := range g.parked {
		g.parked[i].again = again
	}
}

// win notes a done range.
func (g *stageBook) win(e entryBook) {
	g.unpark(e.span)
	i, _ := slices.BinarySearchFunc(g.done, e.span.from, func(d entryBook, from int64) int { return int(d.span.from - from) })
	g.done = slices.Insert(g.done, i, e)
	g.size += e.span.to - e.span.from
	g.count(&e, +1)
}

// lose undoes the entries that a condition names; their batches run again, for
// a job if one is given.
func (g *stageBook) lose(j *jobBook, which func(entryBook) bool) (lost bool) {
	g.done = slices.DeleteFunc(g.done, func(e entryBook) bool {
		if !which(e) {
			return false
		}
		g.size -= e.span.to - e.span.from
		g.count(&e, -1)
		lost = true
		if j != nil {
			j.rerun += e.tries
		}
		return true
	})
	return lost
}

func newJobBook(id ledger.JobID, d *jobDef, at ledger.Time) *jobBook {
	return &jobBook{id: id, def: d, submitted: at, state: ledger.StatePlanning,
		stages: []*stageBook{{total: 1}, {total: 1}},
		wins:   map[ledger.Fence]bool{}, failing: map[ledger.Fence]tried{}, failedBy: map[ledger.WorkerID]uint64{}, spent: map[tried]int{},
		spentBy: map[tried]map[ledger.WorkerID]int{}, doneBy: map[int]map[*seat]ledger.Time{}, lost: map[tried]int{}, unseen: map[tried][]ledger.WorkerID{}, views: map[ledger.WorkerID]*viewBook{}, cannot: map[cannotOf]bool{}, full: map[tried][]ledger.WorkerID{}}
}

// stageOf finds a stage; planning and commit have numbers of their own.
func (b *book) stageOf(job ledger.JobID, stage int) *stageBook {
	j := b.jobs[job]
	if j == nil {
		return nil
	}
	n := len(j.stages)
	switch {
	case stage == planning:
		return j.stages[n-2]
	case stage == committing:
		return j.stages[n-1]
	case stage < n-2:
		return j.stages[stage]
	}
	return nil
}

// stage is the number of a stage.
func (j *jobBook) stage(g *stageBook) int {
	switch i, n := slices.Index(j.stages, g), len(j.stages); i {
	case n - 2:
		return planning
	case n - 1:
		return committing
	default:
		return i
	}
}

// streams says whether the outputs of a stage are the result.
func (j *jobBook) streams(stage int) bool {
	return stage == 0 && len(j.stages) == 3 && !j.def.toFiles() && !j.def.settings.Keep
}

// readUpTo is up to where a stage is done, and its outputs are consumed.
func (g *stageBook) readUpTo() int64 {
	at := int64(0)
	for _, e := range g.done {
		if e.span.from != at || e.out != "" && !e.ate {
			break
		}
		at = e.span.to
	}
	return at
}

// ruined says whether a job has ended without a result.
func (j *jobBook) ruined() bool {
	return j.state == ledger.StateFailed || j.state == ledger.StateCancelled
}

// needs says whether somebody has yet to read an output.
func (j *jobBook) needs(id ledger.OutputID) bool {
	if j.gone || j.ruined() || j.forgotten || j.shelved {
		return false
	}
	last := len(j.stages) - 3
	for i, g := range j.stages[:max(last+1, 0)] {
		if !g.has(id) {
			continue
		}
		if i < last {
			return !j.stages[i+1].complete()
		}
		return !j.def.toFiles() && !j.def.planOnly || j.def.toFiles() && j.state != ledger.StateDone
	}
	return false
}
