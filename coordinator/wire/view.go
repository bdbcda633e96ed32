package wire

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
)

// maxBarred is how many workers are named that can't run a job.
const maxBarred = 5

// maxSkipped is how many skipped records a job shows.
const maxSkipped = 20

// Job is how a job is, for clients.
func Job(v ledger.JobView, id string) *pb.Job {
	j := &pb.Job{
		Id:        id,
		Name:      name(v.Spec),
		State:     pb.JobState(v.State),
		Paused:    v.Paused,
		Stats:     stats(v),
		Submitted: Moment(v.Submitted),
		Notes:     notes(v),
		User:      v.User,
		Kept:      v.Kept,
	}
	if v.State.Over() {
		j.Ended = Moment(v.Ended)
		j.ResultBytes = v.ResultBytes
	}
	if v.Expires != 0 {
		j.Expires = Moment(v.Expires)
	}
	if v.State == ledger.StateFailed {
		j.Failure, j.FailureClass = failure(v), outcomeClass(v.Class)
	}
	return j
}

// nameField is JobSpec.name.
const nameField = 1

// name is the name in a spec, of which nothing else is decoded: a view is made
// often, and a spec may be large.
func name(spec []byte) string {
	for len(spec) > 0 {
		field, kind, n := protowire.ConsumeTag(spec)
		if n < 0 {
			break
		}
		spec = spec[n:]
		if field == nameField && kind == protowire.BytesType {
			b, _ := protowire.ConsumeBytes(spec)
			return string(b)
		}
		if n = protowire.ConsumeFieldValue(field, kind, spec); n < 0 {
			break
		}
		spec = spec[n:]
	}
	return ""
}

// outcomeClass is a class of the contract; a worker that fell silent is a
// reason to try again.
func outcomeClass(c ledger.OutcomeClass) pb.OutcomeClass {
	if c == ledger.OutcomeExpired {
		return pb.OutcomeClass_OUTCOME_CLASS_RETRYABLE
	}
	return pb.OutcomeClass(c)
}

// failure is why a job failed: what the worker said, after what the ledger has
// to add. That it was said once and for all adds nothing.
func failure(v ledger.JobView) *pb.Failure {
	f := joined(v.Reason, v.Failure)
	if len(v.Failure) == 0 && len(v.FailedOn) > 0 { // else its worker has named it
		f.Message += " (input: " + ranges(v.FailedOn) + ")"
	}
	return f
}

// ranges names what a batch read of the source.
func ranges(list []ledger.Input) string {
	said := make([]string, len(list))
	for i, in := range list {
		f := Fragment(in.Fragment)
		said[i] = fmt.Sprintf("%s %d to %d", cmp.Or(api.ShortName(f.GetUnit()), "bytes"), in.From, in.To)
		if f.GetPath() != "" {
			said[i] = f.GetPath() + ", " + said[i]
		}
	}
	return strings.Join(said, "; ")
}

// Message is what a failure says, as the ledger keeps it; empty when there is
// none.
func Message(said []byte) string { return joined("", said).GetMessage() }

// Remake is why lost parts of a kept result could not be made again.
func Remake(v ledger.JobView) *pb.Failure { return joined(v.Remake, v.RemakeFailure) }

// joined is a worker's failure, after the ledger's reason.
func joined(reason string, said []byte) *pb.Failure {
	f := &pb.Failure{ExitStatus: -1}
	if len(said) > 0 {
		f = unmarshal[pb.Failure](said)
	}
	switch {
	case f.GetMessage() == "":
		f.Message = reason
	case reason != "" && reason != ledger.FailedForGood:
		f.Message = reason + ": " + f.GetMessage()
	}
	return f
}

// notes are what the plan's maker wants said, why a job was cancelled, and what is
// gone of a result.
func notes(v ledger.JobView) []string {
	var said []string
	if v.Plan != nil {
		said = Shared(v.Plan.Payload).GetNotes()
	}
	for _, b := range v.Barred[:min(len(v.Barred), maxBarred)] {
		said = append(said, fmt.Sprintf("worker %s gets nothing of it: %s", b.Worker, b.Reason))
	}
	if more := len(v.Barred) - maxBarred; more > 0 {
		said = append(said, fmt.Sprintf("and so for %d more", more))
	}
	if v.State == ledger.StateCancelled && v.Reason != "" {
		said = append(said, "cancelled: "+v.Reason)
	}
	if v.State == ledger.StateDone && v.Remake != "" {
		said = append(said, "some of the result was lost with its worker, and can't be made again: "+Remake(v).GetMessage())
	}
	return said
}

func stats(v ledger.JobView) *pb.JobStats {
	s := v.Stats
	m := &pb.JobStats{
		BatchesDone:    s.BatchesDone,
		BatchesRunning: s.BatchesRunning,
		PositionsDone:  s.PositionsDone,
		PositionsTotal: s.PositionsTotal,
		Counters:       Counters(s.Counters),
		Retries:        s.Retries,
		Wasted:         s.Wasted,
		BatchRecords:   s.BatchRecords,
		BatchTime:      durationpb.New(s.BatchTime),
		Elapsed:        durationpb.New(s.Elapsed),
		Merges:         s.Merges,
		Skipped:        skipped(v.Skips),
		BatchesRerun:   s.Rerun,
	}
	if s.BatchTime > 0 {
		m.RecordsPerSecond = s.BatchRecords / s.BatchTime.Seconds()
	}
	if s.BatchesDone > 0 {
		m.DelayTime = durationpb.New(s.Elapsed / time.Duration(s.BatchesDone))
	}
	if s.Remaining >= 0 && !v.State.Over() {
		m.Remaining = durationpb.New(s.Remaining)
	}
	return m
}

// skipped gathers the bad records that workers told of.
func skipped(skips [][]byte) []*pb.BadRecord {
	var bad []*pb.BadRecord
	for _, b := range skips {
		bad = append(bad, unmarshal[pb.Failure](b).GetBadRecords()...)
	}
	return bad[:min(len(bad), maxSkipped)]
}

// Counters are counters as a client sees them.
func Counters(c ledger.Counters) *pb.Counters {
	m := &pb.Counters{
		RecordsIn: c.RecordsIn, BytesIn: c.BytesIn,
		RecordsOut: c.RecordsOut, BytesOut: c.BytesOut,
		RecordsSkipped: c.RecordsSkipped,
	}
	if len(c.Custom) > 0 {
		m.Custom = make(map[string]int64, len(c.Custom))
	}
	for _, count := range c.Custom {
		m.Custom[count.Name] = count.Value
	}
	return m
}

// Moment is a moment as the contract has it.
func Moment(t ledger.Time) *timestamppb.Timestamp {
	return timestamppb.New(time.Unix(0, int64(t)))
}
