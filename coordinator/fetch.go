package coordinator

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/millrace/millrace/api"
	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/coordinator/relay"
)

// Outputs are fetched one by one, in order. A few are asked for ahead, so that
// many small ones do not cost a round trip each; together they hold no more
// than ResultWindow bytes here. An output of at most ResultBuffer bytes is held
// until all of it is there, so that when its worker is lost it can be made again
// without anybody noticing. A larger one passes through as it comes; when it is
// lost in the middle, the reading goes on if what is made again begins with the
// same bytes, which another attempt's output need not.

// resultData is how many bytes go in one message.
const resultData = 1 << 20

// idleAllowed is how often in a row nothing may come of an output: it is asked
// for again, and counts as lost the last time.
const idleAllowed = 2

// fetches are the outputs that were asked for on behalf of one reader, in
// order.
type fetches struct {
	c        *Coordinator
	job      ledger.JobID
	anew     string // what a reader is advised to do whose result broke off
	inflight []*askFor
	held     int64  // the bytes that they may hold
	idle     int    // how often in a row nothing came of the first
	prefix   prefix // of the first
}

// hold is how much of an output may be held.
func (f *fetches) hold(o ledger.Output) int64 {
	return min(o.Bytes, int64(f.c.config.ResultBuffer))
}

// room says whether another output may be asked for: one at the least.
func (f *fetches) room(o ledger.Output) bool {
	return len(f.inflight) == 0 ||
		len(f.inflight) < f.c.config.ResultAhead && f.held+f.hold(o) <= int64(f.c.config.ResultWindow)
}

// expect opens the transfer of an output, for which the owner must ask then.
func (f *fetches) expect(t told) *askFor {
	hold := f.hold(t.output)
	f.held += hold
	a := &askFor{told: t, job: f.job, transfer: f.c.relay.Expect(t.output.Bytes, hold)}
	f.inflight = append(f.inflight, a)
	return a
}

// done takes the first output for delivered.
func (f *fetches) done() *askFor {
	a := f.inflight[0]
	a.transfer.Close()
	f.inflight = f.inflight[1:]
	f.held -= f.hold(a.output)
	f.idle, f.prefix = 0, prefix{}
	return a
}

// abandon gives up all that was asked for, and returns it for the owner to
// forget.
func (f *fetches) abandon() []*askFor {
	given := f.inflight
	for _, a := range given {
		a.transfer.Close()
	}
	f.inflight, f.held = nil, 0
	return given
}

// brokenTransfer is a transfer that failed, as against a client that is gone.
type brokenTransfer struct{ why error }

// Error says why.
func (b *brokenTransfer) Error() string { return "the upload failed: " + b.why.Error() }

// Unwrap is the reason.
func (b *brokenTransfer) Unwrap() error { return b.why }

// passOn takes bytes of an output, at most a message at a time.
type passOn func(b []byte, begins bool) error

// first passes the bytes of the first output on, behind those that were before it
// was lost.
func (f *fetches) first(ctx context.Context, pass passOn) error {
	a := f.inflight[0]
	if err := a.transfer.Whole(ctx); err != nil {
		return transferError(ctx, err)
	}
	f.prefix.begin()
	for {
		b, err := a.transfer.Read(ctx)
		if errors.Is(err, io.EOF) {
			return f.end(a.output)
		}
		if err != nil {
			return transferError(ctx, err)
		}
		if err := f.forward(a.output, b, pass); err != nil {
			return err
		}
	}
}

// forward passes bytes of an output on, but for those that were before.
func (f *fetches) forward(o ledger.Output, b []byte, pass passOn) error {
	rest, same := f.prefix.skip(b)
	if !same {
		return f.differs(o)
	}
	for b := range slices.Chunk(rest, resultData) {
		if err := pass(b, f.prefix.passed == 0); err != nil {
			return err
		}
		f.prefix.pass(b)
	}
	return nil
}

// end ends an output: all that was passed on must have come again.
func (f *fetches) end(o ledger.Output) error {
	if f.prefix.seen < f.prefix.passed {
		return f.differs(o)
	}
	return nil
}

// over ends the reading behind the last output: all that was passed on must be of
// outputs that there are.
func (f *fetches) over() error {
	if f.prefix.passed > 0 {
		return api.Errorf(api.Conflict, "the result broke off: an output was lost when %d of its bytes had been delivered, and nothing was made in its place; %s",
			f.prefix.passed, f.anew)
	}
	return nil
}

func (f *fetches) differs(o ledger.Output) error {
	return api.Errorf(api.Conflict, "the result broke off: an output was lost when %d of its bytes had been delivered, and output %s of worker %s, which was made in its place, begins with others; %s",
		f.prefix.passed, o.ID, o.Worker, f.anew)
}

// judge says whether the first output counts as lost after its transfer failed:
// when its worker can't read it, or brings nothing though it is there. Of one that
// broke off on its way, only the ledger knows. The error ends the reading.
func (f *fetches) judge(why error) (lost bool, err error) {
	if !errors.Is(why, relay.ErrIdle) {
		return errors.As(why, new(*errUpload)) || errors.Is(why, relay.ErrSize), nil
	}
	f.idle++
	o := f.inflight[0].output
	f.c.config.Logger.Warn("a worker does not bring what a reader waits for", "job", f.c.names.name(f.job), "worker", string(o.Worker),
		"output", string(o.ID), "waited", f.c.config.UploadIdle, "times", f.idle)
	if f.idle > idleAllowed {
		return false, api.Errorf(api.Unavailable, "nothing came of output %s of worker %s, which was made again and waited for %d times for %s; see what is wrong with that worker, and try again",
			o.ID, o.Worker, f.idle, api.FormatDuration(f.c.config.UploadIdle))
	}
	return f.idle == idleAllowed, nil
}

func transferError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &brokenTransfer{why: err}
}
