package ledger

// A ledger that was not stepped when it wanted to be has stood still, and has
// heard nobody meanwhile: its process was frozen, or the machine asleep. Its
// side of the leases stood still with it. What was out then starts anew, so that
// workers can say what they still hold; what they gave up spends nothing.

// thaw notes that the ledger has stood still, if it has. It does so at most once
// in the time of two leases: a coordinator that is always late must still take
// leases back.
func (l *Ledger) thaw() {
	due := l.timers.next()
	switch {
	case l.wake == never: // nobody was asked for a step yet: what is due was so before this leader's time
		return
	case due == never || l.cfg.StandStill == 0 || l.now.Sub(due) < l.cfg.StandStill:
		return
	case l.thawed > 0 && l.now < l.thawed.Add(2*l.cfg.Lease):
		return
	}
	l.thawed = l.now
	for _, w := range l.workers { // each for itself
		w.renewed = l.now
		if w.attached {
			w.heardAt = l.now
		}
	}
}

// thawing says whether workers may still come back that gave up their leases
// while the ledger stood still.
func (l *Ledger) thawing() bool { return l.thawed > 0 && l.now < l.thawed.Add(l.cfg.Lease) }
