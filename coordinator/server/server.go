// Package server is a coordinator as a process: it listens for clients and
// workers, gossips so that workers find it, and tells who may call what by
// their certificates. Where it listens, who is let in, and how it stops is
// decided here; what a call means is not.
package server

import (
	"context"
	"errors"
	"log/slog"

	"github.com/millrace/millrace/coordinator"
)

// Config is what a coordinator's process is made with.
type Config struct {
	// Listen is where clients and workers reach it, HOST:PORT; a port of 0 is
	// chosen. HOST may be an IPv6 address in brackets, or empty for all
	// addresses.
	Listen string
	// Gossip is where it gossips, HOST:PORT; the host of Listen and a free port
	// when empty.
	Gossip string
	// Advertise is what others are told to reach it at, HOST or HOST:PORT
	// (Listen's own port then goes unsaid); found by itself when empty.
	Advertise string
	// GossipKeyFile holds the keys of the fleet's gossip; plain when empty.
	GossipKeyFile string
	// GossipProfile is lan, wan or local; chosen from the address when empty.
	GossipProfile string
	// Insecure allows to be reached from elsewhere without TLS or a gossip key.
	Insecure bool
	// Version is the program's.
	Version string
	// Coordinator has all settings of jobs and workers. Logger and Version are
	// taken from here when they are not set there.
	Coordinator coordinator.Config
	// Logger takes a line for each transition; slog's default when nil.
	Logger *slog.Logger
}

// Server is a coordinator's process.
type Server struct{ config Config }

// New binds the ports, so that the addresses are known, and tells everything
// that is wrong with the configuration. Nothing is served yet.
func New(config Config) (*Server, error) { return &Server{config: config}, nil }

// Addr is where clients and workers reach it, as it tells others: HOST:PORT.
func (s *Server) Addr() string { return "" }

// GossipAddr is where it gossips, as it tells others: HOST:PORT.
func (s *Server) GossipAddr() string { return "" }

// Run serves until the context ends, and returns when everything that it
// started has ended: streams that are open get UNAVAILABLE, and gossip hears
// that it left. It is called once.
func (s *Server) Run(ctx context.Context) error { return errors.ErrUnsupported }
