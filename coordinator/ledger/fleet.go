package ledger

// Standing is what a worker is good for now.
type Standing uint8

// The states, with the numbers of the contract. Where several hold, the first
// of draining, cordoned, suspected and quarantined counts.
const (
	StandingNone        Standing = iota // no worker
	StandingReady                       // it takes leases
	StandingCordoned                    // it gets no new leases: an operator said so
	StandingDraining                    // it finishes what it runs, and leaves
	StandingQuarantined                 // it failed everything that it got
	StandingSuspected                   // session or gossip doubts that it lives
	StandingAway                        // it has no session; what it held waits for it
	StandingUnattached                  // gossip knows it, but it has never attached
)

// SessionOpinion is what the session says of a worker's life.
type SessionOpinion uint8

// The opinions, with the numbers of the contract.
const (
	SessionNone   SessionOpinion = iota // there was none
	SessionAlive                        // heard within the time of a lease
	SessionSilent                       // attached, and silent for longer
	SessionBroken                       // it broke
)

// WorkerView is how a worker is.
type WorkerView struct {
	Name        WorkerID
	Incarnation uint64
	State       Standing
	// Reason says more of the state, for people; empty where there is no more.
	Reason  string
	Session SessionOpinion
	Gossip  Opinion
	// Cordoned by an operator, whatever the state is.
	Cordoned bool
	Zone     string
	Slots    int
	Memory   int64
	// Running leases have started, or take a slot; Waiting ones do not.
	Running, Waiting int
	Labels           []Label
	Processors       []string
	// Attached is when the session began, Heard when it last said something;
	// 0 where it never did.
	Attached, Heard Time
	// Done and Failed count its attempts since it attached first.
	Done, Failed int64
}

// Workers returns how all workers are that are attached, were lately, are
// cordoned, or are known by gossip, by name.
func (l *Ledger) Workers(at Time) []WorkerView {
	return nil
}
