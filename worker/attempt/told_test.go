package attempt

import (
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

// Whatever programs and file names hold, it can be encoded, or the session would
// break over it for ever.
func TestWhatIsToldCanBeSent(t *testing.T) {
	odd := strings.Repeat("x\xff", 40<<10)
	var live Live
	live.setStatus(strings.Repeat("é", 200)[1:])
	live.count(odd, 1)
	live.skip(&pb.BadRecord{File: odd, Record: odd, Reason: odd}, 9)
	for _, m := range []proto.Message{live.Progress(nil), live.counters(nil), live.skipped()} {
		if _, err := proto.Marshal(m); err != nil {
			t.Errorf("%T: %v", m, err)
		}
	}
	if status := live.Progress(nil).GetStatus(); len(status) > api.MaxProgressBytes || !utf8.ValidString(status) {
		t.Errorf("the status is %q", status)
	}
}

func TestCountersAreBounded(t *testing.T) {
	var live Live
	for i := range 300 {
		live.count(strings.Repeat("n", i), 1)
	}
	custom := live.counters(nil).GetCustom()
	if len(custom) > api.MaxCounters {
		t.Errorf("%d counters", len(custom))
	}
	for name := range custom {
		if len(name) > api.MaxCounterNameBytes {
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
