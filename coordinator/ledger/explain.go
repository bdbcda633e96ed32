package ledger

// WaitKind is a kind of reason for waiting.
type WaitKind uint8

// Wait is a reason why a job's next batch waits.
type Wait struct {
	Kind WaitKind
	// N of M workers are concerned, where it is about workers.
	N, M int
	// Name is the processor, label or stage concerned.
	Name string
	// Until is when it ends, where that is known.
	Until Time
}
