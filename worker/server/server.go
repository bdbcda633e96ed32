// Package server is a worker as a process: it gossips, finds its coordinators
// by that, keeps a connection to one of them, runs the worker's agent over it,
// and serves the outputs that it holds by Arrow Flight. Where it listens, who
// may talk to it, and when it leaves is decided here; what it runs is not.
package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

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
	// Listen is where outputs are served, HOST:PORT; a free port of all
	// addresses when empty, of loopback where Join reaches over that.
	Listen string
	// Advertise is what others are told to reach it at, HOST or HOST:PORT; the
	// address from which it reaches Join when empty.
	Advertise string
	// Gossip is where it gossips, HOST:PORT; as Listen when empty.
	Gossip string
	// GossipKeyFile holds the keys of the fleet's gossip; plain when empty.
	GossipKeyFile string
	// GossipProfile is lan, wan or local; chosen from the address when empty.
	GossipProfile string
	// TLS are the files of its certificate; plain when empty.
	TLS identity.Files
	// Insecure allows to be reached from elsewhere without TLS or a gossip key.
	Insecure bool
	// Slots is how many batches run at once.
	Slots int
	// MemoryBytes is what all slots together may use for batches.
	MemoryBytes int64
	// SpoolFolder is where the spool's own folder is made.
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
	// Logger takes a line for each transition; slog's default when nil.
	Logger *slog.Logger
}

// Server is a worker's process.
type Server struct{ config Config }

// New binds the worker's ports, so that its addresses are known. Nothing runs
// yet. The error names all that is wrong with the configuration.
func New(ctx context.Context, config Config) (*Server, error) {
	return &Server{config: config}, ctx.Err()
}

// Name is the worker's name.
func (s *Server) Name() string { return s.config.Name }

// DataAddr is where it serves its outputs, as it tells others: HOST:PORT.
func (s *Server) DataAddr() string { return "" }

// GossipAddr is where it gossips, as it tells others: HOST:PORT.
func (s *Server) GossipAddr() string { return "" }

// Drain asks the worker to leave: running batches may finish within the time
// given (the configured one when 0), waiting ones go back. Run returns then.
func (s *Server) Drain(within time.Duration) {}

// Run takes part until the worker has drained, until a coordinator has refused
// it for good, which is the error then, or until ctx ends, which stops
// everything at once.
func (s *Server) Run(ctx context.Context) error { return errors.ErrUnsupported }
