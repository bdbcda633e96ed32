package journal

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/millrace/millrace/coordinator/ledger"
)

// errBroken is what Restore says of entries that it can't take apart.
var errBroken = errors.New("journal: broken entry")

// Memory is a log that lives as long as its process. It commits at once,
// unless it is held: then facts become durable only when Release says so, as
// they would in a log that has to ask others.
type Memory struct {
	snapshot []byte
	entries  [][]byte
	told     int // entries that Committed has returned
	bytes    int

	fresh []ledger.Fact // committed, and not returned yet
	held  bool
	open  [][]ledger.Fact // appended, and not committed

	ready chan struct{}
}

var _ Log = (*Memory)(nil)

// NewMemory returns an empty log.
func NewMemory() *Memory { return &Memory{ready: make(chan struct{}, 1)} }

// Append adds an entry. It never fails.
func (m *Memory) Append(facts []ledger.Fact) error {
	if m.held {
		m.open = append(m.open, facts)
		return nil
	}
	m.commit(facts)
	return nil
}

func (m *Memory) commit(facts []ledger.Fact) {
	var entry, one []byte
	for _, f := range facts {
		one = ledger.AppendFact(one[:0], f)
		entry = binary.AppendUvarint(entry, uint64(len(one)))
		entry = append(entry, one...)
	}
	m.entries = append(m.entries, entry)
	m.bytes += len(entry)
	m.fresh = append(m.fresh, facts...)
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

// Hold makes appended facts wait for Release.
func (m *Memory) Hold() { m.held = true }

// Release commits the n entries that were appended first, or as many as there
// are, and returns how many are left. The log stays held.
func (m *Memory) Release(n int) int {
	for ; n > 0 && len(m.open) > 0; n-- {
		m.commit(m.open[0])
		m.open = m.open[1:]
	}
	return len(m.open)
}

// Lose forgets what was appended and not committed, as a crash would, and
// what was committed and not returned by Committed is returned by Restore
// only. The log is not held any more.
func (m *Memory) Lose() {
	m.open, m.fresh, m.held = nil, nil, false
	m.told = len(m.entries)
}

// Committed returns the facts that were committed since it was last called.
func (m *Memory) Committed() []ledger.Fact {
	facts := m.fresh
	m.fresh = nil
	m.told = len(m.entries)
	return facts
}

// Ready receives when Committed may have something.
func (m *Memory) Ready() <-chan struct{} { return m.ready }

// Snapshot replaces the entries that Committed has returned.
func (m *Memory) Snapshot(state []byte) error {
	m.snapshot = state
	m.entries = append([][]byte(nil), m.entries[m.told:]...)
	m.told, m.bytes = 0, 0
	for _, e := range m.entries {
		m.bytes += len(e)
	}
	return nil
}

// Bytes is the size of the facts committed since the last snapshot.
func (m *Memory) Bytes() int { return m.bytes }

// Restore returns the last snapshot and the facts committed after it.
func (m *Memory) Restore() ([]byte, []ledger.Fact, error) {
	var facts []ledger.Fact
	for i, entry := range m.entries {
		for len(entry) > 0 {
			n, used := binary.Uvarint(entry)
			if used <= 0 || n > uint64(len(entry)-used) {
				return nil, nil, fmt.Errorf("entry %d: %w", i, errBroken)
			}
			f, err := ledger.DecodeFact(entry[used : used+int(n)])
			if err != nil {
				return nil, nil, fmt.Errorf("entry %d: %w", i, err)
			}
			facts = append(facts, f)
			entry = entry[used+int(n):]
		}
	}
	return m.snapshot, facts, nil
}
