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

// errStopping is the cause of what Run stops.
var errStopping = errors.New("the coordinator is stopping")

// Run serves until the context ends, and returns when everything that it
// started has ended: streams that are open get UNAVAILABLE, and gossip hears
// that it left. It is called once.
func (s *Server) Run(ctx context.Context) error {
	defer runtime.KeepAlive(ballast())
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	members := newMembers(s.config.Logger, s.addr, s.boss.Observe)
	parts := []struct {
		name string
		run  func() error
	}{
		{"coordinator", func() error { return s.boss.Run(serving) }},
		{"server", func() error { return s.grpc.Serve(s.listener) }},
		{"gossip", func() error { return s.gossip.Run(serving) }},
		{"members", func() error { return members.run(serving) }},
	}
	ended := make(chan error, len(parts))
	for _, part := range parts {
		go func() {
			err := part.run()
			cancel(fmt.Errorf("%s has ended: %w", part.name, cmp.Or(err, errStopping)))
			ended <- err
		}()
	}
	s.gossip.Watch(members.tell)
	s.config.warnExposed()
	s.config.Logger.Info("coordinator serves", "listen", s.addr, "gossip", s.GossipAddr(), "tls", s.config.TLS.Set(), "version", s.config.Version)
	<-ctx.Done()
	faults := []error{s.gossip.Leave(leaveWithin)}
	stopServing() // ends the streams, so that the rest can end by itself
	s.stopGRPC()
	for range parts {
		faults = append(faults, besidesStop(<-ended))
	}
	s.config.Logger.Info("coordinator stopped", "cause", context.Cause(ctx))
	return errors.Join(faults...)
}

// stopGRPC lets calls that are under way finish, for some time.
func (s *Server) stopGRPC() {
	hard := time.AfterFunc(stopWithin, s.grpc.Stop)
	defer hard.Stop()
	s.grpc.GracefulStop()
}

// besidesStop is an error, unless it only says that somebody was told to stop.
func besidesStop(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}
