package agent_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/agent"
	"github.com/millrace/millrace/worker/processor/command"
	"github.com/millrace/millrace/worker/roots"
)

func TestWhatAWorkerSaysOfItself(t *testing.T) {
	root := t.TempDir()
	r, err := roots.Open([]string{root})
	if err != nil {
		t.Fatal(err)
	}
	b, h := start(t, func(c *agent.Config) {
		c.Zone, c.Version, c.Incarnation, c.DataAddresses, c.Roots = "rack", "v7", 70, []string{"h:1"}, r
		c.AllowCommands = command.Allowed{"cat", "wc"}
	})
	defer h.stop()
	a := hear(t, b, attach)
	if a.GetProtocol() != api.Protocol || a.GetZone() != "rack" || a.GetVersion() != "v7" || a.GetIncarnation() != 70 || a.GetSession() != 71 ||
		!slices.Equal(a.GetDataAddresses(), []string{"h:1"}) || !slices.Equal(a.GetDataRoots(), []string{root}) {
		t.Errorf("the attach is %v", a)
	}
	if p := a.GetProcessors(); !slices.Contains(p, "command:cat") || !slices.Contains(p, "command:wc") || slices.Contains(p, "command:*") {
		t.Errorf("it runs %v", p)
	}
}

func TestAWorkerOfItsOwnUserServesEverything(t *testing.T) {
	b, h := start(t)
	defer h.stop()
	a := hear(t, b, attach)
	if !slices.Equal(a.GetDataRoots(), []string{"/"}) || !slices.Contains(a.GetProcessors(), "command:*") {
		t.Errorf("the attach is %v", a)
	}
}

// A program that is not allowed is not started, whoever planned it.
func TestProgramsThatAreNotAllowed(t *testing.T) {
	b, h := start(t, func(c *agent.Config) { c.AllowCommands = command.Allowed{"cat"} })
	defer h.stop()
	hear(t, b, attach)
	b.says <- answer()
	trace := filepath.Join(t.TempDir(), "trace")
	b.says <- work(1, "touch", trace)
	refused := hear(t, b, outcome)
	if refused.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_UNABLE || !strings.Contains(refused.GetFailure().GetMessage(), `"touch"`) {
		t.Errorf("the outcome is %v", refused)
	}
	if _, err := os.Stat(trace); err == nil {
		t.Error("it ran")
	}
}

// Files outside of the roots are not read, whatever a lease says, and not
// written.
func TestFilesOutsideOfTheRoots(t *testing.T) {
	base := t.TempDir()
	if err := os.Mkdir(base+"/root", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(base+"/secret", []byte("secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(base + "/secret")
	if err != nil {
		t.Fatal(err)
	}
	r, err := roots.Open([]string{base + "/root"})
	if err != nil {
		t.Fatal(err)
	}
	b, h := start(t, func(c *agent.Config) { c.Roots = r })
	defer h.stop()
	hear(t, b, attach)
	b.says <- answer()
	read := work(1, "cat")
	read.Grants[0].Splits[0] = &pb.Split{To: info.Size(), Source: &pb.Fragment{
		Path: base + "/secret", SizeBytes: info.Size(), ModifiedUnixNanos: info.ModTime().UnixNano(), Unit: pb.Unit_UNIT_BYTES, Extent: info.Size(),
	}}
	written := work(2, "cat", "-")
	written.Jobs[0].Spec.Sink = &pb.Sink{Files: &pb.FileSink{Folder: base + "/out"}}
	written.Jobs[0].Stage.Output = pb.OutputKind_OUTPUT_KIND_FILE
	for _, says := range []*pb.SessionResponse{read, written} {
		b.says <- says
		gone := hear(t, b, outcome)
		if gone.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_INPUT_GONE || !strings.Contains(gone.GetFailure().GetMessage(), base+"/root") {
			t.Errorf("the outcome is %v", gone)
		}
	}
	if _, err := os.Stat(base + "/out"); err == nil {
		t.Error("a folder outside was made")
	}
}

// A worker says what it sees of an output folder, beside all leases.
func TestLookingAtAnOutputFolder(t *testing.T) {
	b, h := start(t)
	defer h.stop()
	hear(t, b, attach)
	b.says <- answer()
	sight := func(r *pb.SessionRequest) (*pb.SinkSight, bool) {
		if len(r.GetSinks()) == 0 {
			return nil, false
		}
		return r.GetSinks()[0], true
	}
	folder := t.TempDir()
	for marker, want := range map[string]pb.SinkView{"": pb.SinkView_SINK_VIEW_SEEN, "planned": pb.SinkView_SINK_VIEW_UNSEEN} {
		job := work(1, "cat").Jobs[0]
		job.Digest, job.JobId = "digest"+marker, "j"
		job.Spec.Sink = &pb.Sink{Files: &pb.FileSink{Folder: folder}}
		job.Plan = &pb.Plan{SinkMarker: marker}
		b.says <- &pb.SessionResponse{
			Jobs: []*pb.JobContext{job}, CheckSinks: []*pb.SinkCheck{{Job: job.GetJob(), Context: job.GetDigest()}},
		}
		got := hear(t, b, sight)
		if got.GetJob() != job.GetJob() || got.GetView() != want || (got.GetReason() == "") != (marker == "") {
			t.Errorf("marker %q: %v", marker, got)
		}
	}
}

// The coordinator empties a worker and says how long that may take.
func TestADrainWithATime(t *testing.T) {
	b, h := start(t)
	hear(t, b, attach)
	b.says <- answer()
	b.says <- work(1, "sleep", "600")
	hear(t, b, func(r *pb.SessionRequest) (bool, bool) { return true, len(r.GetHeartbeat().GetProgress()) > 0 })
	b.says <- &pb.SessionResponse{Drain: true, DrainWithin: durationpb.New(time.Millisecond)}
	returned := hear(t, b, outcome)
	if returned.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_RETURNED {
		t.Errorf("the outcome is %v", returned)
	}
	b.says <- &pb.SessionResponse{Acks: []*pb.OutcomeAck{{Fence: returned.GetFence()}}, Heartbeat: 1 << 40}
	if err := <-h.ended; err != nil {
		t.Errorf("Run = %v", err)
	}
}

// A worker that drains serves what it holds until nobody needs it any more.
func TestADrainWithOutputs(t *testing.T) {
	b, h := start(t)
	hear(t, b, attach)
	b.says <- answer()
	b.says <- work(1, "cat")
	done := hear(t, b, outcome)
	b.says <- &pb.SessionResponse{Acks: []*pb.OutcomeAck{{Fence: done.GetFence()}}, Drain: true}
	hear(t, b, func(r *pb.SessionRequest) (bool, bool) { return true, r.GetDrain() })
	b.says <- &pb.SessionResponse{Heartbeat: 1 << 40}
	b.says <- &pb.SessionResponse{Sends: []*pb.Send{{Ticket: "ticket", Output: done.GetOutput()}}}
	if got := <-b.uploads; got != "ticket: a\nb\n" {
		t.Errorf("uploaded %q", got)
	}
	b.says <- &pb.SessionResponse{Leave: true}
	if err := <-h.ended; err != nil {
		t.Errorf("Run = %v", err)
	}
}

// What the coordinator can't talk with ends with its reason; what it has no
// place for right now asks again.
func TestRefusals(t *testing.T) {
	b, h := start(t)
	hear(t, b, attach)
	b.refuse(api.Errorf(api.Conflict, "another worker is called w1"))
	hear(t, b, attach)
	b.refuse(api.Errorf(api.Full, "too many sessions"))
	hear(t, b, attach)
	b.refuse(api.Errorf(api.Invalid, "upgrade the worker"))
	if err := <-h.ended; api.CodeOf(err) != api.Invalid || !strings.Contains(err.Error(), "upgrade the worker") {
		t.Errorf("Run = %v", err)
	}
}

// A coordinator that was started again knows no jobs: leases end without a word
// more, and nothing of theirs stays in the spool.
func TestARestartedCoordinatorKnowsNothing(t *testing.T) {
	b, h := start(t)
	defer h.stop()
	hear(t, b, attach)
	b.says <- answer()
	b.says <- work(1, "cat")
	hear(t, b, outcome)
	b.says <- work(2, "sleep", "600")
	beat := func(jobs bool) func(*pb.SessionRequest) (bool, bool) {
		return func(r *pb.SessionRequest) (bool, bool) {
			beat := r.GetHeartbeat()
			return true, beat != nil && (len(beat.GetProgress()) > 0) == jobs && (beat.GetSpoolBytes() > 0) == jobs
		}
	}
	hear(t, b, beat(true))
	b.mu.Lock()
	b.interrupt()
	b.mu.Unlock()
	again := hear(t, b, attach)
	if len(again.GetLeases()) != 1 || len(again.GetOutcomes()) != 1 || !slices.Equal(again.GetJobs(), []uint64{1}) {
		t.Errorf("the inventory is %v", again)
	}
	restarted := answer()
	restarted.EndedJobs = []uint64{1}
	b.says <- restarted
	hear(t, b, beat(false))
	if files, _ := filepath.Glob(filepath.Join(h.folder, "spool-*", "*")); len(files) != 1 {
		t.Errorf("the spool holds %q, and should hold its lock alone", files)
	}
}
