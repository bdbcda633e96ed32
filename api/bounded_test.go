package api

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "github.com/millrace/millrace/api/millracev1"
)

func TestClipKeepsWholeCharacters(t *testing.T) {
	for _, test := range []struct {
		text string
		most int
		want string
	}{
		{"grain", 10, "grain"},
		{"grain", 2, "gr"},
		{"éé", 3, "é"},
		{"éé", 1, ""},
		{"a\xffb", 10, "a\uFFFDb"},
		{"a\xffb", 3, "a"},
	} {
		if got := Clip(test.text, test.most); got != test.want {
			t.Errorf("Clip(%q, %d) = %q, want %q", test.text, test.most, got, test.want)
		}
	}
}

func TestVeryManyFaultsAreToldInPart(t *testing.T) {
	faults := make(Faults, 100_000)
	for i := range faults {
		faults[i] = Fault{Path: "source.files", Problem: "is empty"}
	}
	if text := faults.Invalid().Error(); len(text) > 10_000 || !strings.HasSuffix(text, "and 99900 more") {
		t.Errorf("%d bytes, ending in %q", len(text), text[len(text)-30:])
	}
}

func TestAClippedFailureCanBeSent(t *testing.T) {
	odd := strings.Repeat("x\xff", 40<<10)
	bad := make([]*pb.BadRecord, 50)
	for i := range bad {
		bad[i] = &pb.BadRecord{File: odd, Record: odd, Reason: odd, Offset: 7}
	}
	f := ClipFailure(&pb.Failure{Message: odd, Signal: odd, Detail: odd, BadRecords: bad, ExitStatus: 3})
	if _, err := proto.Marshal(f); err != nil {
		t.Error(err)
	}
	if len(f.GetMessage()) > MaxFailureBytes || len(f.GetDetail()) > MaxDetailBytes || len(f.GetBadRecords()) != MaxBadRecords ||
		len(f.GetBadRecords()[0].GetRecord()) > MaxBadRecordBytes || f.GetExitStatus() != 3 || f.GetBadRecords()[0].GetOffset() != 7 {
		t.Errorf("%d bytes of message, %d of detail, %d records", len(f.GetMessage()), len(f.GetDetail()), len(f.GetBadRecords()))
	}
}
