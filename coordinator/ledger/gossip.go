package ledger

// Two witnesses tell of a worker's life: its session, and gossip (or its
// address, which refuses a connection once nobody listens there). When both
// say that it is dead, its leases go back at once, and its outputs soon. When
// only one does, its leases wait for their deadline. A mere doubt keeps new
// leases from it, and takes nothing back.

// Opinion is what gossip says of a worker's life.
type Opinion uint8

// The opinions, with the numbers of the contract.
const (
	OpinionUnknown Opinion = iota // gossip does not know it
	OpinionAlive                  // it answers
	OpinionSuspect                // it did not answer somebody, and may yet
	OpinionDead                   // it answers nobody
	OpinionLeft                   // it said that it leaves
)

// deadly says whether an opinion is that the worker is dead.
func (o Opinion) deadly() bool { return o == OpinionDead || o == OpinionLeft }

// doubtful says whether an opinion keeps new leases from a worker.
func (o Opinion) doubtful() bool { return o >= OpinionSuspect }

// Gossiped: gossip has changed its opinion of a worker's process. The shell
// tells every change, in order, and the present opinion of everybody when the
// ledger is new.
type Gossiped struct {
	Worker WorkerID
	// Incarnation of the process that is meant; opinions of another one than
	// that which is attached, or was last, count for nothing.
	Incarnation uint64
	Opinion     Opinion
}

// WorkerRefused: after a worker's session broke, its address refused a
// connection. With the broken session that is the second witness of its death.
type WorkerRefused struct {
	Worker  WorkerID
	Session SessionID // the one that broke
}

func (Gossiped) event()      {}
func (WorkerRefused) event() {}

// rumour is what gossip says of a process that has not attached.
type rumour struct {
	incarnation uint64
	opinion     Opinion
}

// rumoursPerWorker bounds the rumours: so many for each worker that may attach.
const rumoursPerWorker = 2

func (l *Ledger) gossiped(e Gossiped) {
	w := l.workers[e.Worker]
	if w == nil || w.class == nil || e.Incarnation != w.incarnation && !l.cfg.Bug.has(BugOldOpinion) {
		l.hearRumour(w, e)
		return
	}
	if w.opinion == e.Opinion {
		return
	}
	l.reconsider(w, func() { w.opinion = e.Opinion })
	if w.dead && !w.refused && !w.opinion.deadly() {
		w.dead = false // it may come back: gossip has been wrong, or is late
		l.away(w)
	}
	l.weigh(w)
}

// hearRumour keeps what gossip says of a process that may attach yet. What it
// says of one that another has followed is of no use any more.
func (l *Ledger) hearRumour(w *worker, e Gossiped) {
	switch {
	case w != nil && w.class != nil && e.Incarnation < w.incarnation:
	case e.Opinion != OpinionUnknown:
		l.keepRumour(e.Worker, rumour{e.Incarnation, e.Opinion})
	case l.rumours[e.Worker].incarnation <= e.Incarnation:
		delete(l.rumours, e.Worker)
	}
}

// keepRumour keeps a rumour, as far as there is room. Those of the dead stay
// only until there are too many.
func (l *Ledger) keepRumour(id WorkerID, r rumour) {
	old, known := l.rumours[id]
	if old.incarnation > r.incarnation || !known && len(l.rumours) >= rumoursPerWorker*l.cfg.MaxWorkers {
		return
	}
	l.rumours[id] = r
	if !r.opinion.deadly() {
		return
	}
	l.ghosts = append(l.ghosts, id)
	if len(l.ghosts) > l.cfg.MaxWorkers {
		if oldest := l.ghosts[0]; l.rumours[oldest].opinion.deadly() {
			delete(l.rumours, oldest)
		}
		l.ghosts = l.ghosts[1:]
	}
}

// rumoured returns what gossip has said of a process that attaches, and
// forgets the rumour.
func (l *Ledger) rumoured(e *WorkerAttached) Opinion {
	r, known := l.rumours[e.Worker]
	if !known || r.incarnation > e.Incarnation {
		return OpinionUnknown
	}
	delete(l.rumours, e.Worker)
	if r.incarnation < e.Incarnation {
		return OpinionUnknown
	}
	return r.opinion
}

// reconsider changes what a worker may be good for, and follows that.
func (l *Ledger) reconsider(w *worker, change func()) {
	was := w.able()
	l.changeWorker(w)
	if w.attached {
		l.rejoin(w, change)
	} else {
		change()
	}
	switch now := w.able(); {
	case was && !now:
		w.unableAt = l.now
		l.standDown(w)
		l.amnesty()
	case now && !was:
		l.offerMerges(w)
		l.offer(w)
		l.roomOn(w)
	default: // it may be on trial, or is not expected back any more
		l.offer(w)
		l.looking = true
	}
}

func (l *Ledger) workerRefused(e WorkerRefused) {
	w := l.workers[e.Worker]
	if w == nil || w.attached || w.session != e.Session {
		return
	}
	w.refused = true
	l.changeWorker(w)
	l.weigh(w)
}

// hushed is from when on a worker counts as silent that says nothing more: the
// time of three heartbeats.
func (w *worker) hushed() Time { return w.heardAt.Add(3 * w.heartbeat) }

// weigh hears both witnesses, and acts when they agree that a worker is dead.
func (l *Ledger) weigh(w *worker) {
	switch {
	case !w.opinion.deadly() && !w.refused || l.cfg.Bug.has(BugOneWitness):
	case !w.attached:
		l.dead(w)
	case l.now >= w.hushed() || l.cfg.Bug.has(BugTrustGossip):
		l.deadButAttached(w)
	case w.weighAt <= l.now:
		l.weighLater(w, w.hushed())
	}
}

func (l *Ledger) weighLater(w *worker, at Time) {
	w.weighAt = at
	l.timers.push(timer{at: at, kind: dueWitness, worker: w})
}

// witnessDue weighs again, now that a worker may have become silent.
func (l *Ledger) witnessDue(w *worker, at Time) {
	if w.attached && w.weighAt == at && l.workers[w.id] == w {
		l.weigh(w)
	}
}

// dead takes everything back from a worker without a session that is dead. One
// that said that it leaves takes its outputs with it at once; another one may
// prove everybody wrong for a while.
func (l *Ledger) dead(w *worker) {
	if w.dead && w.opinion != OpinionLeft {
		return
	}
	w.dead = true
	l.changeWorker(w)
	for b := range w.leases.all() {
		l.lost(b)
	}
	if w.opinion == OpinionLeft {
		l.absentUntil(w, l.now)
		l.goneDue(w, l.now)
		return
	}
	if at := l.now.Add(l.cfg.DeadGone); at < w.goneAt {
		l.absentUntil(w, at)
	}
}

// deadButAttached takes everything back from a worker whose session has not
// broken, but is silent, and that is dead for gossip. It may be asleep, and is
// told so for when it wakes.
func (l *Ledger) deadButAttached(w *worker) {
	for b := range w.leases.all() {
		l.emit(Revoke{w.id, w.session, b.fence, false, "the worker is silent, and gossip says that it is dead"})
		l.lost(b)
	}
	if at := w.hushed().Add(l.cfg.DeadGone); l.now < at {
		l.weighLater(w, at)
		return
	}
	l.loseHeld(w)
}

// loseHeld gives up every output that a worker holds.
func (l *Ledger) loseHeld(w *worker) {
	held := l.state.holders[w.id]
	if held == nil {
		return
	}
	for e := range held.all() {
		if e.out.Kind != OutputFile { // those are not in its spool
			l.lose(e)
		}
	}
}
