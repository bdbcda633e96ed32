package ledger

import (
	"cmp"
	"slices"
	"sort"
)

// run is the volatile side of a job that has not ended, or whose result is
// still wanted.
type run struct {
	job      *job
	weight   int64 // in thousandths
	band     *band
	user     *user
	vtime    int64 // virtual time: work granted so far, by weight
	out      int64 // what was charged for live leases, in nanoseconds: an estimate
	listed   bool  // in Ledger.runnable
	closing  bool  // an end was proposed
	until    Time  // the end of the grace after a change of leader
	planning work
	commit   work
	stages   []work

	batches     map[BatchID]*batch
	all         list[*batch]
	lastBatch   BatchID
	leases      int   // live
	mergeLeases int   // of them, of merges
	merging     int   // merge batches that are not over
	failing     int   // failures proposed and not committed
	skipping    int64 // records skipped by outcomes that are not committed
	blocked     bool  // a merge waits for the job to be served again
	overQuota   bool  // in its user's list of those
	ended       bool  // its end was told
	reserved    *worker
	reading     *reading // the client that reads the result
	crowded     bool     // too much of the result is not read
	cramped     int      // batches for which nobody had room in a spool
	near        *worker  // holds the most of what the collect reads
	nearAt      uint64   // the step in which that was found
	refusedRoom int64    // more than the room of all workers that had too little for a batch
	pleas       int      // how often it was heard
	pleading    bool     // in Ledger.pleas
	remaking    bool     // lost parts of a kept result were proposed to be made again
	missed      int64    // how often outputs could not be had
	refiled     int      // how often all files of the sink were made again
	sinkBy      Time     // until when all are to have said whether they see the output folder; 0 when that is over
	planner     *worker  // has made the plan, if that is known
}

// band is all jobs of one priority.
type band struct {
	priority int32
	clock    int64 // the virtual time of the job served last, as far as it was settled
}

// work is what is to be done of a stage, beside what is done.
type work struct {
	run      *run
	stage    *stage
	index    int
	total    Position        // of the stage, as far as it was followed
	pending  intervals       // nobody's
	underway Position        // of batches that are leased, or come back
	ready    ordered[*batch] // leased once, waiting for a worker
	speeds   []speed         // by the worker's index
	mean     speed           // over all workers
	allowed  map[*class]bool // who may run it
	slots    int             // of them all
	fleet    uint64          // of which slots is
	cuts     int             // how many late cuts were made
	plan     *Stage          // nil for planning and commits

	bars      map[WorkerID]*bar   // workers that get nothing of it
	sees      map[WorkerID]uint64 // those that see the output folder, and their incarnations
	hope      bool                // somebody may be able to run it
	hopeAt    uint64              // the step in which that was found
	hopeUntil Time                // when it is looked at again

	doneBy, otherBy WorkerID // who has done a batch of it last, and who before that
	doneAt, otherAt Time
}

// speed is a smoothed speed in positions a second; unknown when 0.
type speed float64

// smoothing is the weight of a new measure.
const smoothing = 0.3

func (s *speed) learn(measured float64) {
	if *s == 0 {
		*s = speed(measured)
		return
	}
	*s += speed(smoothing * (measured - float64(*s)))
}

// numbersSkipped is how many batch numbers a new leader leaves out: the leader
// before may have given some that nothing durable names, and workers will
// present leases by them.
const numbersSkipped = 10_000

// resume takes up a job: a new one, or one that a new leader finds.
func (l *Ledger) resume(j *job) {
	j.pruned = false
	if j.state.Over() {
		l.expireAt(j.expires(l))
	}
	if j.released {
		return
	}
	r := l.newRun(j, j.maxBatch+numbersSkipped)
	if !l.cfg.Bug.has(BugNoGrace) && !j.state.Over() {
		r.until = l.now.Add(l.cfg.Grace)
		l.timers.push(timer{at: r.until, kind: dueJob, run: r})
	}
	for i := range j.stages {
		for e := range j.stages[i].order.all() {
			e.merge, e.losing, e.told, e.reading, e.absent, e.doubts = nil, false, false, false, false, nil // of a leader before
			if e.out.ID != "" {
				l.presence(e.out.Worker)
				if e.wasRead() {
					l.consume(e)
				}
			}
		}
	}
	l.touch(r)
}

func (l *Ledger) newRun(j *job, lastBatch BatchID) *run {
	r := &run{job: j, weight: weightOf(j.settings.Weight), batches: map[BatchID]*batch{}, lastBatch: lastBatch}
	r.band = l.bands[j.settings.Priority]
	if r.band == nil {
		r.band = &band{priority: j.settings.Priority}
		l.bands[j.settings.Priority] = r.band
	}
	r.user = l.userOf(j.settings.User)
	l.runs[j.id] = r
	l.askFor(j.settings.Labels)
	l.lay(r, &r.planning, planStage)
	l.lay(r, &r.commit, commitStage)
	r.layStages(l)
	if d := j.settings.Deadline; d > 0 && !j.state.Over() && !j.remaking {
		l.timers.push(timer{at: j.submitted.Add(d), kind: dueDeadline, run: r})
	}
	if d := j.settings.Delay; d > 0 && j.submitted.Add(d) > l.now {
		l.timers.push(timer{at: j.submitted.Add(d), kind: dueJob, run: r})
	}
	return r
}

// layStages sets up the work of the plan's stages.
func (r *run) layStages(l *Ledger) {
	r.stages = make([]work, len(r.job.stages))
	for i := range r.stages {
		r.stages[i].plan = &r.job.plan.Stages[i]
		l.lay(r, &r.stages[i], i)
	}
}

// lay finds what of a stage is to be done: all but what is done, and as it was
// cut before where it failed.
func (l *Ledger) lay(r *run, k *work, index int) {
	g := r.job.stage(index)
	k.run, k.stage, k.index, k.total = r, g, index, g.total
	k.pending.add(0, g.total)
	for e := range g.order.all() {
		k.pending.remove(e.from, e.to)
	}
	for _, f := range g.failed.from(0) {
		l.failed(r, k, f)
	}
}

// weightOf returns a weight in thousandths, at least one.
func weightOf(w float64) int64 {
	if w == 0 {
		return 1000
	}
	return max(int64(w*1000), 1)
}

// work returns the work of a stage by its index.
func (r *run) work(index int) *work {
	switch index {
	case planStage:
		return &r.planning
	case commitStage:
		return &r.commit
	}
	return &r.stages[index]
}

// current returns the work that the job is at, nil when there is none.
func (r *run) current() *work {
	switch r.job.state {
	case StatePlanning:
		return &r.planning
	case StateCommitting:
		return &r.commit
	case StateRunning:
		for i := range r.stages {
			if !r.stages[i].stage.complete() {
				return &r.stages[i]
			}
		}
	}
	return nil
}

// touch looks whether a job can be served, after something has come up for it
// to do.
func (l *Ledger) touch(r *run) {
	l.relist(r)
	if r.listed {
		l.looking = true
	}
}

// relist keeps a job listed just as long as it can be served, and says whether
// it has come onto the list.
func (l *Ledger) relist(r *run) bool {
	was := r.crowded
	r.crowded = l.overfull(r)
	l.looking = l.looking || was && !r.crowded
	can := l.servable(r)
	if r.reserved != nil && !(can && r.current().wantsAll()) {
		l.unreserve(r)
	}
	switch {
	case can && !r.listed:
		r.vtime = max(r.vtime, l.startOf(r))
		l.list(r)
		l.pleads(r)
		return true
	case !can && r.listed:
		l.unlist(r)
	}
	return false
}

// startOf returns where a job begins that comes up: with those of its band that
// wait there, or where the last one was served when none does. What others have
// out is not done: the new one may have as much out before they get more.
// Those that a cap keeps back are not waited for: they are behind for good, and
// who began there would have all slots until he has caught up.
func (l *Ledger) startOf(r *run) int64 {
	b := r.band
	i := sort.Search(len(l.runnable), func(i int) bool { return l.runnable[i].band.priority <= b.priority })
	for ; i < len(l.runnable) && l.runnable[i].band == b; i++ {
		other := l.runnable[i]
		if behind := other.full(l.cfg.Bug) || other.user != r.user && other.user.full(l.cfg.Bug); other != r && !behind {
			return min(b.clock, other.settled())
		}
	}
	return b.clock
}

// settled is a job's virtual time without what is charged for live leases.
func (r *run) settled() int64 { return r.vtime - r.out*1000/r.weight }

// wantsAll says whether all that a stage has is still one range.
func (k *work) wantsAll() bool {
	_, b, ok := k.ready.first()
	return k.pending.size == int64(k.stage.total) || ok && k.lone(b.from, b.to)
}

// servable says whether a job has something to grant now.
func (l *Ledger) servable(r *run) bool {
	if l.held(r) {
		return false
	}
	k := r.current()
	if k == nil || !r.grantable(k) {
		return false
	}
	if k.index == 0 && l.now < r.job.submitted.Add(r.job.settings.Delay) {
		return false
	}
	if r.sinkBy != 0 && k == r.writes() {
		return false
	}
	return k.index <= 0 || r.merging == 0 // outputs can't become fewer
}

// held says whether nothing of a job may be granted, merges neither.
func (l *Ledger) held(r *run) bool {
	j := r.job
	return j.state.Over() || j.paused || r.closing || l.now < r.until
}

// full says whether the job has all leases that it may have.
func (r *run) full(bug Bug) bool {
	limit := int(r.job.settings.MaxConcurrency)
	return limit > 0 && r.leases >= limit && !bug.has(BugIgnoreLimit)
}

// capped says whether the job or its user has all leases that they may have. It
// stays on the list, so that its claim is seen.
func (l *Ledger) capped(r *run) bool { return r.full(l.cfg.Bug) || r.user.full(l.cfg.Bug) }

// compareRuns orders jobs as they are served.
func compareRuns(a, b *run) int {
	return cmp.Or(
		cmp.Compare(b.band.priority, a.band.priority),
		cmp.Compare(a.vtime, b.vtime),
		cmp.Compare(a.job.id, b.job.id),
	)
}

func (l *Ledger) rank(r *run) int {
	return sort.Search(len(l.runnable), func(i int) bool { return compareRuns(l.runnable[i], r) >= 0 })
}

func (l *Ledger) list(r *run) {
	l.runnable = slices.Insert(l.runnable, l.rank(r), r)
	r.listed = true
}

func (l *Ledger) unlist(r *run) {
	i := l.rank(r)
	l.runnable = slices.Delete(l.runnable, i, i+1)
	r.listed = false
}

// charge adds work to a job's virtual time, or takes some off.
func (l *Ledger) charge(r *run, cost int64) {
	if cost != 0 {
		l.move(r, r.vtime+cost*1000/r.weight)
	}
}

// move sets a job's virtual time, and puts it where it belongs then.
func (l *Ledger) move(r *run, vtime int64) {
	if !r.listed || len(l.runnable) == 1 {
		r.vtime = vtime
		return
	}
	l.unlist(r)
	r.vtime = vtime
	l.list(r)
}
