package fleet

import (
	"cmp"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"

	"github.com/hashicorp/memberlist"
)

// table is who is in the fleet, and who wants to know.
type table struct {
	self string // gossip name
	log  *slog.Logger

	mu       sync.Mutex
	members  map[string]Member // by gossip name
	strange  map[string]bool   // gossip names of those that could not be read
	watchers []func(Member)

	telling sync.Mutex // held while watchers are told: one call at a time
}

// update takes the list as it is now, tells watchers of what has changed, and
// says whether somebody died or left.
func (t *table) update(nodes []*memberlist.Node) (someEnded bool) {
	t.telling.Lock()
	defer t.telling.Unlock()
	changes, watchers := t.merge(nodes)
	for _, m := range changes {
		someEnded = someEnded || m.ended()
		t.log.Info("member "+m.Opinion.String(), "name", m.Name, "incarnation", m.Incarnation, "role", m.Role, "gossip", m.Gossip)
		for _, f := range watchers {
			f(m)
		}
	}
	return someEnded
}

func (t *table) merge(nodes []*memberlist.Node) (changes []Member, watchers []func(Member)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.read(nodes)
	for name, old := range t.members {
		if _, ok := now[name]; !ok {
			old.Opinion = Unknown
			changes = append(changes, old)
		}
	}
	for name, m := range now {
		if old, ok := t.members[name]; !ok || !same(old, m) {
			changes = append(changes, m)
		}
	}
	t.members = now
	slices.SortFunc(changes, byName)
	return changes, t.watchers
}

func (m Member) ended() bool { return m.Opinion == Dead || m.Opinion == Left }

func same(a, b Member) bool {
	return a.Opinion == b.Opinion && a.Gossip == b.Gossip && a.Role == b.Role && a.Slots == b.Slots &&
		a.Zone == b.Zone && a.Version == b.Version && slices.Equal(a.Addresses, b.Addresses)
}

func byName(a, b Member) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Incarnation, b.Incarnation))
}

// read makes members of a list, others than this process itself.
func (t *table) read(nodes []*memberlist.Node) map[string]Member {
	members := make(map[string]Member, len(nodes))
	strange := make(map[string]bool)
	for _, n := range nodes {
		if n.Name == t.self {
			continue
		}
		m, err := memberOf(n)
		if err == nil {
			members[n.Name] = m
			continue
		}
		if strange[n.Name] = true; !t.strange[n.Name] {
			t.log.Warn("member ignored: it does not say what it is, or in a format of a later version", "name", n.Name, "gossip", n.Address())
		}
	}
	t.strange = strange
	return members
}

func memberOf(n *memberlist.Node) (m Member, err error) {
	if m.Name, m.Incarnation, err = splitName(n.Name); err != nil {
		return Member{}, err
	}
	if err := decodeMeta(n.Meta, &m); err != nil {
		return Member{}, err
	}
	m.Gossip = net.JoinHostPort(n.Addr.String(), strconv.Itoa(int(n.Port)))
	m.Opinion = opinionOf(n.State)
	return m, nil
}

func opinionOf(s memberlist.NodeStateType) Opinion {
	switch s {
	case memberlist.StateAlive:
		return Alive
	case memberlist.StateSuspect:
		return Suspect
	case memberlist.StateLeft:
		return Left
	}
	return Dead
}

// watch adds f, and tells it of all that are known.
func (t *table) watch(f func(Member)) {
	t.telling.Lock()
	defer t.telling.Unlock()
	known := t.list()
	t.mu.Lock()
	t.watchers = append(slices.Clone(t.watchers), f)
	t.mu.Unlock()
	for _, m := range known {
		f(m)
	}
}

func (t *table) list() []Member {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.SortedFunc(maps.Values(t.members), byName)
}

// standing is whether a member lives, by where it gossips; those whose end is
// remembered are there too.
func (t *table) standing() map[string]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	lives := make(map[string]bool)
	for _, m := range t.members {
		lives[m.Gossip] = lives[m.Gossip] || !m.ended()
	}
	return lives
}

// lost are where the dead gossiped that matter to a member of this role:
// everybody to a coordinator, coordinators to everybody.
func (t *table) lost(role Role) (lost []netip.AddrPort) {
	lives := t.standing()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.members {
		matters := role == Coordinator || m.Role == Coordinator
		if a, err := netip.ParseAddrPort(m.Gossip); err == nil && matters && m.Opinion == Dead && !lives[m.Gossip] {
			lost = append(lost, a)
		}
	}
	return lost
}
