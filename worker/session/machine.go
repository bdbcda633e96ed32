package session

// Machine is the worker's side of its sessions. It is owned by one goroutine.
type Machine struct {
	config Config
	now    Time
	seed   uint64

	leases  leases
	outputs outputs
	credit  credit
	link    link
	drain   drain

	message   Message // what this step says to the coordinator
	effects   []Effect
	announced Time // the last WakeAt
	woken     bool // whether there was one
	left      bool
}

// New makes a machine. It panics when the configuration is not valid (see
// Config.Check).
func New(config Config) *Machine {
	if err := config.Check(); err != nil {
		panic("session: " + err.Error())
	}
	config = config.withDefaults()
	m := &Machine{config: config, leases: newLeases(), outputs: newOutputs(config.Outputs)}
	m.credit.depth = config.minPrefetch()
	m.link.number = config.Session
	return m
}

// Step takes an event that happened at a time, with a random seed that may
// decide what is left to chance, and returns what is to be done. Time never
// runs backwards: an earlier one counts as the latest known. The effects may
// be kept; later steps do not touch them.
func (m *Machine) Step(at Time, seed uint64, e Event) []Effect {
	if m.left {
		return nil
	}
	m.now, m.seed = max(m.now, at), seed
	m.message, m.effects = Message{}, nil
	m.expire() // a lease past its deadline is never live, whatever the event
	m.take(e)
	m.proceed()
	return m.effects
}

// Session is the number of the latest link.
func (m *Machine) Session() Number { return m.link.number }

// Attached tells whether the coordinator has answered the latest attach.
func (m *Machine) Attached() bool { return m.link.phase == attached }

// Running is how many leases hold slots, and Waiting how many wait for one.
func (m *Machine) Running() int { return m.leases.running.len }

// Waiting is how many leases wait for a slot.
func (m *Machine) Waiting() int { return m.leases.waiting.len }

// Unacknowledged is how many outcomes the coordinator has not answered.
func (m *Machine) Unacknowledged() int { return m.leases.finished.len }

// Unspent is how many leases the coordinator may still grant.
func (m *Machine) Unspent() int { return m.credit.batches }

func (m *Machine) take(e Event) {
	switch e := e.(type) {
	case Opened:
		m.opened(e.Session)
	case Broken:
		if e.Session == m.link.number && m.link.phase != apart {
			m.lost()
		}
	case Refused:
		m.refused(e)
	case Received:
		m.received(e)
	case Finished:
		m.finished(e.Outcome)
	case DrainAsked:
		m.startDrain(e.Within)
	case Ticked:
		m.woken = false // if it came early, it is asked for once more
	}
}

// expire judges every deadline that has passed.
func (m *Machine) expire() {
	m.expireLink()
	m.expireTimeouts()
	m.expireDrain()
}

// proceed does what the state allows after any event.
func (m *Machine) proceed() {
	m.startWaiting()
	m.topUp()
	m.flush()
	m.beat()
	if m.leaveIfUnwanted() || m.leaveIfDrained() {
		return
	}
	m.announce()
}

func (m *Machine) do(e Effect) {
	if m.effects == nil {
		m.effects = make([]Effect, 0, fewEffects)
	}
	m.effects = append(m.effects, e)
}

// fewEffects is how many most steps have at most.
const fewEffects = 3

// flush sends what this step has to say, as one message.
func (m *Machine) flush() {
	said := &m.message
	if said.Attach == nil && said.Batches == 0 && said.Bytes == 0 && len(said.Outcomes) == 0 && !said.Drain {
		return
	}
	m.do(Send{m.link.number, *said})
}

// announce says when the next deadline is, if that has changed.
func (m *Machine) announce() {
	next := soonest(m.nextOfLink(), m.leases.timeouts.next(), m.nextOfDrain())
	if next == never || m.woken && next == m.announced {
		return
	}
	m.announced, m.woken = next, true
	m.do(WakeAt{next})
}

// never is a deadline that nobody waits for.
const never = Time(1<<63 - 1)

func soonest(times ...Time) Time {
	first := never
	for _, t := range times {
		first = min(first, t)
	}
	return first
}
