package coordinator

import (
	"context"
	"errors"
	"slices"

	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/coordinator/shelf"
)

// A small result is copied when its job is done, so that the workers that hold
// it may go. Nobody waits for the copy, and nothing is made again for it.

// shelve copies a kept result, if its job is done, all of it is there, and there
// is room.
func (o *owner) shelve(id ledger.JobID) {
	v, ok := o.ledger.Job(id, o.now)
	if !ok || !v.Kept || v.State != ledger.StateDone {
		return
	}
	r := o.parts(id)
	if !r.complete || r.shelved != nil || len(r.parts) == 0 {
		return
	}
	var bytes int64
	for _, p := range r.parts {
		bytes += p.output.Bytes
	}
	if !o.shelf.Reserve(id, len(r.parts), bytes) || !o.c.calls.enter() {
		return
	}
	held := o.holdLeavers(r)
	go func() {
		defer o.c.calls.leave()
		parts, err := o.c.copyResult(o.c.stopped, id)
		o.c.later(func(o *owner) {
			o.shelved(id, parts, err)
			for _, s := range held {
				o.letGo(s)
			}
		})
	}()
}

// holdLeavers keeps the workers that leave, and hold some of a result, until it
// is copied: a worker goes when all its outcomes are acknowledged, and no
// earlier but for its deadline.
func (o *owner) holdLeavers(r *keptResult) []*session {
	var held []*session
	for _, p := range r.parts {
		if s := o.sessions[p.output.Worker]; s != nil && s.left && !slices.Contains(held, s) {
			s.holds++
			held = append(held, s)
		}
	}
	return held
}

// hold takes back what would let a session's worker leave.
func (s *session) hold() {
	s.held.Acks = append(s.held.Acks, s.out.Acks...)
	s.held.Leave = s.held.Leave || s.out.Leave
	s.out.Acks, s.out.Leave = nil, false
}

// letGo ends one hold of a session.
func (o *owner) letGo(s *session) {
	if s.holds--; s.holds > 0 || len(s.held.Acks) == 0 && !s.held.Leave {
		return
	}
	if out := o.to(s.worker, s.number); out != nil {
		out.Acks = append(s.held.Acks, out.Acks...)
		out.Leave = out.Leave || s.held.Leave
	}
	s.held.Acks, s.held.Leave = nil, false
}

// copyResult reads a whole result.
func (c *Coordinator) copyResult(ctx context.Context, id ledger.JobID) ([]shelf.Part, error) {
	var parts []shelf.Part
	k := c.newReading(id, func(p keptPart, b []byte, begins bool) error {
		if begins {
			parts = append(parts, shelf.Part{
				ID: string(p.output.ID), Kind: int32(p.output.Kind), Records: p.output.Records, From: int64(p.from), To: int64(p.to),
			})
		}
		last := &parts[len(parts)-1]
		last.Data = append(last.Data, b...)
		return nil
	})
	k.patient = false
	r, err := k.await(ctx)
	if err != nil {
		return nil, err
	}
	return parts, k.run(ctx, r)
}

// shelved keeps a copy that was made.
func (o *owner) shelved(id ledger.JobID, parts []shelf.Part, err error) {
	j := o.jobs[id]
	if err != nil || j == nil {
		o.shelf.Drop(id)
		if err != nil && !errors.Is(err, errStopped) {
			o.logger.Warn("result stays with its workers", "job", o.c.names.name(id), "reason", err.Error())
		}
		return
	}
	if o.shelf.Put(id, parts) {
		o.logger.Info("result copied", "job", j.name, "parts", len(parts), "shelf", o.shelf.Used())
		o.leaveToShelf(j)
	}
}

// leaveToShelf tells the ledger that the workers need not keep a result that is
// here, once nobody reads it from them any more.
func (o *owner) leaveToShelf(j *job) {
	if j.readings == 0 && !j.shelved {
		j.shelved = true
		o.step(ledger.ResultShelved{Job: j.id})
	}
}
