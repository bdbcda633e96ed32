package wire

import (
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
)

// Fragments gives fragments by their index in the plan, without their cuts.
// They are shared by many messages and never changed.
type Fragments interface{ Fragment(i int) *pb.Fragment }

// Holders gives where a worker serves its outputs; none when that is not known.
// What it gives is shared by many messages and never changed.
type Holders interface {
	Addresses(worker ledger.WorkerID) []string
}

// leaseBox holds what nearly every lease consists of, so that it is one piece
// of memory and not five.
type leaseBox struct {
	lease  pb.Lease
	fence  pb.Fence
	split  pb.Split
	splits [1]*pb.Split
}

// Lease is a lease as a worker gets it.
func Lease(l *ledger.Lease, context string, fragments Fragments, holders Holders) *pb.Lease {
	box := &leaseBox{}
	setFence(&box.fence, l.Fence)
	m := &box.lease
	m.Fence = &box.fence
	m.Kind = pb.LeaseKind(l.Kind)
	m.Context = context
	m.Stage = uint32(max(l.Stage, 0))
	m.Position, m.EndPosition = int64(l.From), int64(l.To)
	m.Alone = l.Alone
	m.MaySkip = l.MaySkip
	m.CreditBytes = l.Bytes
	if l.Timeout > 0 {
		m.Timeout = durationpb.New(l.Timeout)
	}
	if len(l.Splits) == 1 {
		setSplit(&box.split, l.Splits[0], fragments)
		box.splits[0] = &box.split
		m.Splits = box.splits[:]
	} else {
		m.Splits = splits(l.Splits, fragments)
	}
	m.Inputs = inputs(l, holders)
	return m
}

func splits(list []ledger.Split, fragments Fragments) []*pb.Split {
	if len(list) == 0 {
		return nil
	}
	boxes, ps := make([]pb.Split, len(list)), make([]*pb.Split, len(list))
	for i := range list {
		setSplit(&boxes[i], list[i], fragments)
		ps[i] = &boxes[i]
	}
	return ps
}

func setSplit(p *pb.Split, s ledger.Split, fragments Fragments) {
	p.Fragment, p.From, p.To = uint32(s.Fragment), s.From, s.To
	p.Source = fragments.Fragment(s.Fragment)
}

// inputs are the outputs that a lease reads, each with where it is served.
func inputs(l *ledger.Lease, holders Holders) []*pb.OutputRef {
	if len(l.Inputs) == 0 {
		return nil
	}
	refs := make([]*pb.OutputRef, len(l.Inputs))
	for i, o := range l.Inputs {
		refs[i] = Output(l.Fence.Job, o)
		refs[i].Addresses = holders.Addresses(o.Worker)
	}
	return refs
}

// Output is an output as its worker knows it.
func Output(job ledger.JobID, o ledger.Output) *pb.OutputRef {
	return &pb.OutputRef{
		Id: string(o.ID), Worker: string(o.Worker), Kind: pb.OutputKind(o.Kind),
		Bytes: o.Bytes, Records: o.Records, Path: o.Path, Job: uint64(job),
	}
}

func setFence(m *pb.Fence, f ledger.Fence) {
	m.Job, m.Batch, m.Attempt, m.Term = uint64(f.Job), uint64(f.Batch), uint32(f.Attempt), uint64(f.Term)
}

// ackBox is an acknowledgement in one piece of memory.
type ackBox struct {
	ack   pb.OutcomeAck
	fence pb.Fence
}

// Ack acknowledges an outcome, which was stale when there is a reason.
func Ack(f ledger.Fence, stale bool, reason string) *pb.OutcomeAck {
	box := &ackBox{}
	setFence(&box.fence, f)
	box.ack.Fence, box.ack.Stale, box.ack.Reason = &box.fence, stale, reason
	return &box.ack
}

// Revoke ends a lease.
func Revoke(e ledger.Revoke) *pb.Revoke {
	m := &pb.Revoke{Fence: &pb.Fence{}, IfWaiting: e.IfWaiting, Reason: e.Reason}
	setFence(m.Fence, e.Fence)
	return m
}

// AttachAnswer answers an attach, for a coordinator of a version.
func AttachAnswer(e ledger.Attached, version string) *pb.Attached {
	return &pb.Attached{
		Version:   version,
		Protocol:  api.Protocol,
		Term:      uint64(e.Term),
		Lease:     durationpb.New(e.Lease),
		Heartbeat: durationpb.New(e.Heartbeat),
		Keep:      fences(e.Keep),
		Drop:      fences(e.Drop),
	}
}

func fences(list []ledger.Fence) []*pb.Fence {
	var ms []*pb.Fence
	for _, f := range list {
		m := &pb.Fence{}
		setFence(m, f)
		ms = append(ms, m)
	}
	return ms
}
