package ledger

// Opinion is what gossip says of a worker's life.
type Opinion uint8

// The opinions, with the numbers of the contract.
const (
	OpinionUnknown Opinion = iota // gossip does not know it
	OpinionAlive                  // it answers
	OpinionSuspect                // it did not answer somebody, and may yet
	OpinionDead                   // it answers nobody
	OpinionLeft                   // it said that it leaves
)

// Gossiped: gossip has changed its opinion of a worker's process. The shell
// tells every change, in order, and the present opinion of everybody when the
// ledger is new.
type Gossiped struct {
	Worker WorkerID
	// Incarnation of the process that is meant; opinions of another one than
	// that which is attached, or was last, count for nothing.
	Incarnation uint64
	Opinion     Opinion
}

// WorkerRefused: after a worker's session broke, its address refused a
// connection. With the broken session that is the second witness of its death.
type WorkerRefused struct {
	Worker  WorkerID
	Session SessionID // the one that broke
}

func (Gossiped) event()      {}
func (WorkerRefused) event() {}

func (l *Ledger) gossiped(Gossiped) {}

func (l *Ledger) workerRefused(WorkerRefused) {}
