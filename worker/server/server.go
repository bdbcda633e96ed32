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
	"google.golang.org/grpc/credentials/insecure"

	"github.com/millrace/millrace/api"
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
	addrs       []string         // where outputs are served, as others are told
	listener    net.Listener
	data        *grpc.Server
	roots       *roots.Roots
	pool        *dataplane.Pool
	bosses      *coordinators
	agent       *agent.Agent
	gossip      *fleet.Gossip
}

// New binds the worker's ports, so that its addresses are known. Nothing runs
// yet. An error of the code api.Invalid names all that is wrong with the
// configuration.
func New(ctx context.Context, config Config) (*Server, error) {
	config = config.withDefaults()
	s := &Server{incarnation: uint64(time.Now().UnixNano())}
	err := config.check()
	if err == nil {
		config, err = config.place(ctx)
	}
	s.config = config
	if err := errors.Join(err, s.open()); err != nil {
		return nil, errors.Join(api.Errorf(api.Invalid, "%v", err), s.release())
	}
	if err := s.bind(ctx); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

// open opens what the configuration names: data roots and certificates.
func (s *Server) open() (err error) {
	var faults []error
	if s.roots, err = roots.Open(s.config.DataRoots); err != nil {
		faults = append(faults, err)
	}
	if s.config.TLS.Set() {
		if s.keeper, err = identity.Open(s.config.TLS); err != nil {
			faults = append(faults, err)
		} else {
			s.keeper.LogTo(s.config.Logger)
		}
	}
	return errors.Join(faults...)
}

// bind takes the ports, and makes what is reached there.
func (s *Server) bind(ctx context.Context) (err error) {
	if s.listener, err = net.Listen("tcp", s.config.Listen); err != nil {
		return fmt.Errorf("listen for those who fetch outputs: %w", err)
	}
	if s.addrs, err = fleet.AdvertisedAddresses(ctx, s.config.Advertise, s.listener.Addr().String(), s.config.Join); err != nil {
		return err
	}
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
		Bind: c.Gossip, Advertise: fleet.HostOf(c.Advertise), Join: c.Join, KeyFile: c.GossipKeyFile, Profile: c.GossipProfile,
		Addresses: s.addrs, Slots: c.Slots, Zone: c.Zone, Version: c.Version, Resolve: c.Resolve, Logger: c.Logger,
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
		Labels: c.Labels, Zone: c.Zone, Version: c.Version, Incarnation: s.incarnation, DataAddresses: s.addrs,
		Roots: s.roots, AllowCommands: c.AllowCommands, Functions: c.Functions, Fetch: s.pool,
		Conn: s.bosses, Renew: s.bosses.renew, Attached: s.bosses.attached, DrainWithin: c.DrainWithin, Logger: c.Logger,
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
		return insecure.NewCredentials()
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

// DataAddr is where it serves its outputs, as it tells others: HOST:PORT, the
// best if there are several.
func (s *Server) DataAddr() string { return s.addrs[0] }

// GossipAddr is where it gossips, as it tells others: HOST:PORT.
func (s *Server) GossipAddr() string { return s.gossip.Addr() }

// Drain asks the worker to leave: running batches may finish within the time
// given (the configured one when 0), waiting ones go back. Run returns then.
func (s *Server) Drain(within time.Duration) { s.agent.Drain(within) }
