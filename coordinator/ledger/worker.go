package ledger

import "time"

// worker is a worker that is attached, or was.
type worker struct {
	id       WorkerID
	index    int // in lists by worker; given to another one when it is forgotten
	class    *class
	session  SessionID
	attached bool
	draining bool
	cordoned bool
	silent   bool // a lease ran out, and nothing was heard since
	paused   bool // in quarantine
	slots    int
	memory   int64
	zone     string

	labels     []Label
	processors []string // sorted

	incarnation uint64  // of its process
	opinion     Opinion // of gossip, about that
	refused     bool    // its address has refused a connection since its session broke
	dead        bool    // both witnesses said so, since its session broke
	attachedAt  Time
	heardAt     Time
	heartbeat   time.Duration // how often it is to say that it lives
	unableAt    Time          // since when it may not be given leases, if that is so
	weighAt     Time          // when the witnesses are heard again
	drainBy     Time          // an operator wants it to have left by then; 0 if not
	evacuateAt  Time          // when it is looked again what it holds, while it drains
	letGo       bool          // it was told that it may leave
	goneAt      Time          // when it is forgotten, while it is away
	quarantine  quarantine
	refunding   int // refunds proposed and not committed
	done        int64
	failed      int64
	served      uint64 // the step in which its last outcome was taken; 0 if that was not done

	credit  int64 // leases that it is ready to take
	room    int64 // bytes of input that it is ready to take
	renewed Time
	timed   bool // a timer for its oldest lease is set

	leases   list[*batch] // live, as they were granted
	reported list[*batch] // outcomes proposed and not committed
	merges   list[*batch] // merges of its outputs that wait
	others   int          // grants since a merge had to wait
	alone    bool         // it holds a lease that takes all of it
	reserved *run         // it must come to rest for this job's lone batch
	promised *run         // has its next lease, since it has asked for room

	stealing *batch // asked back from another worker, for this one
	stealAt  Time   // when to look for that; 0 when no timer is set
	offered  bool   // in Ledger.offers

	hungry node[*worker] // in class.hungry
	over   node[*worker] // in class.over
}

// hunger is how much a worker needs a batch.
type hunger int

const (
	idle     hunger = iota // nothing runs
	spare                  // a slot is free
	prefetch               // a lease more may wait
	hungers
	sated hunger = -1
)

// able says whether the worker may be given leases.
func (w *worker) able() bool { return w.standing() == StandingReady }

// join counts a worker into its class, or out of it.
func (l *Ledger) join(w *worker, sign int) {
	l.fleet++
	l.attached += sign
	w.class.workers += sign
	if w.able() {
		w.class.able += sign
		w.class.slots += sign * w.slots
	}
}

// rejoin changes what a worker counts as.
func (l *Ledger) rejoin(w *worker, change func()) {
	l.join(w, -1)
	change()
	l.join(w, +1)
}

// heard notes that a worker has said something.
func (l *Ledger) heard(w *worker) {
	w.heardAt = l.now
	if w.silent {
		l.reconsider(w, func() { w.silent = false })
	}
}

// hungerOf returns how much a worker needs a batch.
func (w *worker) hungerOf() hunger {
	switch n := w.leases.n; {
	case w.onTrial() && w.credit > 0:
		return idle
	case !w.able() || w.credit <= 0 || w.alone:
		return sated
	case n == 0:
		return idle
	case w.reserved != nil || w.room <= 0:
		return sated
	case n < w.slots:
		return spare
	}
	return prefetch
}

// seat puts a worker into the lists where it belongs now. Of those with nothing
// to do who did something last comes first: it is awake, and its caches are
// warm. The others take turns.
func (l *Ledger) seat(w *worker) {
	if w.class == nil {
		return
	}
	if h := w.hungerOf(); h == sated {
		w.hungry.leave()
	} else if in := &w.class.hungry[h]; w.hungry.in != in {
		w.hungry.leave()
		after := in.tail
		if h == idle && after != nil && w.served > in.head.val.served {
			after = nil
		}
		in.pushAfter(&w.hungry, after)
	}
	if w.attached && w.leases.n > w.slots {
		if w.over.in == nil {
			w.class.over.push(&w.over)
		}
	} else {
		w.over.leave()
	}
}

// offer has a worker asked for more at the end of the step.
func (l *Ledger) offer(w *worker) {
	l.seat(w)
	if w.hungry.in != nil && !w.offered {
		w.offered = true
		l.offers = append(l.offers, w)
	}
}

// presence returns a worker by name. One that is not known counts as away.
func (l *Ledger) presence(id WorkerID) *worker {
	if w := l.workers[id]; w != nil {
		return w
	}
	w := l.addWorker(id)
	l.away(w)
	return w
}

func (l *Ledger) addWorker(id WorkerID) *worker {
	w := &worker{id: id, index: l.indexes, cordoned: l.state.cordoned[id], unableAt: l.now}
	w.hungry.val, w.over.val = w, w
	if n := len(l.spareIDs); n > 0 {
		w.index = l.spareIDs[n-1]
		l.spareIDs = l.spareIDs[:n-1]
	} else {
		l.indexes++
	}
	l.workers[id] = w
	return w
}

// away starts the time after which an absent worker is forgotten.
func (l *Ledger) away(w *worker) { l.absentUntil(w, l.now.Add(l.cfg.WorkerGone)) }

// absentUntil sets when an absent worker is forgotten.
func (l *Ledger) absentUntil(w *worker, at Time) {
	w.goneAt = at
	l.timers.push(timer{at: at, kind: dueGone, worker: w})
}

// goneDue forgets a worker that was away for too long: what it held is lost.
func (l *Ledger) goneDue(w *worker, at Time) {
	if w.attached || w.goneAt != at || l.workers[w.id] != w {
		return
	}
	l.sessionDue(w)
	l.loseHeld(w)
	if w.reported.n > 0 || w.leases.n > 0 {
		l.absentUntil(w, l.now.Add(l.cfg.DeadGone)) // what was proposed must come back first
		return
	}
	delete(l.workers, w.id)
	l.looking = true // nobody waits for it any more
	l.changeWorker(w)
	if w.opinion != OpinionUnknown {
		l.keepRumour(w.id, rumour{w.incarnation, w.opinion})
	}
	l.spareIDs = append(l.spareIDs, w.index)
	for _, r := range l.runs {
		r.forget(w)
	}
}

// forget forgets the speed of a worker, and what it can't run.
func (r *run) forget(w *worker) {
	for i := range r.stages {
		k := &r.stages[i]
		if w.index < len(k.speeds) {
			k.speeds[w.index] = 0
		}
		delete(k.bars, w.id)
		delete(k.sees, w.id)
	}
}

// of returns a worker whose session is the current one, nil otherwise.
func (l *Ledger) of(id WorkerID, session SessionID) *worker {
	if w := l.workers[id]; w != nil && w.attached && w.session == session {
		return w
	}
	return nil
}

// maxRoom bounds the bytes of input that a worker may be given at a time: a
// figure that sums can't overflow.
const maxRoom = 1 << 60

func (l *Ledger) creditGranted(e CreditGranted) {
	w := l.of(e.Worker, e.Session)
	if w == nil {
		return
	}
	l.heard(w)
	w.credit = min(w.credit+int64(e.Batches), int64(l.cfg.MaxCredit))
	w.room = min(w.room+max(e.Bytes, 0), maxRoom)
	if l.cfg.Bug.has(BugLostWakeup) {
		l.seat(w)
		return
	}
	l.offer(w)
}

func (l *Ledger) workerDraining(e WorkerDraining) {
	w := l.of(e.Worker, e.Session)
	if w == nil || w.draining {
		return
	}
	l.reconsider(w, func() { w.draining = true })
	l.evacuate(w)
}

// standDown takes everything off a worker that only one that takes leases can
// do.
func (l *Ledger) standDown(w *worker) {
	if r := w.reserved; r != nil {
		r.reserved, w.reserved = nil, nil
		l.touch(r)
	}
	for b := range w.merges.all() {
		l.unmerge(b)
	}
	w.stealing, w.promised = nil, nil
	l.looking = true // what others have left to it is theirs again
	l.seat(w)
}

func (l *Ledger) sessionLost(e SessionLost) {
	w := l.of(e.Worker, e.Session)
	if w == nil {
		return
	}
	l.detach(w)
	l.settleSinks()
	l.amnesty()
	l.away(w)
	l.weigh(w)
}

// detach ends a worker's session; its leases stay until their deadline.
func (l *Ledger) detach(w *worker) {
	l.join(w, -1)
	if w.able() {
		w.unableAt = l.now
	}
	w.attached = false
	w.credit, w.room = 0, 0
	l.changeWorker(w)
	l.standDown(w)
}

func (l *Ledger) heartbeat(e Heartbeat) {
	w := l.of(e.Worker, e.Session)
	if w == nil {
		return
	}
	w.renewed = l.now
	l.heard(w)
	l.emit(Renewed{e.Worker, e.Session, e.Sequence})
	for i := range e.Progress {
		if b := l.leased(e.Progress[i].Fence); b != nil && b.worker == w {
			b.started = true
			if b.thief != nil && b.thief.stealing == b {
				b.thief.stealing = nil // too late for that one
				l.offer(b.thief)
			}
		}
	}
}

// deadline returns when a lease ends.
func (l *Ledger) deadline(b *batch) Time {
	return max(b.granted, b.worker.renewed).Add(l.cfg.Lease)
}

// sessionDue takes back the leases of a worker that is silent for too long.
// The oldest lease always ends first.
func (l *Ledger) sessionDue(w *worker) {
	w.timed = false
	if l.cfg.Bug.has(BugNoExpiry) {
		return
	}
	for b := range w.leases.all() {
		if at := l.deadline(b); at > l.now {
			l.timers.push(timer{at: at, kind: dueSession, worker: w})
			w.timed = true
			return
		}
		if w.attached {
			l.emit(Revoke{w.id, w.session, b.fence, false, "the lease has run out"})
			l.suspect(w)
		}
		l.fail(b, OutcomeExpired, nil)
	}
}

// suspect gives a worker nothing more until it is heard again.
func (l *Ledger) suspect(w *worker) {
	if !w.silent {
		l.reconsider(w, func() { w.silent = true })
	}
}
