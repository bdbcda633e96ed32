package session

import "fmt"

// leases is all that is held, by fence and by phase.
type leases struct {
	byFence  map[Fence]*entry
	waiting  list
	running  list
	finished list
	timeouts timeouts
	alone    bool          // a lease that takes all slots is running
	ending   map[JobID]int // ended jobs, with the leases that still run
	spare    *entry
}

func newLeases() leases {
	return leases{byFence: map[Fence]*entry{}, ending: map[JobID]int{}}
}

func (l *leases) list(p phase) *list {
	switch p {
	case waiting:
		return &l.waiting
	case running:
		return &l.running
	}
	return &l.finished
}

func (l *leases) add(lease Lease) *entry {
	e := l.spare
	if e == nil {
		e = new(entry)
	} else {
		l.spare = e.next
		*e = entry{}
	}
	e.lease = lease
	l.byFence[lease.Fence] = e
	l.waiting.push(e)
	return e
}

func (l *leases) move(e *entry, to phase) {
	l.list(e.phase).remove(e)
	e.phase = to
	l.list(to).push(e)
}

func (l *leases) forget(e *entry) {
	l.list(e.phase).remove(e)
	delete(l.byFence, e.lease.Fence)
	*e = entry{next: l.spare}
	l.spare = e
}

// granted takes a new lease. One that comes during a drain goes back at once.
func (m *Machine) granted(lease Lease) {
	m.credit.batches--
	m.credit.bytes -= lease.Bytes
	if m.leases.byFence[lease.Fence] != nil {
		return // said twice: it is held already
	}
	m.credit.held += lease.Bytes
	e := m.leases.add(lease)
	if m.drain.on {
		m.giveBack(e)
	}
}

// startWaiting fills free slots in the order of the grants. A lease that takes
// the whole worker waits until it is empty, and nothing overtakes it.
func (m *Machine) startWaiting() {
	l := &m.leases
	for e := l.waiting.first; e != nil; e = l.waiting.first {
		free := l.running.len < m.config.Slots && !l.alone
		if e.lease.Alone {
			free = l.running.len == 0
		}
		if !free {
			return
		}
		m.start(e)
	}
}

func (m *Machine) start(e *entry) {
	l := &m.leases
	l.move(e, running)
	l.alone = e.lease.Alone
	if e.lease.Timeout > 0 {
		e.killAt = m.now.Add(e.lease.Timeout)
		l.timeouts.add(e)
	}
	m.do(Start{e.lease})
	if m.link.lapsed {
		m.suspend(e)
	}
}

// finished takes the end of a running lease. The reason of a kill decides what
// is reported, unless the lease was done before it could be killed.
func (m *Machine) finished(o Outcome) {
	e := m.leases.byFence[o.Fence]
	if e == nil || e.phase != running {
		panic(fmt.Sprintf("session: %+v finished, but is not running", o.Fence))
	}
	m.stopped(e)
	won := o.Class == Done || o.Class == DoneWithSkips
	if e.killed && !won {
		o.Class = killClasses[e.why]
	}
	if o.Output.ID != "" {
		m.outputs.add(o.Output)
	}
	dropped := e.killed && e.why == KillDropped
	if o.Output.ID != "" && (!won || dropped) {
		m.dropOutput(o.Output.ID)
		o.Output = Output{}
	}
	if dropped {
		m.leases.forget(e)
	} else {
		m.report(e, o)
	}
	m.endedOne(o.Fence.Job)
}

var killClasses = [...]Class{KillRevoked: Cancelled, KillTimeout: KilledTime, KillDrain: Returned, KillDropped: Cancelled}

// stopped frees what a lease held while it waited or ran.
func (m *Machine) stopped(e *entry) {
	m.leases.timeouts.drop(e)
	m.credit.finished++
	m.credit.held -= e.lease.Bytes
	if e.phase == running {
		m.leases.alone = false
	}
	if m.config.Bug&BugLoseCredit != 0 {
		m.credit.batches++
	}
}

// report keeps an outcome until it is acknowledged, and sends it if the link
// allows; otherwise the next attach does.
func (m *Machine) report(e *entry, o Outcome) {
	e.outcome, e.suspended = o, false
	m.leases.move(e, finished)
	if m.link.phase != attached {
		return
	}
	m.tell(e)
	if m.config.Bug&BugForgetOutcome != 0 {
		m.leases.forget(e)
	}
}

func (m *Machine) tell(e *entry) {
	m.message.Outcomes = append(m.message.Outcomes, e.outcome)
	m.credit.probe(e.lease.Fence)
}

// giveBack returns a lease that has not started.
func (m *Machine) giveBack(e *entry) {
	m.stopped(e)
	m.report(e, Outcome{Fence: e.lease.Fence, Class: Returned})
}

func (m *Machine) kill(e *entry, why KillReason) {
	if e.killed && why != KillDropped {
		return
	}
	again := e.killed
	e.killed, e.why = true, why
	m.leases.timeouts.drop(e)
	if !again {
		m.do(Kill{e.lease.Fence, why})
	}
}

func (m *Machine) expireTimeouts() {
	for m.leases.timeouts.next() <= m.now {
		m.kill(m.leases.timeouts[0], KillTimeout)
	}
}

func (m *Machine) revoked(r Revoke) {
	e := m.leases.byFence[r.Fence]
	switch {
	case e == nil || e.phase == finished: // the outcome crossed the revocation
	case e.phase == running && !r.IfWaiting:
		m.kill(e, KillRevoked)
	case e.phase == waiting && m.config.Bug&BugRunRevoked != 0:
		m.message.Outcomes = append(m.message.Outcomes, Outcome{Fence: r.Fence, Class: Returned})
	case e.phase == waiting:
		m.giveBack(e)
	}
}

func (m *Machine) acknowledged(a Ack) {
	m.credit.answered(a.Fence, m.config.minPrefetch(), m.config.MaxPrefetch)
	e := m.leases.byFence[a.Fence]
	if e == nil || e.phase != finished {
		return
	}
	if id := e.outcome.Output.ID; a.Stale && id != "" && m.config.Bug&BugKeepStale == 0 {
		m.dropOutput(id)
	}
	m.leases.forget(e)
}

// discard ends a lease that the coordinator does not know, without a report.
func (m *Machine) discard(e *entry) {
	switch e.phase {
	case waiting:
		m.stopped(e)
		m.leases.forget(e)
	case running:
		m.kill(e, KillDropped)
	case finished:
		m.credit.forget(e.lease.Fence)
		if id := e.outcome.Output.ID; id != "" {
			m.dropOutput(id)
		}
		m.leases.forget(e)
	}
}

// ended forgets all that there is of a job. What still runs of it ends first,
// since it may still write.
func (m *Machine) ended(job JobID) {
	l := &m.leases
	still := 0
	for _, of := range []*list{&l.waiting, &l.running, &l.finished} {
		for e := range of.all {
			if e.lease.Fence.Job != job {
				continue
			}
			if e.phase == running {
				still++
			}
			m.discard(e)
		}
	}
	l.ending[job] = still + 1
	m.endedOne(job)
}

func (m *Machine) endedOne(job JobID) {
	left, ending := m.leases.ending[job]
	if !ending {
		return
	}
	if left > 1 {
		m.leases.ending[job] = left - 1
		return
	}
	delete(m.leases.ending, job)
	m.outputs.dropJob(job)
	m.do(EndJob{job})
}
