package agent

import (
	"sync"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/exchange"
)

// admission holds attempts back while the spool is nearly full of outputs that
// nobody has read yet, so that a slow reader slows the job down and does not
// fail it. The attempt with the earliest position always runs: the reader waits
// for what it makes, and nothing else can make room.
type admission struct {
	spool *exchange.Spool

	mu      sync.Mutex
	present map[*running]bool
	turn    chan struct{} // closed, and made anew, when something changes
}

func newAdmission(spool *exchange.Spool) *admission {
	return &admission{
		spool: spool, present: map[*running]bool{}, turn: make(chan struct{}),
	}
}

func (d *admission) enter(r *running) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.present[r] = true
}

func (d *admission) leave(r *running) {
	d.mu.Lock()
	delete(d.present, r)
	d.mu.Unlock()
	d.changed()
}

// changed wakes those who wait, to look again.
func (d *admission) changed() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.turn)
	d.turn = make(chan struct{})
}

// wait returns when the attempt may run, or when it was cancelled.
func (d *admission) wait(r *running) {
	for {
		turn, may := d.look(r)
		if may {
			return
		}
		select {
		case <-turn:
		case <-r.ctx.Done():
			return
		}
	}
}

// look says whether an attempt may run, or else what to wait for before looking
// again. All is looked at under the lock, so that no change is missed.
func (d *admission) look(r *running) (<-chan struct{}, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.nearlyFull(r) {
		return nil, true
	}
	if len(r.work.lease.GetInputs()) > 0 || r.work.lease.GetKind() != pb.LeaseKind_LEASE_KIND_PROCESS {
		return nil, true // it makes outputs fewer
	}
	for other := range d.present {
		if other.fence.Job == r.fence.Job && other.work.lease.GetPosition() < r.work.lease.GetPosition() {
			return d.turn, false
		}
	}
	return nil, true
}

// nearlyFull says whether three quarters of the spool, or of what the job may
// have of it, are taken.
func (d *admission) nearlyFull(r *running) bool {
	limit := r.work.job.GetSpec().GetLimits().GetMaxSpoolBytes()
	return d.spool.Used() >= d.spool.Limit()/4*3 ||
		limit > 0 && d.spool.UsedBy(uint64(r.fence.Job)) >= limit/4*3
}
