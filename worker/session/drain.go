package session

import "time"

// drain is how the worker leaves.
type drain struct {
	on       bool
	killed   bool   // what still ran at the deadline has been killed
	released bool   // the coordinator needs its outputs no more; of this session
	deadline Time   // when that is
	beat     uint64 // the heartbeat whose answer shows that no grant is on its way
}

// startDrain gives back what waits and lets what runs finish. Asked again, it
// can only become shorter.
func (m *Machine) startDrain(within time.Duration) {
	if within == 0 {
		within = m.config.Drain
	}
	deadline := m.now.Add(within)
	if m.drain.on {
		m.drain.deadline = min(m.drain.deadline, deadline)
		m.expireDrain()
		return
	}
	m.drain = drain{on: true, deadline: deadline}
	for e := range m.leases.waiting.all {
		m.giveBack(e)
	}
	if m.link.phase >= attaching {
		m.message.Drain = true
	}
	if m.link.phase == attached {
		m.leaveAfterBeat()
	}
}

// leaveAfterBeat has a heartbeat sent with the news of the drain. Leases that
// were granted before the coordinator heard it arrive before the answer.
func (m *Machine) leaveAfterBeat() {
	m.link.nextBeat = m.now
	m.drain.beat = m.link.sequence + 1
}

func (m *Machine) expireDrain() {
	if !m.drain.on || m.drain.killed || m.now < m.drain.deadline {
		return
	}
	m.drain.killed = true
	for e := range m.leases.running.all {
		m.kill(e, KillDrain)
	}
}

// patientTries is how many links may fail while a coordinator is awaited that
// would have outputs taken over.
const patientTries = 3

// letGo says whether the outputs may go with the worker: the coordinator has said
// so, there are none, time is up, or there is no coordinator to see to them.
func (m *Machine) letGo() bool {
	lost := m.link.phase < attached && m.link.tries > patientTries
	return m.drain.released || len(m.outputs.byID) == 0 || m.drain.killed || lost
}

// leaveIfDrained ends the machine when nothing is held, everything has been
// acknowledged, and no output is needed any more, or when that takes too long.
func (m *Machine) leaveIfDrained() bool {
	if !m.drain.on {
		return false
	}
	l := &m.leases
	done := l.running.len == 0 && l.waiting.len == 0 && m.settled() && m.letGo()
	if !done && m.now < m.drain.deadline.Add(m.config.LeaveAfter) {
		return false
	}
	m.left = true
	m.do(Leave{})
	return true
}

// settled tells whether the coordinator knows all that it should.
func (m *Machine) settled() bool {
	if m.config.Bug&BugLeaveEarly != 0 {
		return true
	}
	l := &m.link
	if m.leases.finished.len > 0 || l.phase == attaching {
		return false
	}
	heard := len(l.beats) == 0 || l.beats[0].sequence > m.drain.beat
	return l.phase < attaching || heard && l.sequence >= m.drain.beat
}

func (m *Machine) nextOfDrain() Time {
	switch {
	case !m.drain.on:
		return never
	case !m.drain.killed:
		return m.drain.deadline
	}
	return m.drain.deadline.Add(m.config.LeaveAfter)
}
