package coordinator

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/coordinator/outbox"
	"github.com/millrace/millrace/coordinator/wire"
	"github.com/millrace/millrace/fleet"
)

// hostile is a worker that says anything: what was granted, with some of it
// changed, and what nobody ever granted. The owner is stepped by hand, so that a
// fault shows at the message that made it.
type hostile struct {
	t       *testing.T
	owner   *owner
	dice    []byte
	number  uint64
	active  *session
	leases  []*pb.Lease // ever granted
	outputs []string    // ever told of
}

func newHostile(t *testing.T, dice []byte) *hostile {
	t.Helper()
	c, err := New(Config{SessionQueue: 1000, ShelfResult: -1})
	if err != nil {
		t.Fatal(err)
	}
	o, err := newOwner(c, time.Unix(1e9, 0))
	if err != nil {
		t.Fatal(err)
	}
	o.timer.Stop()
	return &hostile{t: t, owner: o, dice: dice}
}

// pick is a number below n.
func (h *hostile) pick(n int) int {
	if len(h.dice) == 0 {
		return 0
	}
	b := int(h.dice[0])
	h.dice = h.dice[1:]
	return b % n
}

// number of a sort that might hurt.
func (h *hostile) any() int64 {
	return []int64{0, 1, 2, 3, 7, -1, 1 << 20, 1 << 40, -1 << 63, 1<<63 - 1}[h.pick(10)]
}

func (h *hostile) id() string { return []string{"", "a", "b", "c", "d"}[h.pick(5)] }

func (h *hostile) fence() *pb.Fence {
	if len(h.leases) > 0 && h.pick(4) > 0 {
		return h.leases[h.pick(len(h.leases))].GetFence()
	}
	return &pb.Fence{Job: uint64(h.any()), Batch: uint64(h.any()), Attempt: uint32(h.any()), Term: uint64(h.any())}
}

func (h *hostile) lease() *pb.Lease {
	l := &pb.Lease{Fence: h.fence()}
	if len(h.leases) > 0 && h.pick(4) > 0 {
		l = proto.CloneOf(h.leases[h.pick(len(h.leases))])
	}
	switch h.pick(6) {
	case 0:
		l.Kind = pb.LeaseKind(h.any())
	case 1:
		l.Stage = uint32(h.any())
	case 2:
		l.Position, l.EndPosition = h.any(), h.any()
	case 3:
		l.Inputs = []*pb.OutputRef{h.output(), h.output()}
	case 4:
		l.Alone, l.CreditBytes = true, h.any()
	}
	return l
}

func (h *hostile) output() *pb.OutputRef {
	if h.pick(3) == 0 {
		return nil
	}
	return &pb.OutputRef{Id: h.id(), Worker: h.id(), Kind: pb.OutputKind(h.any()), Bytes: h.any(), Records: h.any(), Job: uint64(h.any())}
}

func (h *hostile) outcome() *pb.Outcome {
	o := &pb.Outcome{
		Fence: h.fence(), Class: pb.OutcomeClass(h.pick(13) - 1), Output: h.output(), Elapsed: &durationpb.Duration{Seconds: h.any()},
		Counters: &pb.Counters{RecordsIn: h.any(), RecordsSkipped: h.any(), Custom: map[string]int64{h.id(): h.any()}},
	}
	if h.pick(2) == 0 {
		o.Class = pb.OutcomeClass_OUTCOME_CLASS_DONE
	}
	switch h.pick(4) {
	case 0:
		o.Plan = h.plan()
	case 1:
		o.Failure = &pb.Failure{Message: "broken", BadRecords: []*pb.BadRecord{{}}}
	case 2:
		o.Granted = h.lease()
	case 3:
		o.Class = pb.OutcomeClass_OUTCOME_CLASS_OUTPUT_MISSING
		o.Missing = []*pb.MissingOutput{{Id: h.id(), Gone: h.pick(2) == 0}, {Id: h.made(), Gone: h.pick(2) == 0}}
	}
	if o.GetOutput().GetId() != "" {
		h.outputs = append(h.outputs, o.GetOutput().GetId())
	}
	return o
}

// made is the name of an output that was told of, if there was one.
func (h *hostile) made() string {
	if len(h.outputs) == 0 {
		return ""
	}
	return h.outputs[h.pick(len(h.outputs))]
}

func (h *hostile) plan() *pb.Plan {
	p := plan(int64(1 + h.pick(5)))
	switch h.pick(7) {
	case 0:
		p.Fragments[0].Extent = h.any()
	case 1:
		p.Fragments[0].Cuts = []int64{h.any(), h.any()}
	case 2:
		p.Stages[0].Cut = &pb.Cut{Rule: pb.CutRule(h.any()), Size: h.any(), MaxFiles: uint32(h.any())}
	case 3:
		p.Stages[0].Output = pb.OutputKind(h.any())
	case 4:
		p.Stages = append(p.Stages, &pb.StagePlan{Input: pb.StageInput(h.pick(4)), Output: pb.OutputKind(h.pick(5))})
	case 5:
		p.Stages, p.Fragments = nil, nil
	}
	return p
}

// attach begins another session.
func (h *hostile) attach() {
	a := &pb.Attach{Protocol: api.Protocol, Worker: []string{"w", "x"}[h.pick(2)], Slots: uint32(1 + h.pick(8)), Processors: []string{"command:*"}}
	if h.pick(2) == 0 {
		a.Incarnation, a.Zone = uint64(h.any()), h.id()
	}
	if h.number++; h.pick(5) > 0 {
		a.Session = h.number
	}
	for range h.pick(4) {
		a.Leases = append(a.Leases, &pb.HeldLease{Fence: h.fence(), Started: h.pick(2) == 0, Lease: h.lease()})
		a.Outcomes = append(a.Outcomes, h.outcome())
		a.Outputs = append(a.Outputs, &pb.OutputRef{Id: h.id()})
	}
	if checkAttach(a, "") != nil {
		return
	}
	e := wire.Attached(sentOver(h.t, a))
	h.active = &session{
		worker: e.Worker, number: e.Session, end: func(error) {},
		box: outbox.New(1000), known: make(knownJobs),
	}
	h.owner.attach(h.active, e)
}

// say has the session say something.
func (h *hostile) say() {
	if h.active == nil {
		return
	}
	r := &pb.SessionRequest{Drain: h.pick(30) == 1}
	if h.pick(2) == 0 {
		r.Credit = &pb.Credit{Batches: uint32(h.any()), Bytes: h.any()}
	}
	if h.pick(3) == 0 {
		r.Heartbeat = &pb.Heartbeat{Sequence: uint64(h.any()), Progress: []*pb.Progress{{Fence: h.fence(), Records: h.any()}}}
	}
	for range h.pick(3) {
		r.Outcomes = append(r.Outcomes, h.outcome())
	}
	for _, e := range wire.Said(h.active.worker, h.active.number, sentOver(h.t, r)) {
		h.owner.step(e)
	}
}

// sentOver is a message as it arrives.
func sentOver[M any, P interface {
	*M
	proto.Message
}](t *testing.T, m P) P {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	arrived := P(new(M))
	if err := proto.Unmarshal(b, arrived); err != nil {
		t.Fatal(err)
	}
	return arrived
}

// act does one thing, and lets the owner do what follows.
func (h *hostile) act() {
	switch h.pick(10) {
	case 0:
		h.owner.step(wire.Submission(h.owner.await(func(ledger.Answer) {}), &pb.SubmitJobRequest{Spec: spec(), KeepFor: streamed}, ""))
	case 1, 2:
		h.attach()
	case 3:
		h.owner.now = h.owner.now.Add(time.Duration(h.pick(20)) * time.Second)
		h.owner.step(ledger.Ticked{})
	case 4:
		h.owner.step(ledger.ResultRequested{Job: h.owner.c.names.base + ledger.JobID(1+h.pick(3))})
	case 6:
		h.around()
	case 5:
		if h.active != nil && h.pick(4) == 0 {
			h.owner.detach(h.active)
			h.active = nil
		}
	default:
		h.say()
	}
	if err := h.owner.settle(); err != nil {
		h.t.Fatal(err)
	}
	h.owner.flush()
	h.hear()
}

// around is what others do meanwhile: gossip, operators and clients.
func (h *hostile) around() {
	o, id := h.owner, ledger.JobID(uint64(h.owner.c.names.base)+uint64(1+h.pick(3)))
	name := []string{"w", "x", "y"}[h.pick(3)]
	switch h.pick(8) {
	case 0, 1:
		o.gossiped(fleet.Member{Name: name, Incarnation: uint64(h.any()), Role: fleet.Worker, Opinion: fleet.Opinion(h.pick(6)), Slots: int(h.any())})
	case 2:
		o.step(ledger.WorkersCordoned{Workers: []ledger.WorkerID{ledger.WorkerID(name)}, Cordoned: h.pick(2) == 0})
	case 3:
		o.step(ledger.WorkersDrained{Workers: []ledger.WorkerID{ledger.WorkerID(name)}, Within: time.Duration(h.any())})
	case 4:
		o.step(wire.Submission(0, &pb.SubmitJobRequest{Spec: spec()}, name)) // kept
	case 5:
		o.step(ledger.JobRemoved{Job: id})
	case 6:
		o.step(ledger.ResultShelved{Job: id})
	case 7:
		if h.active != nil {
			o.step(ledger.WorkerRefused{Worker: h.active.worker, Session: h.active.number})
		}
	}
}

// hear takes what the session was told.
func (h *hostile) hear() {
	if h.active == nil {
		return
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	for {
		m, err := h.active.box.Take(over)
		if err != nil {
			return
		}
		h.leases = append(h.leases, m.GetGrants()...)
	}
}

// Whatever a worker says, the coordinator goes on, and can tell how its jobs are.
func FuzzHostileWorker(f *testing.F) {
	f.Add([]byte("\x00\x01\x00\x01\x01\x00\x06\x01\x00\x01\x01"))
	for seed := range byte(40) {
		dice, x := make([]byte, 1500), uint32(seed)+1
		for i := range dice {
			x = x*1664525 + 1013904223
			dice[i] = byte(x >> 24)
		}
		f.Add(dice)
	}
	f.Fuzz(func(t *testing.T, dice []byte) {
		h := newHostile(t, dice)
		h.owner.step(wire.Submission(h.owner.await(func(ledger.Answer) {}), &pb.SubmitJobRequest{Spec: spec(), KeepFor: streamed}, ""))
		for len(h.dice) > 0 {
			h.act()
		}
		for _, v := range h.owner.ledger.Jobs(100, h.owner.now) {
			wire.Job(v, fmt.Sprint(v.ID))
			wire.Explained(v, h.owner.ledger.Explain(v.ID, h.owner.now))
			h.owner.ledger.Result(v.ID)
		}
		for _, v := range h.owner.ledger.Workers(h.owner.now) {
			if _, err := proto.Marshal(h.owner.worker(v)); err != nil {
				t.Errorf("worker %s can't be told of: %v", v.Name, err)
			}
		}
		if _, err := ledger.Restore(h.owner.ledger.State().Encode()); err != nil {
			t.Errorf("what a worker said can't be restored: %v", err)
		}
	})
}
