// Package outbox gathers what the coordinator has to say to one worker while
// the message before is being written, so that a lone order leaves at once and
// a flood leaves in few messages. What is decided here is the size of messages
// and how much may wait; what is said is not.
package outbox

import (
	"context"
	"errors"
	"sync"

	pb "github.com/millrace/millrace/api/millracev1"
)

// ErrSlow is what ends the session of a worker that does not read.
var ErrSlow = errors.New("outbox: the worker reads more slowly than orders arise")

// MessageBytes is about how large a message may grow before the rest goes into
// the next one, so that an answer to a heartbeat never waits behind much.
const MessageBytes = 256 << 10

// Box gathers for one session. One goroutine takes; any may put.
type Box struct {
	limit int

	mu      sync.Mutex
	waiting *pb.SessionResponse
	slow    bool // for good

	signal chan struct{} // holds one token when the taker should look again
}

// New makes an empty box. While more than limit items wait, nothing may be
// put; one message may go beyond that, since it may have come in one go.
func New(limit int) *Box {
	return &Box{limit: limit, signal: make(chan struct{}, 1)}
}

// Put adds what is in a message, which is the box's afterwards.
func (b *Box) Put(m *pb.SessionResponse) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wake()
	if b.slow = b.slow || count(b.waiting) > b.limit; b.slow {
		return ErrSlow
	}
	b.waiting = join(b.waiting, m)
	return nil
}

func (b *Box) wake() {
	select {
	case b.signal <- struct{}{}:
	default:
	}
}

// Take is the next message, once there is one.
func (b *Box) Take(ctx context.Context) (*pb.SessionResponse, error) {
	for {
		m, err := b.take()
		if m != nil || err != nil {
			return m, err
		}
		select {
		case <-b.signal:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (b *Box) take() (*pb.SessionResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.slow {
		return nil, ErrSlow
	}
	var m *pb.SessionResponse
	m, b.waiting = split(b.waiting, MessageBytes)
	return m, nil
}
