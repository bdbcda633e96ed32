package server

import (
	"cmp"
	"crypto/rand"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/millrace/millrace/fleet"
	"github.com/millrace/millrace/identity"
	"github.com/millrace/millrace/worker/processor/function"
)

// Config is what a worker's process is made with.
type Config struct {
	// Name is the worker's name, unique in the fleet, of 1 to 63 bytes; the
	// host's name and a few random letters when empty.
	Name string
	// Join has addresses of members of the fleet, each HOST:PORT; at least one.
	Join []string
	// Listen is where outputs are served, HOST:PORT; when empty a free port of the
	// address from which it reaches Join, or of Advertise where that is the
	// machine's own, or else of all addresses.
	Listen string
	// Advertise is what others are told to reach it at, HOST or HOST:PORT (where
	// outputs are served); the address from which it reaches Join when empty.
	Advertise string
	// Gossip is where it gossips, HOST:PORT; the host of Listen and a free port
	// when empty.
	Gossip string
	// GossipKeyFile holds the keys of the fleet's gossip; plain when empty.
	GossipKeyFile string
	// GossipProfile is lan, wan or local; chosen from the address when empty.
	GossipProfile string
	// TLS are the files of its certificate; plain when empty.
	TLS identity.Files
	// Insecure allows to be reached from elsewhere without TLS or a gossip key.
	Insecure bool
	// Slots is how many batches run at once; as many as there are cores when 0.
	Slots int
	// MemoryBytes is what all slots together may use for batches.
	MemoryBytes int64
	// SpoolFolder is where the spool's own folder is made. What dead workers left
	// there is removed.
	SpoolFolder string
	// SpoolBytes bounds the spool; agent.DefaultSpoolBytes when 0.
	SpoolBytes int64
	// DataRoots are the folders whose files it reads and writes for jobs.
	DataRoots []string
	// AllowCommands are the programs that jobs may run, as they write them;
	// "*" allows all.
	AllowCommands []string
	// Labels say which jobs it may run.
	Labels map[string]string
	// Zone says where it is, for people and for the choice among equals.
	Zone string
	// Version is its program's.
	Version string
	// DrainWithin is how long a drain that names no time waits for running
	// batches; session.DefaultDrain when 0.
	DrainWithin time.Duration
	// Functions are the binary's own; none when nil.
	Functions *function.Registry
	// Resolve finds the addresses of the hosts in Join; the system's resolver when
	// nil.
	Resolve fleet.Resolver
	// Logger takes a line for each transition; slog's default when nil.
	Logger *slog.Logger
}

// withDefaults fills in what was left out, but for addresses.
func (c Config) withDefaults() Config {
	c.Name = cmp.Or(c.Name, inventedName())
	c.Slots = cmp.Or(c.Slots, runtime.GOMAXPROCS(0))
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// inventedName is the host's name and a few letters, so that many workers of one
// machine have names without anybody thinking of them.
func inventedName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	host, _, _ = strings.Cut(host, ".")
	host = strings.ToValidUTF8(host[:min(len(host), 40)], "")
	return host + "-" + strings.ToLower(rand.Text()[:5])
}
