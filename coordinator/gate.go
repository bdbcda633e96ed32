package coordinator

import (
	"context"
	"sync"
)

// gate counts what runs on behalf of calls, so that Run can wait for it, and
// lets nothing more in once it is closed.
type gate struct {
	mu     sync.Mutex
	closed bool
	inside sync.WaitGroup
}

// enter says whether a call may begin; each that may must leave.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.inside.Add(1)
	return true
}

func (g *gate) leave() { g.inside.Done() }

// close lets nobody in any more, and waits until nobody is inside.
func (g *gate) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.inside.Wait()
}

// host runs the parts of a stream's handler, each in a goroutine of its own,
// until the first of them returns or the stream, or the coordinator, ends. The
// handler must return then: with it ends whatever the parts still wait for.
func (c *Coordinator) host(stream context.Context, parts ...func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(stream)
	defer cancel(nil)
	defer context.AfterFunc(c.stopped, func() { cancel(errStopped) })()
	ended := make(chan error, len(parts))
	for _, part := range parts {
		if !c.calls.enter() {
			return errStopped
		}
		go func() {
			defer c.calls.leave()
			ended <- part(ctx)
		}()
	}
	select {
	case err := <-ended:
		return outward(err)
	case <-ctx.Done():
		return outward(context.Cause(ctx))
	}
}
