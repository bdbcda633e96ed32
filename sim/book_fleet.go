package sim

import (
	"slices"

	"github.com/millrace/millrace/coordinator/ledger"
)

// rumour is what gossip said last of a process that has not attached: of the
// youngest, if there are several.
type rumour struct {
	incarnation uint64
	opinion     ledger.Opinion
}

// doubtful says whether gossip doubts that a worker lives: it gets nothing new.
func (s *seat) doubtful() bool { return s.opinion >= ledger.OpinionSuspect }

// buried says whether gossip holds a worker's process to be gone.
func (s *seat) buried() bool { return s.opinion >= ledger.OpinionDead }

// quiet says whether nothing was heard for the time of three heartbeats.
func (s *seat) quiet(at ledger.Time) bool { return at >= s.heard.Add(3*s.heartbeat) }

// dead says whether both witnesses say so: the session is gone or silent, and
// gossip says that the process is gone, or its address refuses a connection.
func (s *seat) dead(at ledger.Time) bool {
	if s.attached {
		return s.buried() && s.quiet(at)
	}
	return s.known && (s.buried() || s.refused == s.session)
}

// takes says whether a worker may be given leases.
func (s *seat) takes() bool {
	return s.attached && !s.draining && !s.ordered && !s.silent && !s.cordoned && !s.doubtful() && !s.failing.paused
}

// gossiped notes an opinion. One of a former process counts for nothing; one of
// a process that has yet to attach waits for that.
func (b *book) gossiped(e ledger.Gossiped) {
	s := b.seatOf(e.Worker)
	switch {
	case s.known && e.Incarnation == s.incarnation:
		s.opinion = e.Opinion
	case s.known && e.Incarnation < s.incarnation || e.Incarnation < s.rumour.incarnation:
	case e.Opinion == ledger.OpinionUnknown:
		s.rumour = rumour{}
	default:
		s.rumour = rumour{e.Incarnation, e.Opinion}
	}
}

// incarnate notes which process a worker is from now on.
func (s *seat) incarnate(l *link) {
	if s.burnt { // it may have been forgotten, with what was said of it: the book can't tell
		s.ordered = false
		s.failing.sure, s.failing.paused, s.failing.unsure = nil, false, true
		defer func() {
			if v, ok := l.w.coordinator.ledger.Worker(s.name, 0); ok {
				s.opinion = v.Gossip
			}
		}()
	}
	if s.known && s.incarnation == l.incarnation {
		return
	}
	s.known, s.incarnation, s.opinion, s.ordered = true, l.incarnation, ledger.OpinionUnknown, false
	s.failing = failing{}
	if s.rumour.incarnation == l.incarnation {
		s.opinion = s.rumour.opinion
	}
	if s.rumour.incarnation <= l.incarnation {
		s.rumour = rumour{}
	}
}

// bury gives the leases of workers back at once that are dead by both
// witnesses. Dead by one they keep them until their deadline.
func (b *book) bury(at ledger.Time) {
	for _, s := range b.seats {
		if !s.dead(at) {
			s.died = 0
			continue
		}
		if s.died == 0 {
			s.died = at
		}
		for _, l := range slices.Clone(b.live) {
			if l.seat == s && !l.told && !l.orphan {
				b.end(l, b.atOnce(at, l))
			}
		}
	}
}

// atOnce is when a range may be granted again that was lost for no fault of its
// own: now, unless that happens to it again and again, or it has a past for
// which some worker may leave it to others.
func (b *book) atOnce(at ledger.Time, l *leaseBook) ledger.Time {
	j, on := b.jobs[l.fence.Job], tried{l.stage, l.span}
	if j == nil || l.kind == ledger.LeaseMerge {
		return 0
	}
	j.lost[on]++
	if j.lost[on] > b.w.law.ledger.MaxLost || b.blamed(j, on) {
		return b.backedOff(at)
	}
	return at
}

// blamed says whether some of a range has failed before.
func (b *book) blamed(j *jobBook, on tried) bool {
	for was := range j.spent {
		if was.stage == on.stage && was.span.overlaps(on.span) {
			return true
		}
	}
	for was := range j.unseen {
		if was.stage == on.stage && was.span.overlaps(on.span) {
			return true
		}
	}
	for was := range j.full {
		if was.stage == on.stage && was.span.overlaps(on.span) {
			return true
		}
	}
	return false
}

// checkTaken: a second process of a name is not taken while the first lives.
func (b *book) checkTaken(at ledger.Time, s *seat, l *link) {
	if s.attached && s.incarnation != l.incarnation && !s.buried() && !s.quiet(at) {
		b.fail("%s: a process was taken, and another one of that name lives, heard at %d", s.name, s.heard)
	}
}

// sessionRefused: a worker is turned away only where another one is.
func (b *book) sessionRefused(at ledger.Time, e ledger.RefuseSession) {
	s := b.seatOf(e.Worker)
	switch {
	case e.Kind == ledger.RefusedStale && e.Session <= s.session:
	case e.Kind == ledger.RefusedTaken && s.known && s.asks.Incarnation != s.incarnation && !s.quiet(at) && !s.dead(at):
	default:
		b.fail("%s: session %d is refused: %s; the one before was %d, of %d", e.Worker, e.Session, e.Reason, s.session, s.incarnation)
	}
}

// quota is how many leases a user may have; no limit when 0.
func (b *book) quota(user string) int {
	if n, ok := b.w.law.ledger.Quotas[user]; ok {
		return n
	}
	return b.w.law.ledger.DefaultQuota
}

// has is how many leases a user has.
func (b *book) has(user string) int {
	n := 0
	for _, j := range b.order {
		if j.def.settings.User == user {
			n += b.running(j.id)
		}
	}
	return n
}

// exhausted says whether a user has all leases that he may have.
func (b *book) exhausted(user string) bool {
	n := b.quota(user)
	return n > 0 && b.has(user) >= n
}
