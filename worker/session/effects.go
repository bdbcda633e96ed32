package session

// Effect is something to be done by the shell, in the order given.
type Effect interface{ effect() }

// Connect asks for a new link, and ends any earlier one: nothing of that is
// heard any more, and what has not yet been written to it is forgotten. It is
// answered by Opened or Broken with its number.
type Connect struct{ Session Number }

// Send asks to send a message. What waits while another is being written
// should go out as one (Message.Merge).
type Send struct {
	Session Number
	Message Message
}

// SendHeartbeat asks to send a heartbeat, with the progress of what runs. It
// must not wait behind any Send.
type SendHeartbeat struct {
	Session  Number
	Sequence uint64
}

// Start asks to begin a lease. It is answered by Finished.
type Start struct{ Lease Lease }

// Kill asks to end a running lease with all its processes. It is answered by
// Finished, like an end of its own. Kill, Suspend and Resume may name a lease
// that has just ended, whose Finished is on its way or in this very step: then
// there is nothing to do.
type Kill struct {
	Fence Fence
	Why   KillReason
}

// Suspend says that a running lease may go on computing, but publish nothing
// outside of its own spool, until Resume or Kill.
type Suspend struct{ Fence Fence }

// Resume ends a Suspend: the coordinator has confirmed the lease.
type Resume struct{ Fence Fence }

// DropOutput asks to delete an output from the spool.
type DropOutput struct{ ID OutputID }

// EndJob asks to delete all that there is of a job, outputs included.
type EndJob struct{ Job JobID }

// Leave says that the drain is over: close the link and end.
type Leave struct{}

// GiveUp says that the coordinator does not want the worker: close the link, stop
// what runs, and end.
type GiveUp struct{}

// WakeAt says when to call Step with Ticked if nothing else has happened. It
// replaces the WakeAt before.
type WakeAt struct{ At Time }

func (Connect) effect()       {}
func (Send) effect()          {}
func (SendHeartbeat) effect() {}
func (Start) effect()         {}
func (Kill) effect()          {}
func (Suspend) effect()       {}
func (Resume) effect()        {}
func (DropOutput) effect()    {}
func (EndJob) effect()        {}
func (Leave) effect()         {}
func (GiveUp) effect()        {}
func (WakeAt) effect()        {}

// KillReason says why a lease is killed, which decides the class of outcome
// that is reported.
type KillReason uint8

const (
	// KillRevoked is for a lease that the coordinator took back.
	KillRevoked KillReason = iota
	// KillTimeout is for a lease that ran for too long.
	KillTimeout
	// KillDrain is for a lease that still ran at a drain's deadline.
	KillDrain
	// KillDropped is for a lease that the coordinator no longer knows; nothing
	// is reported.
	KillDropped
)

var killNames = [...]string{"revoked", "timeout", "drain", "dropped"}

// String names the reason as scripts do.
func (r KillReason) String() string { return killNames[r] }
