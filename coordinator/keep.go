package coordinator

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/coordinator/wire"
)

// readResult streams a job's result to its client.
func (c *Coordinator) readResult(ctx context.Context, id ledger.JobID, r *pb.ReadResultRequest, stream resultStream) error {
	kept, err := ask(ctx, c, func(o *owner, answer func(bool, error)) { answer(o.keeps(id)) })
	switch {
	case err != nil:
		return err
	case kept:
		return c.readKept(ctx, id, r, stream)
	case r.GetSkipParts() > 0:
		return api.Errorf(api.Invalid, "skip_parts is %d, and the result of job %s is not kept: it can only be read from its beginning", r.GetSkipParts(), c.names.name(id))
	}
	return c.deliver(ctx, id, stream)
}

// readKept streams a kept result to one of its readers.
func (c *Coordinator) readKept(ctx context.Context, id ledger.JobID, r *pb.ReadResultRequest, stream resultStream) error {
	k := c.newReading(id, func(_ keptPart, b []byte, begins bool) error {
		return stream.Send(&pb.ReadResultResponse{Data: b, BeginsOutput: begins})
	})
	return c.whileOpen(ctx, k, func(result *keptResult) error {
		if err := k.skip(result, r); err != nil {
			return err
		}
		if err := stream.Send(&pb.ReadResultResponse{Header: result.header}); err != nil {
			return err
		}
		return k.run(ctx, result)
	})
}

// newReading is the reading of a result by a client.
func (c *Coordinator) newReading(id ledger.JobID, pass func(keptPart, []byte, bool) error) *keptReading {
	return &keptReading{fetches: fetches{c: c, job: id, anew: "read it again"}, watch: newWatcher(), patient: true, pass: pass}
}

// whileOpen lets a client read a kept result, once it is complete.
func (c *Coordinator) whileOpen(ctx context.Context, k *keptReading, read func(*keptResult) error) error {
	defer c.later(func(o *owner) { o.closeKept(k) })
	_, err := ask(ctx, c, func(o *owner, answer func(struct{}, error)) { answer(struct{}{}, o.openKept(k)) })
	if err != nil {
		return err
	}
	result, err := k.await(ctx)
	if err != nil {
		return err
	}
	return read(result)
}

// skip begins a reading behind the parts that its client has already.
func (k *keptReading) skip(result *keptResult, r *pb.ReadResultRequest) error {
	n := r.GetSkipParts()
	if n > uint64(len(result.parts)) {
		return api.Errorf(api.Conflict, "the result has %d parts, and %d are to be left out; read it again from its beginning", len(result.parts), n)
	}
	if n > 0 {
		k.at = result.parts[n-1].to
	}
	return nil
}

// maxParts is how many parts go in one message.
const maxParts = 1_000

// locateStream is the stream to a client that asks where a result is.
type locateStream interface {
	Send(*pb.LocateResultResponse) error
}

// locate tells a client where the parts of a kept result are.
func (c *Coordinator) locate(ctx context.Context, id ledger.JobID, stream locateStream) error {
	kept, err := ask(ctx, c, func(o *owner, answer func(bool, error)) { answer(o.keeps(id)) })
	if err == nil && !kept {
		err = api.Errorf(api.Conflict, "the result of job %s is not kept: it can be read once, as it is made, with ReadResult", c.names.name(id))
	}
	if err != nil {
		return err
	}
	k := c.newReading(id, nil)
	return c.whileOpen(ctx, k, func(result *keptResult) error {
		parts, err := askPatiently(ctx, c, func(o *owner, answer func([]*pb.ResultPart, error)) { answer(o.located(id, result), nil) })
		if err != nil {
			return err
		}
		message := &pb.LocateResultResponse{Header: result.header}
		for list := range slices.Chunk(parts, maxParts) {
			message.Parts = list
			if err := stream.Send(message); err != nil {
				return err
			}
			message = &pb.LocateResultResponse{}
		}
		if message.Header != nil {
			return stream.Send(message) // there are no parts
		}
		return nil
	})
}

// located tells where the parts of a result are. Those that are here have no
// address.
func (o *owner) located(id ledger.JobID, r *keptResult) []*pb.ResultPart {
	parts := make([]*pb.ResultPart, len(r.parts))
	for i, p := range r.parts {
		ticket, err := proto.Marshal(&pb.OutputTicket{Job: uint64(id), Output: string(p.output.ID)})
		if err != nil {
			panic("coordinator: encode a ticket: " + err.Error()) // names of outputs came as UTF-8
		}
		parts[i] = &pb.ResultPart{
			Worker: string(p.output.Worker), Addresses: o.fleet.Addresses(p.output.Worker), Ticket: ticket,
			Bytes: p.output.Bytes, Records: p.output.Records, Kind: pb.OutputKind(p.output.Kind),
			Position: int64(p.from), EndPosition: int64(p.to),
		}
	}
	return parts
}

// keeps says whether the result of a job is kept.
func (o *owner) keeps(id ledger.JobID) (bool, error) {
	v, ok := o.ledger.Job(id, o.now)
	if !ok {
		return false, o.unknown(id)
	}
	return v.Kept, nil
}

// readable says why a client can't read the result of a job, if it can't.
func (o *owner) readable(j *job) error {
	v, ok := o.ledger.Job(j.id, o.now)
	if !ok {
		return o.unknown(j.id)
	}
	spec := wire.Spec(v.Spec)
	switch {
	case spec.GetSink().GetFiles() != nil:
		return api.Errorf(api.Conflict, "the result of job %s goes to files in %s; read them there", j.name, spec.GetSink().GetFiles().GetFolder())
	case v.PlanOnly:
		return api.Errorf(api.Conflict, "job %s was only planned: it has no result", j.name)
	}
	return endError(wire.Job(v, j.name))
}

// admitReader counts a reader, unless there are too many.
func (o *owner) admitReader() error {
	if o.readers >= o.c.config.MaxReaders {
		return api.Errorf(api.Full, "%d results are being read already, and that is as many as may be; try again later", o.readers)
	}
	o.readers++
	return nil
}

// openKept lets a client read a kept result, or says why not.
func (o *owner) openKept(k *keptReading) error {
	j, err := o.find(k.job)
	if err != nil {
		return err
	}
	if err := o.readable(j); err != nil {
		return err
	}
	if err := o.admitReader(); err != nil {
		return err
	}
	k.counted = true
	j.readings++
	j.watchers[k.watch] = struct{}{}
	return nil
}

// closeKept ends the reading of a kept result. What is complete again, or was
// not copied yet, may be now.
func (o *owner) closeKept(k *keptReading) {
	if !k.counted {
		return
	}
	o.readers--
	j := o.jobs[k.job]
	if j == nil {
		return
	}
	delete(j.watchers, k.watch)
	j.readings--
	if _, here := o.shelf.Get(k.job); here {
		o.leaveToShelf(j)
	} else {
		o.shelve(k.job)
	}
}
