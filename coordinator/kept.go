package coordinator

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/coordinator/relay"
	"github.com/millrace/millrace/coordinator/shelf"
	"github.com/millrace/millrace/coordinator/wire"
)

// A result that is kept is read once its job is done, by any number of readers.
// What of it was lost with its worker is made again when somebody asks, and not
// before. A reader goes on by positions: parts that are made again may be cut
// otherwise than before.

// keptPart is one output of a kept result, and the positions of the source that
// it stands for.
type keptPart struct {
	output   ledger.Output
	from, to ledger.Position
}

// keptResult is a kept result as it is now.
type keptResult struct {
	header   *pb.ResultHeader
	complete bool // the job is done, and all of it can be had
	parts    []keptPart
	shelved  []shelf.Part // the same parts, when they are here
	round    int          // rises when any of it is lost
}

// keptReading is the reading of a kept result, for a client or for the shelf.
type keptReading struct {
	fetches
	watch *watcher
	// patient says that the reader wants what is missing to be waited for, and
	// what was lost to be made again.
	patient bool
	counted bool // the owner's: it is one of its readers
	asked   bool // the owner's: that was asked for
	// pass takes the bytes of a part, at most a message at a time.
	pass func(p keptPart, b []byte, begins bool) error

	at       ledger.Position // up to where parts were passed on
	restarts int             // in a row
}

// errIncomplete is what an impatient reader gets of a result of which something
// is missing.
var errIncomplete = errors.New("some of the result is lost")

// await is the result, once it is complete.
func (k *keptReading) await(ctx context.Context) (*keptResult, error) {
	for {
		r, err := askPatiently(ctx, k.c, func(o *owner, answer func(*keptResult, error)) { answer(o.keptResult(k)) })
		if err != nil || r.complete {
			return r, err
		}
		if !k.patient {
			return nil, errIncomplete
		}
		select {
		case <-k.watch.changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// run passes on all parts from a position on.
func (k *keptReading) run(ctx context.Context, r *keptResult) error {
	defer k.abandon()
	for {
		err := k.once(ctx, r)
		var broken *brokenTransfer
		if !errors.As(err, &broken) || !k.patient && errors.Is(err, relay.ErrIdle) {
			return err
		}
		if k.restarts++; k.restarts > restartsAllowed {
			return api.Errorf(api.Unavailable, "the result could not be fetched in %d tries: %v; try again later", k.restarts, broken.why)
		}
		k.abandon()
		if r, err = k.await(ctx); err != nil {
			return err
		}
	}
}

// once passes parts on until the end, or until one of them can't be had.
func (k *keptReading) once(ctx context.Context, r *keptResult) error {
	next, err := r.find(k.at)
	if err != nil {
		return err
	}
	if next == len(r.parts) {
		return k.over()
	}
	if r.shelved != nil {
		return k.unshelve(r, next)
	}
	for asked := next; next < len(r.parts); next++ {
		if asked, err = k.askAhead(ctx, r, asked); err != nil {
			return err
		}
		if err := k.deliver(ctx, r.parts[next]); err != nil {
			return err
		}
	}
	return nil
}

// find is the index of the part that begins at a position, or behind it.
func (r *keptResult) find(at ledger.Position) (int, error) {
	i, _ := slices.BinarySearchFunc(r.parts, at, func(p keptPart, at ledger.Position) int {
		if p.to <= at {
			return -1
		}
		return 1
	})
	if i < len(r.parts) && r.parts[i].from < at {
		return 0, api.Errorf(api.Conflict, "the result was made again in other parts than before; read it again from its beginning")
	}
	return i, nil
}

// unshelve passes on parts that are here.
func (k *keptReading) unshelve(r *keptResult, next int) error {
	for i := next; i < len(r.parts); i++ {
		p := r.parts[i]
		k.prefix.begin()
		if err := cmp.Or(k.forward(p.output, r.shelved[i].Data, k.passing(p)), k.end(p.output)); err != nil {
			return err
		}
		k.prefix = prefix{}
	}
	return nil
}

// passing passes on bytes of a part.
func (k *keptReading) passing(p keptPart) passOn {
	return func(b []byte, begins bool) error { return k.pass(p, b, begins) }
}

// askAhead asks for parts from one on, as many as may be held, and says which
// is the next one that was not asked for.
func (k *keptReading) askAhead(ctx context.Context, r *keptResult, next int) (int, error) {
	var asked []*askFor
	for ; next < len(r.parts) && k.room(r.parts[next].output); next++ {
		asked = append(asked, k.expect(told{r.parts[next].output, r.round}))
	}
	if len(asked) == 0 {
		return next, nil
	}
	return next, k.c.post(ctx, func(o *owner) {
		for _, a := range asked {
			o.ask(o.losses(k.job), a)
		}
	})
}

// deliver passes on the part whose turn it is.
func (k *keptReading) deliver(ctx context.Context, p keptPart) error {
	err := k.first(ctx, k.passing(p))
	if err == nil {
		k.forget(k.done())
		k.at, k.restarts = p.to, 0
		return nil
	}
	var broken *brokenTransfer
	if !errors.As(err, &broken) {
		return err
	}
	lost, judged := k.judge(broken.why)
	if lost {
		k.c.later(func(o *owner) { o.outputLost(k.job, p.output.ID, broken.why) })
	}
	return cmp.Or(judged, err)
}

func (o *owner) outputLost(job ledger.JobID, id ledger.OutputID, why error) {
	o.logger.Warn("output lost", "job", o.c.names.name(job), "output", string(id), "reason", why.Error())
	o.step(ledger.OutputLost{Outputs: []ledger.OutputID{id}})
}

// abandon gives up all that was asked for.
func (k *keptReading) abandon() { k.forget(k.fetches.abandon()...) }

// forget has the owner forget what was asked for.
func (k *keptReading) forget(given ...*askFor) {
	if len(given) == 0 {
		return
	}
	k.c.later(func(o *owner) {
		for _, a := range given {
			o.asks.remove(a)
		}
	})
}

// keptResult is a kept result as it is now. What was lost of it is asked for,
// for a patient reader, until that has failed.
func (o *owner) keptResult(k *keptReading) (*keptResult, error) {
	v, ok := o.ledger.Job(k.job, o.now)
	if !ok {
		return nil, o.unknown(k.job)
	}
	if v.State.Over() && v.State != ledger.StateDone {
		return nil, endError(wire.Job(v, o.c.names.name(k.job)))
	}
	if v.State != ledger.StateDone {
		return &keptResult{}, nil
	}
	r := o.parts(k.job)
	switch {
	case r.complete || !k.patient:
	case k.asked && v.Remake != "":
		return nil, api.Errorf(api.Conflict, "some of the result of job %s was lost with its worker, and can't be made again: %s",
			o.c.names.name(k.job), wire.Remake(v).GetMessage())
	default:
		k.asked = true
		o.step(ledger.ResultRequested{Job: k.job})
	}
	return r, nil
}

// parts is what there is of the kept result of a job that is done.
func (o *owner) parts(id ledger.JobID) *keptResult {
	r := &keptResult{round: o.losses(id), header: o.header(o.job(id))}
	if here, ok := o.shelf.Get(id); ok {
		r.complete, r.shelved = true, here
		for _, p := range here {
			output := ledger.Output{ID: ledger.OutputID(p.ID), Kind: ledger.OutputKind(p.Kind), Bytes: int64(len(p.Data)), Records: p.Records}
			r.parts = append(r.parts, keptPart{output, ledger.Position(p.From), ledger.Position(p.To)})
		}
		return r
	}
	parts, complete := o.ledger.Result(id)
	r.complete = complete
	for _, p := range parts {
		r.parts = append(r.parts, keptPart{p.Output, p.From, p.To})
	}
	return r
}

// losses rises when outputs of a job are lost; it is negative for a job that is
// forgotten.
func (o *owner) losses(id ledger.JobID) int {
	if j := o.jobs[id]; j != nil {
		return j.losses
	}
	return -1
}
