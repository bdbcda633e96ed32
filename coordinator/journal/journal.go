// Package journal keeps the ledger's durable facts in order, and a snapshot of
// what they came to. What a fact means, and when to take a snapshot, is
// decided elsewhere; how durable a commit is depends on the implementation.
package journal

import "github.com/millrace/millrace/coordinator/ledger"

// Log is a log of facts. One goroutine owns it.
type Log interface {
	// Append proposes an entry of facts. Its commit is told by Committed,
	// perhaps later, perhaps never.
	Append(facts []ledger.Fact) error
	// Committed returns the facts that were committed since it was last
	// called, in the log's order; nil when there are none.
	Committed() []ledger.Fact
	// Ready receives when Committed may have something. With a log that
	// commits at once it is enough to call Committed after Append.
	Ready() <-chan struct{}
	// Snapshot replaces everything that Committed has returned so far by an
	// encoded state.
	Snapshot(state []byte) error
	// Bytes is the size of the facts committed since the last snapshot.
	Bytes() int
	// Restore returns the last snapshot (nil when there was none) and the
	// facts committed after it.
	Restore() (snapshot []byte, facts []ledger.Fact, err error)
}
