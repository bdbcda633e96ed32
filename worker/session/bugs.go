package session

// Bug is a set of faults that can be planted, so that the simulation's own
// test can show that it catches them. It is 0 in every other use.
type Bug uint32

const (
	// BugForgetOutcome forgets an outcome as soon as it was sent.
	BugForgetOutcome Bug = 1 << iota
	// BugLoseCredit returns no credit for a lease that ended.
	BugLoseCredit
	// BugIgnoreDrop lets a lease go on that the coordinator dropped.
	BugIgnoreDrop
	// BugRunRevoked starts a waiting lease although it has been returned.
	BugRunRevoked
	// BugNoWatchdog waits for ever on a link that has gone silent.
	BugNoWatchdog
	// BugIgnoreDeadline renews a lease from the moment that the answer came,
	// and publishes after its deadline.
	BugIgnoreDeadline
	// BugKeepStale keeps outputs that the coordinator refused.
	BugKeepStale
	// BugSameSession attaches with the number of the session before.
	BugSameSession
	// BugLeaveEarly ends a drain without waiting for acknowledgements.
	BugLeaveEarly
)
