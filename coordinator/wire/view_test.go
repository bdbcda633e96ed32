package wire

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
)

// What was said once and for all needs no words of the ledger before it.
func TestFailuresAreSaidSimply(t *testing.T) {
	said, err := proto.Marshal(&pb.Failure{Message: "no such file"})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		reason  string
		failure []byte
		want    string
	}{
		{ledger.FailedForGood, said, "no such file"},
		{ledger.FailedForGood, nil, ledger.FailedForGood},
		{"a batch failed 4 times", said, "a batch failed 4 times: no such file"},
	} {
		if got := failure(ledger.JobView{Reason: test.reason, Failure: test.failure}); got.GetMessage() != test.want {
			t.Errorf("%s: %q, want %q", test.reason, got.GetMessage(), test.want)
		}
	}
}

// What made a job fail is named where no worker could say it.
func TestFailuresNameTheirInput(t *testing.T) {
	on := []ledger.Input{
		{Fragment: marshal(&pb.Fragment{Path: "/data/a.csv", Unit: pb.Unit_UNIT_BYTES}), From: 10, To: 20},
		{Fragment: marshal(&pb.Fragment{Unit: pb.Unit_UNIT_RECORDS}), From: 3, To: 4},
	}
	v := ledger.JobView{Reason: "its worker was lost", FailedOn: on}
	if got := failure(v).GetMessage(); got != "its worker was lost (input: /data/a.csv, bytes 10 to 20; records 3 to 4)" {
		t.Errorf("it is told %q", got)
	}
	v.Failure = Failure("no such file")
	if got := failure(v).GetMessage(); got != "its worker was lost: no such file" {
		t.Errorf("it is told %q", got)
	}
}

// A stage without a name of its user's goes by the number under which the plan
// shows it.
func TestWaitsNameStagesAsThePlanDoes(t *testing.T) {
	v := ledger.JobView{Plan: &ledger.Plan{Stages: []ledger.Stage{{Name: "2", Cut: ledger.Cut{Rule: ledger.CutOne}}, {Name: "last"}}}}
	for name, want := range map[string]string{"2": "stage `1`", "last": "stage `last`"} {
		said := Explained(v, []ledger.Wait{{Kind: ledger.WaitStage, Name: name, N: 1, M: 2}}).GetWaiting()
		if len(said) != 1 || !strings.Contains(said[0], want) {
			t.Errorf("stage %s is told as %q", name, said)
		}
	}
}

func TestTimesAreToldRoughly(t *testing.T) {
	for d, want := range map[time.Duration]string{
		361366500: "360ms", 94361366: "94ms", 1261366500: "1.3s", 7: "7ns", 250100: "250µs", 0: "0s",
	} {
		if got := roughly(d).String(); got != want {
			t.Errorf("%s is told as %s", d, got)
		}
	}
}
