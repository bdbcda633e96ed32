package attempt

import (
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// Bounds of what an attempt tells the coordinator, in bytes where they are not
// counts. Programs, file names and records decide what the texts hold, and a
// message that is too long or not UTF-8 can't be sent: the session would break
// over it again and again.
const (
	maxMessage     = 16 << 10
	maxDetail      = 8 << 10
	maxSignal      = 64
	maxBadRecords  = 20
	maxRecord      = 200
	maxReason      = 1 << 10
	maxFile        = 4 << 10
	maxCounters    = 100
	maxCounterName = 100
	maxStatus      = 200
	maxPlan        = 60 << 20 // what else is in a message fits into 64 MiB with it
)

// clip is the start of a text, as valid UTF-8 of at most so many bytes.
func clip(text string, most int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}

// bounded is a failure as it may be told. The one given may be shared, and stays
// as it is.
func bounded(f *pb.Failure) *pb.Failure {
	if f == nil {
		return nil
	}
	return &pb.Failure{
		Message: clip(f.GetMessage(), maxMessage), ExitStatus: f.GetExitStatus(), Signal: clip(f.GetSignal(), maxSignal),
		Detail: clipStart(f.GetDetail(), maxDetail), BadRecords: boundedRecords(f.GetBadRecords()),
	}
}

// clipStart is the end of a text, as clip is its start: a program's last words
// tell more than its first.
func clipStart(text string, most int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= most {
		return text
	}
	from := len(text) - most
	for from < len(text) && !utf8.RuneStart(text[from]) {
		from++
	}
	return text[from:]
}

func boundedRecords(list []*pb.BadRecord) []*pb.BadRecord {
	var records []*pb.BadRecord
	for _, bad := range list[:min(len(list), maxBadRecords)] {
		records = append(records, boundedRecord(bad))
	}
	return records
}

func boundedRecord(bad *pb.BadRecord) *pb.BadRecord {
	return &pb.BadRecord{
		File: clip(bad.GetFile(), maxFile), Offset: bad.GetOffset(),
		Record: clip(bad.GetRecord(), maxRecord), Reason: clip(bad.GetReason(), maxReason),
	}
}

// checkPlan fails when a plan can't be told.
func checkPlan(plan *pb.Plan) error {
	encoded, err := proto.Marshal(plan)
	if err != nil {
		return processor.Fatal("the plan can't be told, since it holds a name that is not UTF-8 (of a column, say): %v", err)
	}
	if len(encoded) > maxPlan {
		return processor.Fatal("the plan is too large, with %d bytes for %d files (at most %d bytes): "+
			"give the files in several jobs, or join small ones", len(encoded), len(plan.GetFragments()), maxPlan)
	}
	return nil
}
