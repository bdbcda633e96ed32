package sim

import (
	"slices"

	"github.com/millrace/millrace/coordinator/ledger"
)

// What the book has to say of workers that can run nothing of a stage, and of
// those that do not see the folder of a sink, is in this file.

// viewBook is what a worker has said of a job's folder.
type viewBook struct {
	incarnation uint64
	asked       bool // and has not answered
	at          ledger.Time
	start       bool // it was there when the job was planned
	seen        bool
	unseen      bool // it has another one
}

// cannotOf names a worker's process and a stage.
type cannotOf struct {
	stage       int
	worker      ledger.WorkerID
	incarnation uint64
}

// writing says whether a stage is the one that writes files.
func (j *jobBook) writing(stage int) bool {
	return j.def.toFiles() && stage == len(j.def.plan.Stages)-1
}

// view is what the process of a worker has said of the folder; nil when it was
// not asked.
func (j *jobBook) view(s *seat) *viewBook {
	if v := j.views[s.name]; v != nil && v.incarnation == s.incarnation {
		return v
	}
	return nil
}

// asksSink notes that a worker is asked.
func (b *book) asksSink(at ledger.Time, e ledger.CheckSink) {
	j, s := b.jobs[e.Job], b.seatOf(e.Worker)
	if j == nil || !s.attached || s.session != e.Session {
		b.fail("%s is asked about the folder of job %d, in session %d", e.Worker, e.Job, e.Session)
		return
	}
	v := j.view(s)
	if v == nil || !v.asked {
		v = &viewBook{incarnation: s.incarnation, asked: true, at: at}
		v.start = j.fresh && s.takes() && fits(s.worker, j.def.settings.Labels, j.def.plan.Stages[len(j.def.plan.Stages)-1].Requires)
		j.views[s.name] = v
	}
}

// sinkChecked notes an answer. One of those that were there from the start and
// have another folder must end the job, once all have answered.
func (b *book) sinkChecked(at ledger.Time, e ledger.SinkChecked) {
	j, s := b.jobs[e.Job], b.at(e.Worker, e.Session)
	if j == nil || s == nil || j.state != ledger.StateRunning || j.closing {
		return
	}
	v := j.view(s)
	if v == nil || !v.asked {
		return
	}
	v.asked, v.seen, v.unseen = false, e.View == ledger.SinkSeen, e.View == ledger.SinkUnseen
	if v.unseen && v.start && b.holds(at, j) && !b.outstanding(j) && !s.cordoned && s.asking == 0 {
		j.owes = true
	}
}

// holds says whether workers have time to answer before anything is written.
func (b *book) holds(at ledger.Time, j *jobBook) bool {
	return !j.settled && at < j.plannedAt.Add(b.w.law.ledger.SinkWait)
}

// outstanding says whether somebody who was there from the start has not
// answered.
func (b *book) outstanding(j *jobBook) bool {
	return slices.ContainsFunc(b.seats, func(s *seat) bool {
		v := j.view(s)
		return s.attached && v != nil && v.asked && v.start
	})
}

// checkOwed: a job of which a worker has another folder ends.
func (b *book) checkOwed() {
	for _, j := range b.order {
		if j.owes && !j.closing && j.state == ledger.StateRunning {
			b.fail("job %d goes on, and a worker has another folder", j.id)
		}
		j.owes, j.fresh = false, false
		j.settled = j.settled || !b.outstanding(j)
	}
}

// otherFolder says whether a worker that was there from the start has another
// folder.
func (b *book) otherFolder(j *jobBook) bool {
	return slices.ContainsFunc(b.seats, func(s *seat) bool {
		v := j.view(s)
		return s.attached && v != nil && v.start && v.unseen
	})
}

// out says whether a worker gets nothing of a stage, as long as there are others.
func (b *book) out(at ledger.Time, j *jobBook, stage int, s *seat) bool {
	if _, told := j.cannot[cannotOf{stage, s.name, s.incarnation}]; told {
		return true
	}
	v := j.view(s)
	switch {
	case !j.writing(stage) || v == nil:
		return false
	case v.asked:
		return at >= v.at.Add(b.w.law.ledger.SinkWait)
	}
	return !v.seen
}

// closedTo says whether a worker need not be given anything of a stage.
func (b *book) closedTo(at ledger.Time, j *jobBook, g *stageBook, s *seat) bool {
	stage := j.stage(g)
	v := j.view(s)
	return b.out(at, j, stage, s) || j.writing(stage) && j.state == ledger.StateRunning && (v == nil || !v.seen)
}

// learnsUnable notes that a worker can run nothing of a stage, when what it says
// is taken: of a lease that it had no more it is not.
func (b *book) learnsUnable(r *report) {
	if r.class != ledger.OutcomeUnable || r.lease == nil || r.lease.kind == ledger.LeaseMerge {
		return
	}
	if j := b.jobs[r.lease.fence.Job]; j != nil {
		j.cannot[cannotOf{r.lease.stage, r.seat.name, r.seat.incarnation}] = true
	}
}

// mayForgetUnable notes that a worker that comes back may have been forgotten, with
// what it can't run: the book can't tell.
func (b *book) mayForgetUnable(s *seat) {
	for _, j := range b.order {
		for on := range j.cannot { // in any order: each for itself
			if on.worker == s.name {
				j.cannot[on] = false
			}
		}
	}
}

// outOf names the workers that get nothing of a stage.
func (b *book) outOf(at ledger.Time, j *jobBook, stage int) (names []ledger.WorkerID) {
	for _, s := range b.seats {
		if b.out(at, j, stage, s) {
			names = append(names, s.name)
		}
	}
	return names
}

// grantAble checks that who can't run a stage gets nothing of it while somebody
// may, and that nobody writes who has not said whether he sees the folder.
func (b *book) grantAble(at ledger.Time, s *seat, j *jobBook, l *ledger.Lease) {
	if l.Kind != ledger.LeaseProcess {
		return
	}
	sure, told := j.cannot[cannotOf{l.Stage, s.name, s.incarnation}]
	if v := j.view(s); j.writing(l.Stage) && (v == nil || v.asked) && !told {
		b.fail("granted %v to %s, which has not said whether it sees the folder", l.Fence, s.name)
	}
	if j.writing(l.Stage) && b.holds(at, j) && b.outstanding(j) {
		b.fail("granted %v before all have said whether they see the folder", l.Fence)
	}
	if b.out(at, j, l.Stage, s) && (sure || !told) && b.mayStillSee(at, j, l.Stage, nil) {
		b.fail("granted %v to %s, which can't run it", l.Fence, s.name)
	}
}

// nobodyCan says whether there is a stage that nobody can run, now or soon.
func (b *book) nobodyCan(at ledger.Time, j *jobBook) bool {
	for i := range j.def.plan.Stages {
		if !b.mayStillSee(at, j, i, nil) {
			return true
		}
	}
	return false
}
