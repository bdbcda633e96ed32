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
