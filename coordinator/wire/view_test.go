package wire

import (
	"testing"

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
