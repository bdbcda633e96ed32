package ledger

// user is somebody who has jobs. Quotas bound his leases over all of them.
type user struct {
	name   string
	quota  int // no limit when 0
	leases int // live
	runs   int
	// blocked are his jobs with a merge that the quota has held up.
	blocked []*run
}

// userOf returns the user of a job that is taken up.
func (l *Ledger) userOf(name string) *user {
	u := l.users[name]
	if u == nil {
		quota, own := l.cfg.Quotas[name]
		if !own {
			quota = l.cfg.DefaultQuota
		}
		u = &user{name: name, quota: quota}
		l.users[name] = u
	}
	u.runs++
	return u
}

// leave forgets a user who has no job any more.
func (l *Ledger) leave(u *user) {
	if u.runs--; u.runs == 0 {
		delete(l.users, u.name)
	}
}

// full says whether a user has all leases that he may have.
func (u *user) full(bug Bug) bool {
	return u.quota > 0 && u.leases >= u.quota && !bug.has(BugIgnoreQuota)
}

// lease counts a lease, or its end. What a quota has held up goes on
// then.
func (l *Ledger) lease(b *batch, sign int) {
	r, u := b.run, b.run.user
	if b.kind == LeaseMerge {
		r.mergeLeases += sign
	}
	was := u.full(l.cfg.Bug)
	r.leases += sign
	u.leases += sign
	if r.leases < 0 || u.leases < 0 {
		panic("ledger: a lease ended twice")
	}
	if was && !u.full(l.cfg.Bug) && !l.cfg.Bug.has(BugQuotaSleeps) {
		l.looking = true
		blocked := u.blocked
		u.blocked = nil
		for _, r := range blocked {
			r.overQuota = false
			l.unblock(r)
		}
	}
}

// mergesHeld says whether no merge of a job may be granted. Of one that is done
// there are only those that move its result.
func (l *Ledger) mergesHeld(r *run) bool {
	return r.full(l.cfg.Bug) || r.job.state != StateDone && l.held(r)
}

// mayMerge says whether a merge may be granted now. It is offered
// again once it may.
func (l *Ledger) mayMerge(r *run) bool {
	over := r.user.full(l.cfg.Bug)
	if !over && !l.mergesHeld(r) {
		return true
	}
	r.blocked = true
	if over && !r.overQuota {
		r.overQuota = true
		r.user.blocked = append(r.user.blocked, r)
	}
	return false
}

// nextIs says whether the next slot that comes free at a worker is kept for a
// job that a limit or a quota bounds. A lease that waits counts as much as one
// that runs, so such a job can't wait in line as the others do: these would be
// there first for each slot, whatever its claim. So nobody may wait where it is
// capped and has a lease, as one of them ends there, and the cap with it; nor
// does it wait itself behind nothing but its own. Elsewhere others may wait.
func (l *Ledger) nextIs(w *worker, r *run, k *work) bool {
	if w.leases.n < w.slots || l.cfg.Bug.has(BugCapsYield) {
		return false
	}
	capped, bounded := l.capped(r), l.bounded(r, k)
	if !capped && !bounded {
		return false // before all is counted that waits there
	}
	own := 0
	for b := range w.leases.all() {
		if b.run == r || b.run.user == r.user && r.user.quota > 0 && !r.full(l.cfg.Bug) {
			own++
		}
	}
	return own > 0 && capped || own == w.leases.n && bounded
}

// bounded says whether a job may have no more leases than there are slots for it.
func (l *Ledger) bounded(r *run, k *work) bool {
	limit, slots := int(r.job.settings.MaxConcurrency), l.allSlots(r, k)
	return limit > 0 && limit <= slots || r.user.quota > 0 && r.user.quota <= slots
}

// keeps says whether a worker may have nothing that waits there, since its next
// slot was kept for a job that is bounded. It is asked again when that is free.
func (w *worker) keeps() bool {
	if w.leases.n < w.slots {
		return false
	}
	for b := range w.leases.all() {
		if b.run.job.settings.MaxConcurrency > 0 || b.run.user.quota > 0 {
			return true
		}
	}
	return false
}
