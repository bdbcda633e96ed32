package session

// Machine is the worker's side of its sessions. It is owned by one goroutine.
type Machine struct {
	config Config
	now    Time
}

// New makes a machine. It panics when the configuration is not valid (see
// Config.Check).
func New(config Config) *Machine {
	if err := config.Check(); err != nil {
		panic("session: " + err.Error())
	}
	return &Machine{config: config.withDefaults()}
}

// Step takes an event that happened at a time, with a random seed that may
// decide what is left to chance, and returns what is to be done. Time never
// runs backwards: an earlier one counts as the latest known. The effects may
// be kept; later steps do not touch them.
func (m *Machine) Step(at Time, seed uint64, e Event) []Effect {
	m.now = max(m.now, at)
	return nil
}
