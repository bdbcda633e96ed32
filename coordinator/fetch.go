package coordinator

import (
	"context"
	"errors"
	"io"

	"github.com/millrace/millrace/api"
	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/coordinator/relay"
)

// Outputs are fetched one by one, in order. A few are asked for ahead, so that
// many small ones do not cost a round trip each; together they hold no more
// than ResultWindow bytes here. An output of at most ResultBuffer bytes is held
// until all of it is there, so that when its worker is lost it can be made again
// without anybody noticing. A larger one passes through as it comes.

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
	inflight []*askFor
	held     int64 // the bytes that they may hold
	idle     int   // how often in a row nothing came of the first
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
	f.idle = 0
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

// first passes the bytes of the first output on, and says how many that were.
func (f *fetches) first(ctx context.Context, pass func(b []byte, begins bool) error) (int64, error) {
	t := f.inflight[0].transfer
	if err := t.Whole(ctx); err != nil {
		return 0, transferError(ctx, err)
	}
	var sent int64
	for {
		b, err := t.Read(ctx)
		if errors.Is(err, io.EOF) {
			return sent, nil
		}
		if err != nil {
			return sent, transferError(ctx, err)
		}
		for len(b) > 0 {
			n := min(len(b), resultData)
			if err := pass(b[:n], sent == 0); err != nil {
				return sent, err
			}
			sent, b = sent+int64(n), b[n:]
		}
	}
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
