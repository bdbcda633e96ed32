package fleet

import "fmt"

// Role is what a member is in the fleet.
type Role string

// The roles.
const (
	// Coordinator owns a ledger, and serves clients and workers.
	Coordinator Role = "coordinator"
	// Worker runs batches, and serves its outputs.
	Worker Role = "worker"
)

// Opinion is what gossip holds of a member's life.
type Opinion uint8

// The opinions.
const (
	// Unknown is a member that gossip does not know, or has forgotten some time
	// after its end.
	Unknown Opinion = iota
	// Alive answers.
	Alive
	// Suspect did not answer somebody, and may yet.
	Suspect
	// Dead did not answer anybody in the time that it had.
	Dead
	// Left said that it leaves.
	Left
)

// String is the opinion's name.
func (o Opinion) String() string {
	names := [...]string{Unknown: "unknown", Alive: "alive", Suspect: "suspect", Dead: "dead", Left: "left"}
	if int(o) < len(names) {
		return names[o]
	}
	return fmt.Sprintf("Opinion(%d)", o)
}

// Member is one process in the fleet, as gossip knows it. A program that was
// started again is another member of the same name, with a higher incarnation.
type Member struct {
	// Name is the operator's name for it.
	Name string
	// Incarnation is the number of its process; it rises with every start.
	Incarnation uint64
	// Role is what it is.
	Role Role
	// Addresses are where its gRPC server is reached, "host:port", the best in
	// front.
	Addresses []string
	// Gossip is where it gossips, "host:port".
	Gossip string
	// Slots is how many batches it runs at once; 0 for a coordinator.
	Slots int
	// Zone is where it is, for people and for choices among equals.
	Zone string
	// Version is the version of its program.
	Version string
	// Opinion is what gossip holds of its life.
	Opinion Opinion
}
