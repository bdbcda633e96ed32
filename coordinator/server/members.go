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
	addr    string // where its own coordinator is reached
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

func newMembers(logger *slog.Logger, addr string, observe func(fleet.Member)) *members {
	return &members{
		logger: logger, addr: addr, observe: observe,
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
			m.pass(member)
		}
	}
}

// pass tells the coordinator of a member, but for what it was in an earlier life.
func (m *members) pass(member fleet.Member) {
	other := member.Role == fleet.Coordinator
	if other && member.Name == memberName(m.addr) {
		return
	}
	m.observe(member)
	if other && member.Opinion == fleet.Alive {
		m.logger.Warn("another coordinator is in the fleet: each has jobs of its own, and each worker takes leases from one of the two alone; "+
			"stop one of them, and its workers come to the other", "here", m.addr, "there", member.Addresses, "name", member.Name, "version", member.Version)
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
