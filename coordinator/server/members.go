package server

import (
	"context"
	"log/slog"
	"sync"

	"github.com/millrace/millrace/fleet"
)

// members carries what gossip says of members to the coordinator, which may be
// slower: of each process only the latest is kept.
type members struct {
	logger  *slog.Logger
	self    string
	observe func(fleet.Member)

	mu      sync.Mutex
	waiting map[process]fleet.Member
	order   []process

	signal chan struct{} // holds one token when there is something new
}

// process is what a member is known by.
type process struct {
	name        string
	incarnation uint64
}

func newMembers(logger *slog.Logger, self string, observe func(fleet.Member)) *members {
	return &members{
		logger: logger, self: self, observe: observe,
		waiting: make(map[process]fleet.Member), signal: make(chan struct{}, 1),
	}
}

// tell notes how a member is, and never blocks.
func (m *members) tell(member fleet.Member) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := process{member.Name, member.Incarnation}
	if _, ok := m.waiting[key]; !ok {
		m.order = append(m.order, key)
	}
	m.waiting[key] = member
	select {
	case m.signal <- struct{}{}:
	default:
	}
}

// run tells the coordinator of members until the context ends.
func (m *members) run(ctx context.Context) error {
	for {
		select {
		case <-m.signal:
		case <-ctx.Done():
			return nil
		}
		for _, member := range m.take() {
			m.observe(member)
			m.greet(member)
		}
	}
}

func (m *members) take() []fleet.Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]fleet.Member, len(m.order))
	for i, key := range m.order {
		list[i] = m.waiting[key]
	}
	clear(m.waiting)
	m.order = nil
	return list
}

// greet warns of a second coordinator: each has jobs of its own, and workers
// join either.
func (m *members) greet(member fleet.Member) {
	if member.Role == fleet.Coordinator && member.Opinion == fleet.Alive && member.Name != m.self {
		m.logger.Warn("another coordinator is in the fleet; workers take leases from one of them only",
			"name", member.Name, "addresses", member.Addresses, "version", member.Version)
	}
}
