// Package server is a worker as a process: it gossips, finds its coordinators
// by that, keeps a connection to one of them, runs the worker's agent over it,
// and serves the outputs that it holds by Arrow Flight. Where it listens, who
// may talk to it, and when it leaves is decided here; what it runs is not.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/millrace/millrace/api/dataplane"
	"github.com/millrace/millrace/fleet"
	"github.com/millrace/millrace/identity"
	"github.com/millrace/millrace/worker/agent"
	"github.com/millrace/millrace/worker/flight"
	"github.com/millrace/millrace/worker/roots"
)

// Server is a worker's process.
type Server struct {
	config      Config
	incarnation uint64
	keeper      *identity.Keeper // nil without TLS
	addr        string           // where outputs are served, as others are told
	listener    net.Listener
	data        *grpc.Server
	roots       *roots.Roots
	pool        *dataplane.Pool
	bosses      *coordinators
	agent       *agent.Agent
	gossip      *fleet.Gossip
}

// New binds the worker's ports, so that its addresses are known. Nothing runs
// yet. The error names all that is wrong with the configuration.
func New(ctx context.Context, config Config) (*Server, error) {
	config, err := config.withDefaults(ctx)
	if err != nil {
		return nil, err
	}
	s := &Server{config: config, incarnation: uint64(time.Now().UnixNano())}
	faults := []error{config.check()}
	if s.roots, err = roots.Open(config.DataRoots); err != nil {
		faults = append(faults, err)
	}
	if config.TLS.Set() {
		if s.keeper, err = identity.Open(config.TLS); err != nil {
			faults = append(faults, err)
		} else {
			s.keeper.LogTo(config.Logger)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, errors.Join(err, s.roots.Close())
	}
	if err := s.bind(ctx); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

// bind takes the ports, and makes what is reached there.
func (s *Server) bind(ctx context.Context) (err error) {
	if s.listener, err = net.Listen("tcp", s.config.Listen); err != nil {
		return fmt.Errorf("listen for those who fetch outputs: %w", err)
	}
	host, err := fleet.AdvertisedHost(ctx, s.config.Advertise, s.listener.Addr().String(), s.config.Join)
	if err != nil {
		return fmt.Errorf("find the address that others reach: %w", err)
	}
	s.addr = advertised(s.config.Advertise, host, s.listener.Addr().String())
	if err := s.join(ctx); err != nil {
		return err
	}
	return s.hire()
}

// join makes it a member of the fleet.
func (s *Server) join(ctx context.Context) (err error) {
	c := &s.config
	s.gossip, err = fleet.Start(ctx, fleet.Config{
		Name: c.Name, Incarnation: s.incarnation, Role: fleet.Worker,
		Bind: c.Gossip, Advertise: hostOf(c.Advertise), Join: c.Join, KeyFile: c.GossipKeyFile, Profile: c.GossipProfile,
		Addresses: []string{s.addr}, Slots: c.Slots, Zone: c.Zone, Version: c.Version, Resolve: c.Resolve, Logger: c.Logger,
	})
	return err
}

// hire makes the agent, with the ways to its coordinator and to other workers,
// and what serves its outputs.
func (s *Server) hire() (err error) {
	c := &s.config
	s.bosses = newCoordinators(s.credentials(identity.Coordinator), c.Logger)
	s.pool = s.newPool()
	s.agent, err = agent.New(agent.Config{
		Name: c.Name, Slots: c.Slots, MemoryBytes: c.MemoryBytes, SpoolFolder: c.SpoolFolder, SpoolBytes: c.SpoolBytes,
		Labels: c.Labels, Zone: c.Zone, Version: c.Version, Incarnation: s.incarnation, DataAddresses: []string{s.addr},
		Roots: s.roots, AllowCommands: c.AllowCommands, Functions: c.Functions, Fetch: s.pool,
		Conn: s.bosses, Renew: s.bosses.renew, DrainWithin: c.DrainWithin, Logger: c.Logger,
	})
	if err != nil {
		return err
	}
	s.data = grpc.NewServer(append(flight.ServerOptions(), s.guards()...)...)
	flight.New(s.agent.Spool(), flight.Options{Logger: c.Logger}).Register(s.data)
	return nil
}

// release gives back what New had taken when it failed.
func (s *Server) release() error {
	faults := []error{s.roots.Close()}
	if s.listener != nil {
		faults = append(faults, s.listener.Close())
	}
	if s.gossip != nil {
		faults = append(faults, s.gossip.Leave(0))
	}
	return errors.Join(faults...)
}

// credentials are how it shows itself to servers of a role, and knows them.
func (s *Server) credentials(role identity.Role) credentials.TransportCredentials {
	if s.keeper == nil {
		return plain()
	}
	return s.keeper.ClientCredentials(role)
}

func (s *Server) newPool() *dataplane.Pool {
	if s.keeper == nil {
		return dataplane.NewPool(nil)
	}
	return dataplane.NewPool(s.keeper.Client(identity.Worker))
}

// Name is the worker's name.
func (s *Server) Name() string { return s.config.Name }

// DataAddr is where it serves its outputs, as it tells others: HOST:PORT.
func (s *Server) DataAddr() string { return s.addr }

// GossipAddr is where it gossips, as it tells others: HOST:PORT.
func (s *Server) GossipAddr() string { return s.gossip.Addr() }

// Drain asks the worker to leave: running batches may finish within the time
// given (the configured one when 0), waiting ones go back. Run returns then.
func (s *Server) Drain(within time.Duration) { s.agent.Drain(within) }

// advertised is the address that others are told: the host that they reach, and
// the port that they were told, or that is listened on.
func advertised(advertise, host, listen string) string {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		panic("server: a listener without a port: " + listen)
	}
	if _, told, err := net.SplitHostPort(advertise); err == nil && told != "0" && told != "" {
		port = told
	}
	return net.JoinHostPort(host, port)
}

// hostOf is the host of HOST or HOST:PORT.
func hostOf(advertise string) string {
	if host, _, err := net.SplitHostPort(advertise); err == nil {
		return host
	}
	return advertise
}
