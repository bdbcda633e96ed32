package attempt

import (
	"strings"
	"testing"
	"unicode/utf8"

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
		if got := clip(test.text, test.most); got != test.want {
			t.Errorf("clip(%q, %d) = %q, want %q", test.text, test.most, got, test.want)
		}
	}
	if got := clipStart("éé\xff", 4); got != "\uFFFD" {
		t.Errorf("clipStart = %q", got)
	}
}

// Whatever programs and file names hold, it can be encoded, or the session would
// break over it for ever.
func TestWhatIsToldCanBeSent(t *testing.T) {
	odd := strings.Repeat("x\xff", 40<<10)
	bad := make([]*pb.BadRecord, 50)
	for i := range bad {
		bad[i] = &pb.BadRecord{File: odd, Record: odd, Reason: odd, Offset: 7}
	}
	f := bounded(&pb.Failure{Message: odd, Signal: odd, Detail: odd, BadRecords: bad, ExitStatus: 3})
	if _, err := proto.Marshal(f); err != nil {
		t.Error(err)
	}
	if len(f.GetMessage()) > maxMessage || len(f.GetDetail()) > maxDetail || len(f.GetBadRecords()) != maxBadRecords ||
		len(f.GetBadRecords()[0].GetRecord()) > maxRecord || f.GetExitStatus() != 3 || f.GetBadRecords()[0].GetOffset() != 7 {
		t.Errorf("%d bytes of message, %d of detail, %d records", len(f.GetMessage()), len(f.GetDetail()), len(f.GetBadRecords()))
	}
	var live Live
	live.setStatus(strings.Repeat("é", 200)[1:])
	live.count(odd, 1)
	live.skip(bad[0], 9)
	for _, m := range []proto.Message{live.Progress(nil), live.counters(nil), live.skipped()} {
		if _, err := proto.Marshal(m); err != nil {
			t.Errorf("%T: %v", m, err)
		}
	}
	if status := live.Progress(nil).GetStatus(); len(status) > maxStatus || !utf8.ValidString(status) {
		t.Errorf("the status is %q", status)
	}
}

func TestCountersAreBounded(t *testing.T) {
	var live Live
	for i := range 300 {
		live.count(strings.Repeat("n", i), 1)
	}
	custom := live.counters(nil).GetCustom()
	if len(custom) > maxCounters {
		t.Errorf("%d counters", len(custom))
	}
	for name := range custom {
		if len(name) > maxCounterName {
			t.Errorf("a name of %d bytes", len(name))
		}
	}
}

func TestPlansThatCannotBeToldAreRefused(t *testing.T) {
	if err := checkPlan(&pb.Plan{Fragments: []*pb.Fragment{{Path: "/data/ö.csv"}}}); err != nil {
		t.Error(err)
	}
	large := &pb.Plan{Fragments: make([]*pb.Fragment, 70)}
	for i := range large.Fragments {
		large.Fragments[i] = &pb.Fragment{Path: strings.Repeat("p", 1<<20)}
	}
	for want, plan := range map[string]*pb.Plan{
		"not UTF-8": {Columns: []*pb.Column{{Name: "\xff"}}},
		"too large": large,
	} {
		if err := checkPlan(plan); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("checkPlan = %v; want %s in it", err, want)
		}
	}
}
