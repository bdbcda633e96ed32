package journal

import "github.com/millrace/millrace/coordinator/ledger"

// Volatile is a log for a process whose end is the end of its jobs: it hands
// facts back as they are, and keeps nothing, since nobody will ever restore it.
type Volatile struct {
	fresh []ledger.Fact // committed, and not returned yet
	ready chan struct{}
}

var _ Log = (*Volatile)(nil)

// NewVolatile returns an empty log.
func NewVolatile() *Volatile { return &Volatile{ready: make(chan struct{}, 1)} }

// Append commits an entry. It never fails.
func (v *Volatile) Append(facts []ledger.Fact) error {
	v.fresh = append(v.fresh, facts...)
	select {
	case v.ready <- struct{}{}:
	default:
	}
	return nil
}

// Committed returns the facts that were appended since it was last called.
func (v *Volatile) Committed() []ledger.Fact {
	facts := v.fresh
	v.fresh = nil
	return facts
}

// Ready receives when Committed may have something.
func (v *Volatile) Ready() <-chan struct{} { return v.ready }

// Snapshot does nothing.
func (v *Volatile) Snapshot([]byte) error { return nil }

// Bytes is 0: there is nothing for a snapshot to replace.
func (v *Volatile) Bytes() int { return 0 }

// Restore returns nothing.
func (v *Volatile) Restore() ([]byte, []ledger.Fact, error) { return nil, nil, nil }
