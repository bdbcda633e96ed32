package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"google.golang.org/grpc"
)

// Stopping, and complaining.
const (
	// stopWithin is how long those who fetch an output may take when the worker
	// ends.
	stopWithin = 2 * time.Second
	// leaveWithin is how long gossip may take to hear that it left.
	leaveWithin = time.Second
	// lonelyAfter is how often a worker says that it finds no coordinator.
	lonelyAfter = 10 * time.Second
)

// errLeft is the cause of what Run stops when the agent has ended.
var errLeft = errors.New("the worker has left")

// Run takes part until the worker has drained, until a coordinator has refused
// it for good, which is the error then, or until ctx ends, which stops
// everything at once, and whose cause is the error then. It is called once.
func (s *Server) Run(parent context.Context) error {
	defer runtime.KeepAlive(s.config.ballast())
	ctx, stop := context.WithCancelCause(parent)
	defer stop(nil)
	helping, stopHelping := context.WithCancel(context.WithoutCancel(ctx))
	defer stopHelping()
	helpers := []struct {
		name string
		run  func() error
	}{
		{"gossip", func() error { return s.gossip.Run(helping) }},
		{"data", func() error { return s.data.Serve(s.listener) }},
		{"lookout", func() error { return s.lookOut(helping) }},
	}
	ended := make(chan error, len(helpers))
	for _, h := range helpers {
		go func() {
			err := h.run()
			stop(fmt.Errorf("%s has ended: %w", h.name, cmp.Or(err, errLeft)))
			ended <- err
		}()
	}
	s.gossip.Watch(s.bosses.observe)
	s.config.Logger.Info("worker starts", "worker", s.config.Name, "incarnation", s.incarnation, "data", s.addrs, "gossip", s.GossipAddr(),
		"slots", s.config.Slots, "tls", s.keeper != nil, "version", s.config.Version)
	s.config.warnExposed()
	err := s.agent.Run(ctx)
	faults := []error{besidesStop(err)}
	if errors.Is(err, context.Canceled) {
		faults = append(faults, context.Cause(parent)) // nil when a helper ended, which says why
	}
	s.config.Logger.Info("worker stops", "worker", s.config.Name, "cause", cmp.Or(errors.Join(faults...), errLeft))
	if err := s.gossip.Leave(leaveWithin); err != nil { // they will miss it
		s.config.Logger.Info("gossip did not hear that the worker leaves", "worker", s.config.Name, "error", err)
	}
	stopHelping()
	s.stopData()
	for range helpers {
		faults = append(faults, besidesStop(<-ended))
	}
	s.bosses.close()
	s.pool.Close()
	return errors.Join(append(faults, s.roots.Close())...)
}

// stopData lets those who fetch an output have it, for some time.
func (s *Server) stopData() {
	hard := time.AfterFunc(stopWithin, s.data.Stop)
	defer hard.Stop()
	s.data.GracefulStop()
}

// lookOut says now and then that there is no coordinator.
func (s *Server) lookOut(ctx context.Context) error {
	ticker := time.NewTicker(lonelyAfter)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if len(s.bosses.known()) == 0 {
			s.config.Logger.Warn("no coordinator found yet; the worker keeps looking", "worker", s.config.Name, "join", s.config.Join,
				"members", len(s.gossip.Members()), "gossip", s.GossipAddr())
		}
	}
}

// besidesStop is what there is in an error but that somebody was told to stop.
func besidesStop(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var left []error
		for _, e := range joined.Unwrap() {
			left = append(left, besidesStop(e))
		}
		return errors.Join(left...)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}
