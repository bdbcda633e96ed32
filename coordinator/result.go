package coordinator

import (
	"context"
	"errors"
	"slices"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/coordinator/wire"
)

// A result that is not kept is delivered as it becomes known, and goes as it is
// delivered. When an output is lost before all of it was passed on, it is made
// again.

// restartsAllowed is how often in a row the reading may start again without
// having delivered anything, before it is given up.
const restartsAllowed = 20

// errUpload is a transfer that its worker could not complete.
type errUpload struct{ failure *pb.Failure }

// Error is what the worker said.
func (e *errUpload) Error() string { return e.failure.GetMessage() }

// resultStream is the stream to a client that reads a result.
type resultStream interface {
	Send(*pb.ReadResultResponse) error
}

// delivery is the reading of one result by one client.
type delivery struct {
	fetches
	feed   *feed
	stream resultStream

	recent   []ledger.OutputID // delivered last: as many as the ledger may not know of
	consumed []*askFor         // delivered, and the ledger does not know yet
	restarts int               // in a row
}

// deliver streams a job's result to its client.
func (c *Coordinator) deliver(ctx context.Context, id ledger.JobID, stream resultStream) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d := &delivery{fetches: fetches{c: c, job: id, anew: "submit the job again"}, feed: newFeed(id, cancel), stream: stream}
	defer c.later(func(o *owner) { o.closeResult(d.feed) })
	_, err := ask(ctx, c, func(o *owner, answer func(struct{}, error)) { answer(struct{}{}, o.openResult(d.feed)) })
	if err != nil {
		return err
	}
	header, err := d.feed.headed(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(&pb.ReadResultResponse{Header: header}); err != nil {
		return err
	}
	defer d.abandon()
	return d.run(ctx)
}

func (d *delivery) run(ctx context.Context) error {
	if err := d.request(ctx); err != nil {
		return err
	}
	for {
		if err := d.askAhead(ctx); err != nil {
			return err
		}
		if len(d.inflight) == 0 {
			if d.feed.over() {
				return d.over()
			}
			if err := d.feed.wait(ctx); err != nil {
				return err
			}
			continue
		}
		if err := d.first(ctx); err != nil {
			return err
		}
	}
}

// request has the ledger tell the outputs, from the first that was not
// consumed.
func (d *delivery) request(ctx context.Context) error {
	return d.c.post(ctx, func(o *owner) {
		d.feed.add(nil, false, true)
		o.step(ledger.ResultRequested{Job: d.feed.job})
	})
}

// askAhead asks for as many outputs as may be held, for one at the least, and
// tells the ledger what was delivered meanwhile.
func (d *delivery) askAhead(ctx context.Context) error {
	var asked []*askFor
	for len(d.inflight) < d.c.config.ResultAhead {
		t, ok, restarted := d.feed.next()
		if restarted {
			d.abandon()
			asked = nil
			continue
		}
		if !ok {
			break
		}
		if slices.Contains(d.recent, t.output.ID) {
			continue // told again before the ledger heard of its delivery
		}
		if !d.room(t.output) {
			d.feed.putBack(t)
			break
		}
		asked = append(asked, d.expect(t))
	}
	return d.tell(ctx, asked)
}

// tell brings the owner what was asked for and what was delivered.
func (d *delivery) tell(ctx context.Context, asked []*askFor) error {
	consumed := d.consumed
	if len(asked) == 0 && len(consumed) == 0 {
		return nil
	}
	d.consumed = nil
	return d.c.post(ctx, func(o *owner) {
		o.consumed(d.feed, consumed)
		for _, a := range asked {
			o.ask(d.feed.current(), a)
		}
	})
}

// first delivers the output whose turn it is. When that fails, the reading starts
// again there.
func (d *delivery) first(ctx context.Context) error {
	a := d.inflight[0]
	err := d.fetches.first(ctx, func(b []byte, begins bool) error {
		return d.stream.Send(&pb.ReadResultResponse{Data: b, BeginsOutput: begins})
	})
	var broken *brokenTransfer
	switch {
	case err == nil:
		d.done()
		return nil
	case !errors.As(err, &broken):
		return err
	}
	d.restarts++
	if d.restarts > restartsAllowed {
		return api.Errorf(api.Unavailable, "output %s of worker %s could not be fetched in %d tries: %v", a.output.ID, a.output.Worker, d.restarts, broken.why)
	}
	lost, err := d.judge(broken.why)
	if err != nil {
		return err
	}
	return d.again(ctx, a.output.ID, broken.why, lost)
}

// done takes the first output for delivered.
func (d *delivery) done() {
	a := d.fetches.done()
	d.consumed = append(d.consumed, a)
	d.recent = append(d.recent, a.output.ID)
	d.recent = d.recent[max(0, len(d.recent)-d.c.config.ResultAhead):]
	d.restarts = 0
}

// again starts the reading anew, with an output that failed, and may be lost.
func (d *delivery) again(ctx context.Context, id ledger.OutputID, why error, lost bool) error {
	d.abandon()
	d.feed.drop()
	if lost {
		if err := d.c.post(ctx, func(o *owner) { o.outputLost(d.job, id, why) }); err != nil {
			return err
		}
	}
	return d.request(ctx)
}

// abandon gives up all that was asked for, and tells the ledger the rest.
func (d *delivery) abandon() {
	given, consumed := d.fetches.abandon(), d.consumed
	d.consumed = nil
	d.c.later(func(o *owner) {
		for _, a := range given {
			o.asks.remove(a)
		}
		o.consumed(d.feed, consumed)
	})
}

// openResult lets a client read a job's result, or says why not.
func (o *owner) openResult(f *feed) error {
	j, err := o.find(f.job)
	if err != nil {
		return err
	}
	if err := o.readable(j); err != nil {
		return err
	}
	v, _ := o.ledger.Job(f.job, o.now)
	switch {
	case j.feed != nil:
		return api.Errorf(api.Conflict, "the result of job %s is being read already", j.name)
	case v.ResultRead && !v.ResultEmpty || j.read:
		return api.Errorf(api.Conflict, "the result of job %s was read already, and can be read once; submit the job again", j.name)
	}
	if err := o.admitReader(); err != nil {
		return err
	}
	f.counted, j.feed = true, f
	if v.Plan != nil {
		f.head(o.header(j))
	}
	return nil
}

// closeResult ends the reading of a result.
func (o *owner) closeResult(f *feed) {
	if !f.counted {
		return
	}
	o.readers--
	if j := o.jobs[f.job]; j != nil && j.feed == f {
		j.feed = nil
		o.step(ledger.ReaderGone{Job: f.job})
	}
}

// header tells what a planned job's result is made of.
func (o *owner) header(j *job) *pb.ResultHeader {
	shared := j.shared
	if v, ok := o.ledger.Job(j.id, o.now); shared == nil && ok && v.Plan != nil {
		shared = wire.Shared(v.Plan.Payload) // and of a job that has ended it is not kept
	}
	return &pb.ResultHeader{Format: shared.GetResultFormat(), Columns: shared.GetResultColumns()}
}

// consumed tells the ledger what a client has got. An output that was lost
// meanwhile will be told a second time, and nobody could tell it from the next:
// that ends the reading.
func (o *owner) consumed(f *feed, delivered []*askFor) {
	for _, a := range delivered {
		if a.lost {
			f.fail(api.Errorf(api.Conflict, "the result broke off: output %s was lost just when it had been delivered; submit the job again", a.output.ID))
		}
		o.asks.remove(a)
		if j := o.jobs[f.job]; j != nil {
			j.read = true
		}
		o.step(ledger.ResultConsumed{Job: f.job, Output: a.output.ID})
	}
}

// outputReady tells the reader of a result what it can deliver.
func (o *owner) outputReady(e ledger.OutputReady) {
	if j := o.jobs[e.Job]; j != nil && j.feed != nil {
		j.feed.add(e.Outputs, e.Last, e.Restart)
	}
}
