// Package relay carries outputs through the coordinator: one side writes what
// a worker uploads, the other reads it for a client, and a bounded buffer
// between them slows the worker down to the client's pace. What is decided
// here is only how much is held, and how long a reader waits for nothing; who
// asks for which output, and what a failed transfer means, is not.
package relay

import (
	"crypto/rand"
	"errors"
	"sync"
	"time"
)

// ErrUnknown is what an upload with a ticket that was never given out, was
// used already, or was given up, gets.
var ErrUnknown = errors.New("relay: no such ticket: it was never given out, was used before, or is no longer wanted")

// Relay knows the transfers that wait for their upload. Any number of
// goroutines may use it.
type Relay struct {
	idle time.Duration

	mu      sync.Mutex
	waiting map[string]*Transfer
}

// New makes a relay without transfers, whose readers wait so long for the next
// byte before their transfer has failed with ErrIdle.
func New(idle time.Duration) *Relay {
	return &Relay{idle: idle, waiting: make(map[string]*Transfer)}
}

// Expect opens a transfer of an output of so many bytes, of which at most
// `hold` are held at one time. Its reader must Close it.
func (r *Relay) Expect(size, hold int64) *Transfer {
	t := newTransfer(rand.Text(), size, hold, r.idle)
	t.forget = func() { r.take(t.ticket) }
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting[t.ticket] = t
	return t
}

// Upload gives the transfer with a ticket to the one who brings its bytes,
// once.
func (r *Relay) Upload(ticket string) (*Transfer, error) {
	if t := r.take(ticket); t != nil {
		t.begin()
		return t, nil
	}
	return nil, ErrUnknown
}

func (r *Relay) take(ticket string) *Transfer {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.waiting[ticket]
	delete(r.waiting, ticket)
	return t
}

// Waiting is how many transfers wait for their upload.
func (r *Relay) Waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting)
}
