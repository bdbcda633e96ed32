package wire

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
)

func TestWhichResultsAreKept(t *testing.T) {
	files := &pb.JobSpec{Sink: &pb.Sink{Files: &pb.FileSink{Folder: "/out"}}}
	for what, c := range map[string]struct {
		r    *pb.SubmitJobRequest
		keep bool
		long time.Duration
	}{
		"as the coordinator says": {&pb.SubmitJobRequest{}, true, 0},
		"for a time":              {&pb.SubmitJobRequest{KeepFor: durationpb.New(time.Minute)}, true, time.Minute},
		"read once":               {&pb.SubmitJobRequest{KeepFor: durationpb.New(0)}, false, 0},
		"files":                   {&pb.SubmitJobRequest{Spec: files, KeepFor: durationpb.New(time.Minute)}, false, time.Minute},
		"a plan":                  {&pb.SubmitJobRequest{PlanOnly: true}, false, 0},
	} {
		if c.r.Spec == nil {
			c.r.Spec = &pb.JobSpec{}
		}
		s := Submission(1, c.r, "somebody").Settings
		if s.Keep != c.keep || s.KeepFor != c.long || s.User != "somebody" {
			t.Errorf("%s: kept %v for %v, of %q", what, s.Keep, s.KeepFor, s.User)
		}
	}
}

func TestMissingInputsReachTheLedger(t *testing.T) {
	o := &pb.Outcome{
		Class:   pb.OutcomeClass_OUTCOME_CLASS_OUTPUT_MISSING,
		Missing: []*pb.MissingOutput{{Id: "a", Gone: true, Reason: strings.Repeat("r", 1000)}, {Id: "b"}},
	}
	got := Outcome(o)
	want := []ledger.Missing{{Output: "a", Gone: true, Reason: strings.Repeat("r", maxMissingReason)}, {Output: "b"}}
	if got.Class != ledger.OutcomeMissing || !reflect.DeepEqual(got.Missing, want) {
		t.Errorf("the ledger sees %+v", got)
	}
	o.Missing = make([]*pb.MissingOutput, 10*maxMissing)
	if n := len(Outcome(o).Missing); n != maxMissing {
		t.Errorf("%d are looked at", n)
	}
	o.Class = pb.OutcomeClass_OUTCOME_CLASS_DONE
	if n := len(Outcome(o).Missing); n != 0 {
		t.Errorf("%d are missing of what is done", n)
	}
}

func TestWorkerIsToldOf(t *testing.T) {
	m := Worker(ledger.WorkerView{
		Name: "w", Incarnation: 3, State: ledger.StandingQuarantined, Reason: "r", Session: ledger.SessionSilent, Gossip: ledger.OpinionDead,
		Zone: "z", Slots: 4, Memory: 5, Running: 1, Waiting: 2, Labels: []ledger.Label{{Key: "a", Value: "b"}}, Processors: []string{"sql"},
		Attached: ledger.Time(time.Second), Done: 6, Failed: 7,
	})
	if m.GetName() != "w" || m.GetIncarnation() != 3 || m.GetState() != pb.WorkerState_WORKER_STATE_QUARANTINED || m.GetReason() != "r" ||
		m.GetSessionOpinion() != pb.SessionOpinion_SESSION_OPINION_SILENT || m.GetGossipOpinion() != pb.GossipOpinion_GOSSIP_OPINION_DEAD ||
		m.GetZone() != "z" || m.GetSlots() != 4 || m.GetMemoryBytes() != 5 || m.GetRunning() != 1 || m.GetWaiting() != 2 ||
		m.GetLabels()["a"] != "b" || m.GetProcessors()[0] != "sql" || m.GetAttached().GetSeconds() != 1 || m.GetHeard() != nil ||
		m.GetDone() != 6 || m.GetFailed() != 7 {
		t.Errorf("it is told %v", m)
	}
}

func TestJobIsToldOf(t *testing.T) {
	v := ledger.JobView{User: "u", Kept: true, Expires: ledger.Time(time.Hour), ResultBytes: 9, Stats: ledger.Stats{Rerun: 3, BatchesDone: 1}}
	if j := Job(v, "id"); j.GetUser() != "u" || !j.GetKept() || j.GetExpires().GetSeconds() != 3600 || j.GetStats().GetBatchesRerun() != 3 || j.GetResultBytes() != 0 {
		t.Errorf("while it runs: %v", j)
	}
	v.State = ledger.StateDone
	if j := Job(v, "id"); j.GetResultBytes() != 9 {
		t.Errorf("once it is done: %v", j)
	}
	v.Remake, v.RemakeFailure = "it failed 4 times", Failure("no such file")
	if m := Remake(v).GetMessage(); m != "it failed 4 times: no such file" {
		t.Errorf("why a result is not made again: %q", m)
	}
}
