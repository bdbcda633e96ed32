package wire

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
)

func TestEnumsHaveTheNumbersOfTheContract(t *testing.T) {
	for _, c := range []struct {
		what      string
		ours      int
		contracts int32
	}{
		{"state", int(ledger.StateCancelled), int32(pb.JobState_JOB_STATE_CANCELLED)},
		{"class", int(ledger.OutcomeNoRoom), int32(pb.OutcomeClass_OUTCOME_CLASS_NO_ROOM)},
		{"standing", int(ledger.StandingUnattached), int32(pb.WorkerState_WORKER_STATE_UNATTACHED)},
		{"opinion of gossip", int(ledger.OpinionLeft), int32(pb.GossipOpinion_GOSSIP_OPINION_LEFT)},
		{"opinion of a session", int(ledger.SessionBroken), int32(pb.SessionOpinion_SESSION_OPINION_BROKEN)},
		{"lease", int(ledger.LeaseCommit), int32(pb.LeaseKind_LEASE_KIND_COMMIT)},
		{"output", int(ledger.OutputFile), int32(pb.OutputKind_OUTPUT_KIND_FILE)},
		{"rule", int(ledger.CutBytes), int32(pb.CutRule_CUT_RULE_BYTES)},
		{"unit", int(ledger.UnitRecords), int32(pb.Unit_UNIT_RECORDS)},
		{"input", int(ledger.InputCollect), int32(pb.StageInput_STAGE_INPUT_COLLECT)},
	} {
		if c.ours != int(c.contracts) {
			t.Errorf("the last %s is %d here and %d in the contract", c.what, c.ours, c.contracts)
		}
	}
}

func TestSettings(t *testing.T) {
	spec := &pb.JobSpec{
		Priority: 5, Retries: proto.Uint32(0), Weight: proto.Float64(2.5), Delay: durationpb.New(time.Second),
		Labels: map[string]string{"b": "2", "a": "1"},
		Limits: &pb.Limits{
			MaxConcurrency: 3, Deadline: durationpb.New(time.Hour), BatchTimeout: durationpb.New(time.Minute),
			SkipBadRecords: 9, RetryBudget: 11, MaxSpoolBytes: 13,
		},
		Stages: []*pb.Stage{
			{Processor: &pb.Stage_Function{Function: "f"}},
			{Processor: &pb.Stage_Sql{Sql: "x"}},
			{Processor: &pb.Stage_Sql{Sql: "y"}},
			{Processor: &pb.Stage_Command{Command: "'my cat' -n"}},
			{Processor: &pb.Stage_Command{Command: "a | b"}, CommandOptions: &pb.CommandOptions{Shell: true}},
		},
	}
	s := Settings(spec)
	if s.Priority != 5 || s.MaxAttempts != 1 || s.Weight != 2.5 || s.Delay != time.Second || s.MaxConcurrency != 3 ||
		s.Deadline != time.Hour || s.BatchTimeout != time.Minute || s.SkipLimit != 9 || s.RetryBudget != 11 || s.MaxSpoolBytes != 13 {
		t.Errorf("the settings are %+v", s)
	}
	if len(s.Labels) != 2 || s.Labels[0] != (ledger.Label{Key: "a", Value: "1"}) {
		t.Errorf("the labels are %v", s.Labels)
	}
	if strings.Join(s.PlanRequires, "|") != "command:/bin/sh|command:my cat|function:f|sql" {
		t.Errorf("planning requires %q", s.PlanRequires)
	}
	if d := Settings(&pb.JobSpec{}); d.MaxAttempts != 4 || d.Weight != 0 {
		t.Errorf("the defaults are %+v", d)
	}
}

func TestPlanComesBackWhole(t *testing.T) {
	sent := goodPlan()
	p, err := Plan(proto.CloneOf(sent))
	if err != nil {
		t.Fatal(err)
	}
	got := Shared(p.Payload)
	for _, f := range p.Fragments {
		m := Fragment(f.Payload)
		if len(m.GetCuts()) > 0 {
			t.Errorf("the cuts of %s go to workers", m.GetPath())
		}
		m.Cuts = f.Cuts
		got.Fragments = append(got.Fragments, m)
	}
	for _, s := range p.Stages {
		got.Stages = append(got.Stages, Stage(s.Payload))
	}
	if !proto.Equal(got, sent) {
		t.Errorf("the plan\n%v\ncame back as\n%v", sent, got)
	}
	f, s := p.Fragments[1], p.Stages[0]
	if f.Extent != 10 || f.Unit != ledger.UnitBytes || !p.Fragments[0].Whole || f.SizeBytes != 10 ||
		s.Cut != (ledger.Cut{Rule: ledger.CutBytes, Size: 4, MaxFiles: 2, WholeFiles: true}) || s.Output != ledger.OutputArrow {
		t.Errorf("the ledger sees %+v and %+v", f, s)
	}
}

func TestPlanOfNewerWorkerIsFatal(t *testing.T) {
	for what, spoil := range map[string]func(*pb.Plan){
		"unit":   func(p *pb.Plan) { p.Fragments[0].Unit = 257 },
		"input":  func(p *pb.Plan) { p.Stages[0].Input = 257 },
		"output": func(p *pb.Plan) { p.Stages[0].Output = 77 },
		"rule":   func(p *pb.Plan) { p.Stages[0].Cut.Rule = -1 },
	} {
		p := goodPlan()
		spoil(p)
		o := Outcome(&pb.Outcome{Class: pb.OutcomeClass_OUTCOME_CLASS_DONE, Plan: p})
		if o.Class != ledger.OutcomeFatal || o.Plan != nil || !strings.Contains(string(o.Failure), "newer") {
			t.Errorf("%s: the outcome is %+v", what, o)
		}
	}
}

func goodPlan() *pb.Plan {
	return &pb.Plan{
		Fragments: []*pb.Fragment{
			{Path: "/a", Extent: 1, Whole: true, Compression: pb.Compression_COMPRESSION_GZIP, Records: -1},
			{Path: "/b/c", Extent: 10, SizeBytes: 10, Unit: pb.Unit_UNIT_BYTES, Cuts: []int64{3, 7}, Records: 3},
		},
		Stages: []*pb.StagePlan{
			{
				Name: "one", Input: pb.StageInput_STAGE_INPUT_SOURCE, Output: pb.OutputKind_OUTPUT_KIND_ARROW,
				Cut: &pb.Cut{Rule: pb.CutRule_CUT_RULE_BYTES, Size: 4, MaxFiles: 2, WholeFiles: true}, Requires: []string{"sql"},
			},
			{Name: "two", Input: pb.StageInput_STAGE_INPUT_COLLECT, Output: pb.OutputKind_OUTPUT_KIND_FILE},
		},
		Format: pb.Format_FORMAT_CSV, Columns: []*pb.Column{{Name: "a", Type: "BIGINT"}}, Notes: []string{"n"},
	}
}

func TestWhatRenewsLeasesCountsFirst(t *testing.T) {
	events := Said("w", 3, &pb.SessionRequest{
		Credit:    &pb.Credit{Batches: 2, Bytes: -5},
		Outcomes:  []*pb.Outcome{{Class: 99}, {Class: pb.OutcomeClass_OUTCOME_CLASS_DONE}},
		Heartbeat: &pb.Heartbeat{Sequence: 4, Progress: []*pb.Progress{{Records: 1}}},
		Drain:     true,
	})
	if len(events) != 5 {
		t.Fatalf("the events are %+v", events)
	}
	if h, ok := events[0].(ledger.Heartbeat); !ok || h.Sequence != 4 || h.Worker != "w" || h.Session != 3 {
		t.Errorf("first came %+v", events[0])
	}
	if _, ok := events[1].(ledger.WorkerDraining); !ok {
		t.Errorf("before its outcomes comes %+v", events[1])
	}
	if o, ok := events[2].(ledger.OutcomeReported); !ok || o.Outcome.Class != ledger.OutcomeRetryable {
		t.Errorf("a class that nobody knows is %+v", events[2])
	}
	if c, ok := events[4].(ledger.CreditGranted); !ok || c.Batches != 2 || c.Bytes != 0 {
		t.Errorf("the credit is %+v", events[4])
	}
}

func TestInventory(t *testing.T) {
	lease := &pb.Lease{
		Kind: pb.LeaseKind_LEASE_KIND_MERGE, Stage: 2, Position: 5, EndPosition: 9, CreditBytes: 77, Alone: true,
		Inputs: []*pb.OutputRef{{Id: "in"}},
	}
	e := Attached(&pb.Attach{
		Worker: "w", Session: 7, Slots: 3,
		Leases:   []*pb.HeldLease{{Fence: &pb.Fence{Job: 1, Batch: 2, Attempt: 3, Term: 4}, Started: true, Lease: lease}},
		Outcomes: []*pb.Outcome{{Fence: &pb.Fence{Job: 1, Batch: 9}, Granted: lease}},
		Outputs:  []*pb.OutputRef{{Id: "out"}},
	})
	want := ledger.Fence{Job: 1, Batch: 2, Attempt: 3, Term: 4}
	if l := e.Leases[0]; l.Lease.Fence != want || !l.Started || l.Lease.Kind != ledger.LeaseMerge ||
		l.Lease.Stage != 2 || l.Lease.From != 5 || l.Lease.To != 9 || l.Lease.Inputs[0].ID != "in" || l.Lease.Bytes != 77 || !l.Lease.Alone {
		t.Errorf("the lease is %+v", l)
	}
	if g := e.Outcomes[0].Granted; g == nil || g.Fence.Batch != 9 || g.To != 9 {
		t.Errorf("the outcome's lease is %+v", g)
	}
	if len(e.Outputs) != 1 || e.Outputs[0] != "out" {
		t.Errorf("the outputs are %v", e.Outputs)
	}
}

func TestWhatCanBeMerged(t *testing.T) {
	combine := &pb.Step{}
	for _, c := range []struct {
		stage *pb.StagePlan
		want  bool
	}{
		{&pb.StagePlan{Output: pb.OutputKind_OUTPUT_KIND_BYTES}, true},
		{&pb.StagePlan{Output: pb.OutputKind_OUTPUT_KIND_ARROW}, true},
		{&pb.StagePlan{Output: pb.OutputKind_OUTPUT_KIND_SORTED}, false},
		{&pb.StagePlan{Output: pb.OutputKind_OUTPUT_KIND_SORTED, Combine: combine}, true},
		{&pb.StagePlan{Output: pb.OutputKind_OUTPUT_KIND_FILE, Combine: combine}, false},
		{&pb.StagePlan{}, false},
	} {
		if got := stage(c.stage).Mergeable; got != c.want {
			t.Errorf("outputs of %v can be merged: %v", c.stage, got)
		}
	}
}

// fragments is a plan's fragments, for leases.
type fragments []*pb.Fragment

func (f fragments) Fragment(i int) *pb.Fragment { return f[i] }

// holders are the addresses of workers.
type holders map[ledger.WorkerID][]string

func (h holders) Addresses(id ledger.WorkerID) []string { return h[id] }

func TestLeaseComesBackFromItsWorker(t *testing.T) {
	l := &ledger.Lease{
		Fence: ledger.Fence{Job: 1, Batch: 2, Attempt: 3, Term: 4}, Kind: ledger.LeaseProcess, Stage: 1,
		Splits: []ledger.Split{{Fragment: 0, From: 0, To: 1}, {Fragment: 1, From: 3, To: 7}},
		Inputs: []ledger.Output{{ID: "o", Worker: "w", Kind: ledger.OutputArrow, Bytes: 5, Records: 6, Path: "/p"}},
		From:   1, To: 8, Timeout: time.Minute, Alone: true, MaySkip: 9, Bytes: 10,
	}
	m := Lease(l, "digest", fragments(goodPlan().GetFragments()), holders{"w": {"10.0.0.7:7071"}})
	want := &pb.Lease{
		Fence: &pb.Fence{Job: 1, Batch: 2, Attempt: 3, Term: 4}, Kind: pb.LeaseKind_LEASE_KIND_PROCESS, Stage: 1, Context: "digest",
		Splits: []*pb.Split{
			{Fragment: 0, From: 0, To: 1, Source: goodPlan().GetFragments()[0]},
			{Fragment: 1, From: 3, To: 7, Source: goodPlan().GetFragments()[1]},
		},
		Inputs:   []*pb.OutputRef{{Id: "o", Worker: "w", Kind: pb.OutputKind_OUTPUT_KIND_ARROW, Bytes: 5, Records: 6, Path: "/p", Job: 1, Addresses: []string{"10.0.0.7:7071"}}},
		Position: 1, EndPosition: 8, Timeout: durationpb.New(time.Minute), Alone: true, MaySkip: 9, CreditBytes: 10,
	}
	if !proto.Equal(m, want) {
		t.Errorf("the lease is\n%v\nwant\n%v", m, want)
	}
	back := heldLease(m.GetFence(), m)
	l.Splits, l.Timeout, l.MaySkip = nil, 0, 0 // nobody looks at them
	if back.Fence != l.Fence || back.From != l.From || back.To != l.To || back.Bytes != l.Bytes || back.Inputs[0] != l.Inputs[0] {
		t.Errorf("it came back as %+v", back)
	}
}

func TestJobView(t *testing.T) {
	v := ledger.JobView{
		State: ledger.StateFailed, Spec: marshal(&pb.JobSpec{Priority: 3, Name: "n", Labels: map[string]string{"a": "b"}}),
		Class: ledger.OutcomeExpired, Reason: "attempt 4 of 4 failed", Failure: Failure("no such file"),
		Skips: [][]byte{marshal(&pb.Failure{BadRecords: make([]*pb.BadRecord, 15)}), marshal(&pb.Failure{BadRecords: make([]*pb.BadRecord, 15)})},
		Stats: ledger.Stats{BatchesDone: 4, BatchRecords: 100, BatchTime: 2 * time.Second, Elapsed: 20 * time.Second, Remaining: -1},
	}
	j := Job(v, "id")
	if j.GetName() != "n" || j.GetFailureClass() != pb.OutcomeClass_OUTCOME_CLASS_RETRYABLE ||
		j.GetFailure().GetMessage() != "attempt 4 of 4 failed: no such file" || j.GetFailure().GetExitStatus() != -1 {
		t.Errorf("the job is %v", j)
	}
	s := j.GetStats()
	if s.GetRecordsPerSecond() != 50 || s.GetDelayTime().AsDuration() != 5*time.Second || s.GetRemaining() != nil || len(s.GetSkipped()) != maxSkipped {
		t.Errorf("the stats are %v", s)
	}
	if unnamed := Job(ledger.JobView{Spec: marshal(&pb.JobSpec{Priority: 3})}, "id"); unnamed.GetName() != "" {
		t.Errorf("a job without a name is called %q", unnamed.GetName())
	}
}

// What a worker says is kept, so it must be within its limits.
func TestOutcomesAreHeldToTheirLimits(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	custom := map[string]int64{long: 1}
	for i := range 1000 {
		custom[strconv.Itoa(i)] = 1
	}
	o := Outcome(&pb.Outcome{
		Class:    pb.OutcomeClass_OUTCOME_CLASS_FATAL,
		Counters: &pb.Counters{RecordsIn: -1, BytesIn: -1, RecordsOut: -1, BytesOut: -1, RecordsSkipped: -1, Custom: custom},
		Failure:  &pb.Failure{Message: long, Detail: long, BadRecords: []*pb.BadRecord{{Record: long, Reason: long}}},
		Output:   &pb.OutputRef{Id: "o", Kind: 256 + 1, Bytes: -1, Records: -1},
	})
	if len(o.Failure) > 32<<10 {
		t.Errorf("the failure has %d bytes", len(o.Failure))
	}
	c := o.Counters
	if min(c.RecordsIn, c.BytesIn, c.RecordsOut, c.BytesOut, c.RecordsSkipped) < 0 || len(c.Custom) != api.MaxCounters {
		t.Errorf("the counters are %+v", c)
	}
	if o.Output.Kind != ledger.OutputNone || o.Output.Bytes < 0 || o.Output.Records < 0 {
		t.Errorf("the output is %+v", o.Output)
	}
	if l := heldLease(nil, &pb.Lease{Kind: 256 + 1}); l.Kind != ledger.LeaseUnspecified {
		t.Errorf("the lease is of kind %d", l.Kind)
	}
}

func FuzzSaid(f *testing.F) {
	f.Add(marshal(&pb.SessionRequest{Outcomes: []*pb.Outcome{{Class: 1, Plan: goodPlan()}}}))
	f.Add(marshal(&pb.SessionRequest{Heartbeat: &pb.Heartbeat{Sequence: 1}, Drain: true}))
	f.Add(marshal(&pb.SessionRequest{Attach: &pb.Attach{Worker: "w", Leases: []*pb.HeldLease{{}}, Outcomes: []*pb.Outcome{{}}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &pb.SessionRequest{}
		if proto.Unmarshal(b, r) != nil {
			t.Skip()
		}
		if r.GetAttach() != nil {
			Attached(r.GetAttach())
		}
		for _, e := range Said("w", 1, r) {
			if o, ok := e.(ledger.OutcomeReported); ok && o.Outcome.Plan != nil {
				_ = shown(o.Outcome.Plan) // what was taken can be shown
			}
		}
	})
}
