// Package server is a coordinator as a process: it listens for clients and
// workers, gossips so that workers find it, and tells who may call what by
// their certificates. Where it listens, who is let in, and how it stops is
// decided here; what a call means is not.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"

	"github.com/millrace/millrace/coordinator"
	"github.com/millrace/millrace/fleet"
	"github.com/millrace/millrace/identity"
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
	// TLS has its certificate, its key and the CA of the cluster; without them
	// everybody who reaches it may everything.
	TLS identity.Files
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
type Server struct {
	config   Config
	addr     string // as others are told; the best one
	listener net.Listener
	grpc     *grpc.Server
	boss     *coordinator.Coordinator
	gossip   *fleet.Gossip
}

// Stopping.
const (
	// stopWithin is how long calls that are under way may take when the server
	// stops; streams of the coordinator end at once.
	stopWithin = 2 * time.Second
	// leaveWithin is how long gossip may take to hear that it left.
	leaveWithin = time.Second
)

// New binds the ports, so that the addresses are known, and tells everything
// that is wrong with the configuration. Nothing is served yet.
func New(config Config) (*Server, error) {
	config = config.withDefaults()
	if err := config.check(); err != nil {
		return nil, err
	}
	boss, coordinatorErr := coordinator.New(config.Coordinator)
	secured, tlsErr := config.secure()
	if err := errors.Join(coordinatorErr, tlsErr); err != nil {
		return nil, err
	}
	s := &Server{config: config, boss: boss}
	s.grpc = grpc.NewServer(append(append(boss.ServerOptions(), guards()...), secured...)...)
	boss.Register(s.grpc)
	if err := s.bind(); err != nil {
		return nil, err
	}
	return s, nil
}

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Coordinator.Logger == nil {
		c.Coordinator.Logger = c.Logger
	}
	if c.Coordinator.Version == "" {
		c.Coordinator.Version = c.Version
	}
	if host, _, err := net.SplitHostPort(c.Listen); err == nil && c.Gossip == "" {
		c.Gossip = net.JoinHostPort(host, "0")
	}
	return c
}

// check tells what of the addresses is wrong, or open to strangers.
func (c Config) check() error {
	if err := errors.Join(checkAddress("Listen (--listen)", c.Listen), checkAddress("Gossip (--gossip)", c.Gossip)); err != nil {
		return err
	}
	return identity.CheckExposure(identity.Coordinator, c.TLS.Set(), c.GossipKeyFile != "", c.Insecure, c.Listen, c.Gossip)
}

// warnExposed logs what is open to strangers, as it was said to be meant.
func (c Config) warnExposed() {
	if open := identity.Exposure(identity.Coordinator, c.TLS.Set(), c.GossipKeyFile != "", c.Listen, c.Gossip); open != "" {
		c.Logger.Warn(open + ", as --insecure says")
	}
}

func checkAddress(name, address string) error {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return fmt.Errorf("coordinator: %s is %q; it must be HOST:PORT, an IPv6 address in brackets", name, address)
	}
	return nil
}

// secure is how connections are secured.
func (c Config) secure() ([]grpc.ServerOption, error) {
	if !c.TLS.Set() {
		return nil, nil
	}
	keeper, err := identity.Open(c.TLS)
	if err != nil {
		return nil, err
	}
	if err := keeper.Require(identity.Coordinator); err != nil {
		return nil, err
	}
	keeper.LogTo(c.Logger)
	return []grpc.ServerOption{grpc.Creds(keeper.ServerCredentials())}, nil
}

// bind takes the ports.
func (s *Server) bind() error {
	listener, err := net.Listen("tcp", s.config.Listen)
	if err != nil {
		return fmt.Errorf("listen for clients and workers: %w", err)
	}
	if err := s.join(listener.Addr().String()); err != nil {
		return errors.Join(err, listener.Close())
	}
	s.listener = listener
	return nil
}

// join makes it a member of the fleet that is reached where it listens.
func (s *Server) join(listen string) error {
	ctx := context.Background()
	addresses, err := fleet.AdvertisedAddresses(ctx, s.config.Advertise, listen, nil)
	if err != nil {
		return err
	}
	s.addr = addresses[0]
	s.gossip, err = fleet.Start(ctx, fleet.Config{
		Name: memberName(s.addr), Incarnation: uint64(time.Now().UnixNano()), Role: fleet.Coordinator,
		Bind: s.config.Gossip, Advertise: fleet.HostOf(s.config.Advertise), KeyFile: s.config.GossipKeyFile, Profile: s.config.GossipProfile,
		Addresses: addresses, Version: s.config.Version, Logger: s.config.Logger,
	})
	if err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	return nil
}

// memberName is the name of the coordinator that is reached at an address.
func memberName(addr string) string {
	name := "coordinator-" + addr
	return name[:min(len(name), fleet.MaxName)]
}

// Addr is where clients and workers reach it, as it tells others: HOST:PORT.
func (s *Server) Addr() string { return s.addr }

// GossipAddr is where it gossips, as it tells others: HOST:PORT.
func (s *Server) GossipAddr() string { return s.gossip.Addr() }
