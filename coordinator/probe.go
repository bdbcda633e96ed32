package coordinator

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
)

// A worker whose session broke may be dead, or cut off for a moment. When where
// it served its outputs then refuses connections, no process listens there any
// more: that is a second witness of its death. Silence is none.

// Probing.
const (
	// firstProbe is how soon an address that still answers is tried again: a
	// process that is dying closes one of its sockets after the other. The time
	// doubles from try to try.
	firstProbe = 50 * time.Millisecond
	// maxProbes is how many workers are probed at one time.
	maxProbes = 64
)

// probe looks whether a worker whose session broke refuses connections, for the
// time of a lease at most: after that nothing depends on it any more.
func (o *owner) probe(s *session) {
	if len(s.said.addresses) == 0 || !o.c.calls.enter() {
		return
	}
	k := o.fleet.of(s.worker)
	k.stopProbe()
	ctx, cancel := context.WithTimeout(o.c.stopped, o.c.config.Lease)
	k.probe = cancel
	go func() {
		defer o.c.calls.leave()
		defer cancel()
		if o.c.refused(ctx, s.said.addresses) {
			o.c.later(func(o *owner) { o.workerRefused(s) })
		}
	}()
}

// refused tries addresses again and again until they refuse, or the context
// ends.
func (c *Coordinator) refused(ctx context.Context, addresses []string) bool {
	for pause := firstProbe; ; pause *= 2 {
		select {
		case c.probes <- struct{}{}:
		case <-ctx.Done():
			return false
		}
		refused := refuse(ctx, c.dial, c.config.ProbeTimeout, addresses)
		<-c.probes
		if refused {
			return true
		}
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return false
		}
	}
}

// dialer opens a connection.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// refuse says whether none of the addresses takes a connection, and one at the
// least refuses it.
func refuse(ctx context.Context, dial dialer, timeout time.Duration, addresses []string) bool {
	refused := false
	for _, address := range addresses {
		once, cancel := context.WithTimeout(ctx, timeout)
		conn, err := dial(once, "tcp", address)
		cancel()
		if err == nil {
			conn.Close()
			return false
		}
		refused = refused || errors.Is(err, syscall.ECONNREFUSED)
	}
	return refused && ctx.Err() == nil
}

// workerRefused brings the ledger the second witness.
func (o *owner) workerRefused(s *session) {
	o.logger.Warn("worker refuses connections", "worker", string(s.worker), "session", uint64(s.number), "addresses", s.said.addresses)
	o.step(ledger.WorkerRefused{Worker: s.worker, Session: s.number})
}
