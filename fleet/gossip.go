// Package fleet lets coordinators and workers find each other by gossip, and
// keeps an opinion of who lives.
package fleet

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Config says who a member is, and how it gossips.
type Config struct {
	// Name is its name, unique among the living; 1 to 63 bytes.
	Name string
	// Incarnation is the number of its process: higher at every start.
	Incarnation uint64
	// Role is what it is.
	Role Role
	// Bind is where it listens for gossip, "host:port", UDP and TCP alike. Port 0
	// chooses one; an empty host is every address of the machine.
	Bind string
	// Advertise is where others reach it, "host:port", or "host" with the port
	// that is listened on. Chosen when empty: see AdvertisedHost.
	Advertise string
	// Join are members to begin with, each "host:port"; a name stands for all
	// addresses that it resolves to.
	Join []string
	// KeyFile holds the cluster's keys; without it, gossip is neither encrypted
	// nor authenticated.
	KeyFile string
	// Profile is "lan", "wan" or "local"; when empty "local" where the advertised
	// address is loopback, and "lan" elsewhere.
	Profile string
	// Addresses are where its gRPC server is reached, "host:port", the best in
	// front.
	Addresses []string
	// Slots is how many batches it runs at once; 0 for a coordinator.
	Slots int
	// Zone is where it is.
	Zone string
	// Version is the version of its program.
	Version string
	// Logger gets a line for each transition; slog's default when nil.
	Logger *slog.Logger
}

// Gossip is this process's membership in the fleet.
type Gossip struct{}

// Start binds, so that Addr is known. Nothing is joined before Run.
func Start(ctx context.Context, c Config) (*Gossip, error) {
	return nil, errors.New("fleet: not yet")
}

// Run joins, again and again, re-reads the keys when their file changes, and
// tells watchers of changes. It returns when ctx is done or after Leave, when
// all that was started has ended.
func (g *Gossip) Run(ctx context.Context) error { return errors.New("fleet: not yet") }

// Members are all others that gossip knows, by name and incarnation; the dead
// and the left for some time too.
func (g *Gossip) Members() []Member { return nil }

// Watch has f called for every change, one call at a time, and at once for all
// members that are known. f must not block, and must not call Watch.
func (g *Gossip) Watch(f func(Member)) {}

// Addr is where others reach this member's gossip, "host:port".
func (g *Gossip) Addr() string { return "" }

// Leave tells the others that this member leaves on purpose, waits until that
// was sent, but no longer than within, and ends Run.
func (g *Gossip) Leave(within time.Duration) error { return errors.New("fleet: not yet") }

// AdvertisedHost is the host at which others reach a server that listens on
// bind ("host:port"): that of advertise when given, else the address from which
// the first of join is reached, else bind's own, else a private address of this
// machine. No packet is sent.
func AdvertisedHost(ctx context.Context, advertise, bind string, join []string) (string, error) {
	return "", errors.New("fleet: not yet")
}

// NewKey is a fresh key of 32 bytes as a line for a key file.
func NewKey() string { return "" }
