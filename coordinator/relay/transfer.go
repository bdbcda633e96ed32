package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// ErrClosed is what a writer gets when its reader has gone.
var ErrClosed = errors.New("relay: the reader has gone")

// ErrSize is how a transfer fails whose bytes are not as many as the output's
// reference promised.
var ErrSize = errors.New("relay: not as many bytes as the output has")

// ErrIdle is how a transfer fails of which no byte comes while its reader waits.
var ErrIdle = errors.New("relay: nothing comes")

// Transfer is one output on its way. It has one writer and one reader, and
// anybody may Fail it.
type Transfer struct {
	ticket string
	size   int64 // what the output's reference promised
	hold   int64
	idle   time.Duration // how long its reader waits for nothing
	forget func()

	mu     sync.Mutex
	chunks [][]byte
	held   int64
	got    int64 // all that was ever written
	end    error // why nothing more comes; io.EOF when all is there
	begun  bool  // somebody brings its bytes

	data   chan struct{} // holds one token when the reader should look again
	room   chan struct{} // holds one token when the writer should look again
	failed chan struct{} // closed when others than the writer end it
}

func newTransfer(ticket string, size, hold int64, idle time.Duration) *Transfer {
	return &Transfer{
		ticket: ticket, size: size, hold: hold, idle: idle,
		data: make(chan struct{}, 1), room: make(chan struct{}, 1), failed: make(chan struct{}),
	}
}

// Ticket names the transfer to the worker. It can't be guessed.
func (t *Transfer) Ticket() string { return t.ticket }

func (t *Transfer) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begun = true
}

// Begun says whether somebody brings its bytes: then their upload ends it, one
// way or the other.
func (t *Transfer) Begun() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.begun
}

// Write adds bytes, which must not change afterwards. It waits until they fit,
// or until nothing else is held.
func (t *Transfer) Write(ctx context.Context, b []byte) error {
	for {
		switch done, err := t.offer(b); {
		case err != nil:
			return err
		case done:
			return nil
		}
		select {
		case <-t.room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// offer takes bytes when there is room for them.
func (t *Transfer) offer(b []byte) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.end != nil:
		return false, t.end
	case t.got+int64(len(b)) > t.size: // it might wait for ever for room
		t.finish(fmt.Errorf("%w: more than %d", ErrSize, t.size))
		return false, t.end
	case t.held > 0 && t.held+int64(len(b)) > t.hold:
		return false, nil
	case len(b) > 0:
		t.chunks = append(t.chunks, b)
		t.held += int64(len(b))
		t.got += int64(len(b))
		wake(t.data)
	}
	return true, nil
}

// Done says that all bytes were written. When they are not as many as the
// output's reference promised, the transfer has failed with ErrSize.
func (t *Transfer) Done() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.end != nil:
		return t.end
	case t.got != t.size:
		t.finish(fmt.Errorf("%w: %d of %d", ErrSize, t.got, t.size))
		return t.end
	}
	t.finish(io.EOF)
	return nil
}

// Abort is the writer's: it can't complete the transfer. One that has ended stays
// as it is.
func (t *Transfer) Abort(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.finish(err)
}

// Fail ends a transfer that is not wanted any more, or that nobody brings; one
// that has ended stays as it is.
func (t *Transfer) Fail(err error) {
	t.forget()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fail(err)
}

func (t *Transfer) fail(err error) {
	if t.end == nil {
		t.finish(err)
		close(t.failed)
	}
}

// finish ends the transfer, with the lock held.
func (t *Transfer) finish(err error) {
	if t.end == nil {
		t.end = err
	}
	wake(t.data)
	wake(t.room)
}

// Failed waits until somebody else than its writer has ended the transfer, and
// says why: for a writer that is stuck elsewhere.
func (t *Transfer) Failed(ctx context.Context) error {
	select {
	case <-t.failed:
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.end
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Whole waits until all bytes are held, or as many as may be.
func (t *Transfer) Whole(ctx context.Context) error {
	return t.await(ctx, func() (bool, error) {
		switch {
		case t.end != nil && t.end != io.EOF:
			return false, t.end
		case t.end == io.EOF:
			return true, nil
		}
		return t.size > t.hold && t.held > 0, nil
	})
}

// Read is the next bytes, io.EOF after the last. What was written before a
// failure is not lost, but nobody should want it.
func (t *Transfer) Read(ctx context.Context) ([]byte, error) {
	var b []byte
	err := t.await(ctx, func() (bool, error) {
		switch {
		case len(t.chunks) > 0:
			b, t.chunks[0] = t.chunks[0], nil
			t.chunks = t.chunks[1:]
			t.held -= int64(len(b))
			wake(t.room)
			return true, nil
		case t.end != nil:
			return false, t.end
		}
		return false, nil
	})
	return b, err
}

// await runs a check with the lock held, until it is content. Each time that it
// is not, more bytes must come before long.
func (t *Transfer) await(ctx context.Context, check func() (bool, error)) error {
	for {
		t.mu.Lock()
		done, err := check()
		t.mu.Unlock()
		if done || err != nil {
			return err
		}
		if err := t.more(ctx); err != nil {
			return err
		}
	}
}

// more waits for more bytes, or for the end.
func (t *Transfer) more(ctx context.Context) error {
	patience := time.NewTimer(t.idle)
	defer patience.Stop()
	select {
	case <-t.data:
	case <-patience.C:
		t.Fail(fmt.Errorf("%w for %s", ErrIdle, t.idle)) // which the next look finds
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// Close is the reader's last call, at any time.
func (t *Transfer) Close() {
	t.forget()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.chunks, t.held = nil, 0
	t.fail(ErrClosed)
}

// wake leaves a token, if there is none.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
