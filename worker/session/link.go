package session

import "time"

// linkPhase is how far a link is; later ones have higher numbers.
type linkPhase uint8

const (
	// apart waits for the time of the next try.
	apart linkPhase = iota
	// connecting waits for Opened.
	connecting
	// attaching waits for the answer to the attach.
	attaching
	// attached may publish.
	attached
)

// link is the way to the coordinator, and how long leases last.
type link struct {
	phase        linkPhase
	number       Number
	tries        int  // links that failed since one worked
	refusedSince Time // when it was first refused since it was last attached; 0 for never
	unwanted     bool // it is refused for good
	next         Time // when to try again, or to give up a link that is not attached
	heard        Time // when the coordinator last said something
	sent         Time // when the attach was sent

	lease     time.Duration // 0 until first attached
	renewed   Time          // when what renewed the leases last was sent
	lapsed    bool          // they have ended since
	heartbeat time.Duration
	nextBeat  Time
	sequence  uint64
	beats     []beat // not answered, in order
}

// beat is a heartbeat on its way.
type beat struct {
	sequence uint64
	sent     Time
}

func (l *link) lapsesAt() Time {
	if l.lapsed || l.lease == 0 {
		return never
	}
	return l.renewed.Add(l.lease)
}

// patience is how long a link may be silent. It ends well before the leases do,
// so that a new link can still confirm them.
func (l *link) patience() time.Duration { return min(MissedHeartbeats*l.heartbeat, l.lease*3/4) }

// silentAt is when nothing was heard for too long, or when the coordinator has
// not answered what it should have heard, whatever else it says.
func (l *link) silentAt() Time {
	at := l.heard.Add(l.patience())
	if len(l.beats) > 0 {
		at = min(at, l.beats[0].sent.Add(l.lease*3/4))
	}
	return at
}

// expireLink judges the leases first: whatever the link says later, they are
// over once their time has passed, and only an attach can confirm them.
func (m *Machine) expireLink() {
	l := &m.link
	if m.now >= l.lapsesAt() && m.config.Bug&BugIgnoreDeadline == 0 {
		m.lapse()
	}
	if l.phase == attached && m.now >= l.silentAt() && m.config.Bug&BugNoWatchdog == 0 {
		m.lost()
	}
	if (l.phase == connecting || l.phase == attaching) && m.now >= l.next {
		m.lost()
	}
	if l.phase == apart && m.now >= l.next {
		m.connect()
	}
}

// lapse ends the right to publish. A link that still stands is given up, since
// only a new attach restores that right.
func (m *Machine) lapse() {
	m.link.lapsed = true
	for e := range m.leases.running.all {
		m.suspend(e)
	}
	if m.link.phase == attached {
		m.lost()
	}
}

func (m *Machine) suspend(e *entry) {
	if !e.killed && !e.suspended {
		e.suspended = true
		m.do(Suspend{e.lease.Fence})
	}
}

// lost gives up the link; the next try comes after a wait that doubles, fully
// jittered so that workers which lost their coordinator together do not come
// back together.
func (m *Machine) lost() {
	l := &m.link
	l.phase = apart
	l.beats = l.beats[:0]
	m.credit.reset()
	m.message = Message{}
	longest := m.config.MaxBackoff
	if l.tries < 16 {
		longest = min(longest, m.config.Backoff<<l.tries)
	}
	l.tries++
	l.next = m.now.Add(time.Duration(scramble(m.seed) % uint64(longest+1)))
}

// refused gives up the link, and the worker with it when it is refused for good,
// or for longer than another one of its name could still hold leases.
func (m *Machine) refused(e Refused) {
	l := &m.link
	if e.Session != l.number || l.phase == apart {
		return
	}
	if l.refusedSince == 0 {
		l.refusedSince = m.now
	}
	l.unwanted = e.Final || m.now.Sub(l.refusedSince) >= max(l.lease, m.config.GiveUpAfter)
	m.lost()
}

func (m *Machine) leaveIfUnwanted() bool {
	if m.link.unwanted {
		m.left = true
		m.do(GiveUp{})
	}
	return m.link.unwanted
}

// scramble spreads a seed over all bits (the finalizer of SplitMix64).
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (m *Machine) connect() {
	l := &m.link
	l.phase = connecting
	if m.config.Bug&BugSameSession == 0 || l.number == m.config.Session {
		l.number++
	}
	l.next = m.now.Add(m.config.AttachTimeout)
	m.do(Connect{l.number})
}

// opened sends the inventory. Leases that are being killed as unknown are not
// in it: they are the coordinator's no more.
func (m *Machine) opened(n Number) {
	l := &m.link
	if n != l.number || l.phase != connecting {
		return
	}
	l.phase, l.sent, l.heard = attaching, m.now, m.now
	a := &Attach{Session: n, Slots: m.config.Slots, Outputs: m.outputs.inventory()}
	for e := range m.leases.finished.all {
		o, lease := e.outcome, e.lease
		o.Granted = &lease
		a.Outcomes = append(a.Outcomes, o)
	}
	for e := range m.leases.running.all {
		m.enlist(a, e)
	}
	for e := range m.leases.waiting.all {
		m.enlist(a, e)
	}
	m.message.Attach = a
	m.message.Drain = m.drain.on
}

func (m *Machine) enlist(a *Attach, e *entry) {
	if e.killed && e.why == KillDropped {
		return
	}
	e.listed = a.Session
	a.Leases = append(a.Leases, Held{e.lease, e.phase == running})
}

func (m *Machine) received(e Received) {
	l := &m.link
	if e.Session != l.number || l.phase < attaching {
		return
	}
	l.heard = m.now
	r := &e.Response
	if r.Attached != nil && l.phase == attaching {
		m.confirmed(r.Attached)
	}
	if l.phase != attached {
		return
	}
	for _, lease := range r.Grants {
		m.granted(lease)
	}
	for _, a := range r.Acks {
		m.acknowledged(a)
	}
	for _, v := range r.Revokes {
		m.revoked(v)
	}
	m.answered(r.Heartbeat)
	for _, id := range r.DropOutputs {
		m.dropOutput(id)
	}
	if r.Drain {
		m.startDrain(r.DrainWithin)
	}
	m.drain.released = m.drain.released || r.Leave && m.drain.on
	for _, job := range r.EndedJobs {
		m.ended(job)
	}
}

// confirmed begins a session: what the coordinator kept goes on, the rest of
// what was listed ends, and what finished meanwhile is reported.
func (m *Machine) confirmed(a *Attached) {
	l := &m.link
	l.phase, l.lapsed, l.refusedSince = attached, false, 0
	l.lease, l.heartbeat = a.Lease, a.Heartbeat
	l.renewed, l.nextBeat = l.sent, m.now.Add(a.Heartbeat)
	for _, f := range a.Keep {
		if e := m.leases.byFence[f]; e != nil {
			e.kept = l.number
		}
	}
	for _, of := range []*list{&m.leases.waiting, &m.leases.running, &m.leases.finished} {
		for e := range of.all {
			m.confirm(e)
		}
	}
	if m.drain.on {
		m.drain.released = false // by another, perhaps, or before this one had heard of all
		m.leaveAfterBeat()
	}
}

func (m *Machine) confirm(e *entry) {
	if e.listed == m.link.number && e.kept != m.link.number {
		if m.config.Bug&BugIgnoreDrop == 0 {
			m.discard(e)
		}
		return
	}
	if e.phase == finished && e.listed == m.link.number {
		m.tell(e)
	}
	if e.suspended {
		e.suspended = false
		m.do(Resume{e.lease.Fence})
	}
}

// beat sends a heartbeat when one is due.
func (m *Machine) beat() {
	l := &m.link
	if l.phase != attached || m.now < l.nextBeat {
		return
	}
	l.sequence++
	l.nextBeat = m.now.Add(l.heartbeat)
	l.beats = append(l.beats, beat{l.sequence, m.now})
	m.do(SendHeartbeat{l.number, l.sequence})
}

// answered renews all leases, from when the heartbeat was sent: the
// coordinator heard it later, so its own deadline is later, too.
func (m *Machine) answered(sequence uint64) {
	l := &m.link
	n := 0
	for n < len(l.beats) && l.beats[n].sequence <= sequence {
		l.renewed = max(l.renewed, l.beats[n].sent)
		l.tries = 0
		n++
	}
	l.beats = append(l.beats[:0], l.beats[n:]...)
	if n > 0 && m.config.Bug&BugIgnoreDeadline != 0 {
		l.renewed = m.now
	}
}

// nextOfLink is the next deadline that expireLink or beat acts upon; any other
// would have the shell wake the machine for nothing, again and again.
func (m *Machine) nextOfLink() Time {
	l := &m.link
	next := l.lapsesAt()
	if m.config.Bug&BugIgnoreDeadline != 0 {
		next = never
	}
	if l.phase < attached {
		return min(next, l.next)
	}
	if m.config.Bug&BugNoWatchdog == 0 {
		next = min(next, l.silentAt())
	}
	return min(next, l.nextBeat)
}
