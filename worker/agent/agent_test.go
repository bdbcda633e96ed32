package agent_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/agent"
	"github.com/millrace/millrace/worker/processor/command"
)

// boss is the coordinator's end of sessions, led by a test.
type boss struct {
	pb.UnimplementedWorkerServiceServer
	heard   chan *pb.SessionRequest // of all sessions
	says    chan *pb.SessionResponse
	uploads chan string

	mu        sync.Mutex
	interrupt context.CancelFunc
	ended     chan error // ends the session at hand with an error
}

// refuse ends the session at hand with an error.
func (b *boss) refuse(err error) { b.ended <- err }

// Session passes messages between the worker and the test.
func (b *boss) Session(stream grpc.BidiStreamingServer[pb.SessionRequest, pb.SessionResponse]) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	b.mu.Lock()
	b.interrupt = cancel
	b.mu.Unlock()
	go func() {
		for {
			request, err := stream.Recv()
			if err != nil {
				cancel()
				return
			}
			b.heard <- request
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-b.ended:
			return err
		case response := <-b.says:
			if err := stream.Send(response); err != nil {
				return err
			}
		}
	}
}

// Upload gathers an output.
func (b *boss) Upload(stream grpc.ClientStreamingServer[pb.UploadRequest, pb.UploadResponse]) error {
	var text strings.Builder
	for {
		part, err := stream.Recv()
		if err == io.EOF {
			b.uploads <- text.String()
			return stream.SendAndClose(&pb.UploadResponse{})
		}
		if err != nil {
			return err
		}
		if part.GetTicket() != "" {
			fmt.Fprintf(&text, "%s: ", part.GetTicket())
		}
		if part.GetFailure() != nil {
			fmt.Fprintf(&text, "failed: %s", part.GetFailure().GetMessage())
		}
		text.Write(part.GetData())
	}
}

// hear waits for a message that has what the test wants.
func hear[T any](t *testing.T, b *boss, want func(*pb.SessionRequest) (T, bool)) T {
	t.Helper()
	for {
		select {
		case request := <-b.heard:
			if found, ok := want(request); ok {
				return found
			}
		case <-t.Context().Done():
			t.Fatal("the worker never said it")
		}
	}
}

func attach(r *pb.SessionRequest) (*pb.Attach, bool) { return r.GetAttach(), r.GetAttach() != nil }

func outcome(r *pb.SessionRequest) (*pb.Outcome, bool) {
	if len(r.GetOutcomes()) == 0 {
		return nil, false
	}
	return r.GetOutcomes()[0], true
}

func answer() *pb.SessionResponse {
	return &pb.SessionResponse{Attached: &pb.Attached{
		Term: 1, Lease: durationpb.New(10 * time.Second), Heartbeat: durationpb.New(time.Second),
	}}
}

// hand is a running worker.
type hand struct {
	*agent.Agent
	folder string
	cancel context.CancelFunc
	ended  chan error
}

// stop ends the worker at once.
func (h *hand) stop() {
	h.cancel()
	<-h.ended
}

// start runs a worker against a boss.
func start(t *testing.T, change ...func(*agent.Config)) (*boss, *hand) {
	t.Helper()
	b := &boss{heard: make(chan *pb.SessionRequest, 64), says: make(chan *pb.SessionResponse), uploads: make(chan string, 1), ended: make(chan error)}
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	pb.RegisterWorkerServiceServer(server, b)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///boss", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	folder := t.TempDir()
	config := agent.Config{Name: "w1", Slots: 2, MemoryBytes: 1 << 28, SpoolFolder: folder, Conn: conn, AllowCommands: command.Allowed{command.Any}}
	for _, c := range change {
		c(&config)
	}
	a, err := agent.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	h := &hand{Agent: a, folder: folder, cancel: cancel, ended: make(chan error, 1)}
	go func() { h.ended <- a.Run(ctx) }()
	return b, h
}

// work is a batch of inline records for a program.
func work(batch uint64, argv ...string) *pb.SessionResponse {
	return &pb.SessionResponse{
		Jobs: []*pb.JobContext{{
			Digest: strings.Join(argv, " "), Job: 1, JobId: "job",
			Spec: &pb.JobSpec{Source: &pb.Source{Records: []string{"a", "b"}}},
			Plan: &pb.Plan{Format: pb.Format_FORMAT_LINES},
			Stage: &pb.StagePlan{
				Name: "stage", Output: pb.OutputKind_OUTPUT_KIND_BYTES,
				Steps: []*pb.Step{{Processor: &pb.Step_Command{Command: &pb.CommandStep{
					Argv: argv, Options: &pb.CommandOptions{InputFormat: pb.Format_FORMAT_LINES, OutputFormat: pb.Format_FORMAT_LINES},
				}}}},
			},
		}},
		Grants: []*pb.Lease{{
			Fence: &pb.Fence{Job: 1, Batch: batch, Attempt: 1, Term: 1}, Kind: pb.LeaseKind_LEASE_KIND_PROCESS,
			Context: strings.Join(argv, " "),
			Splits:  []*pb.Split{{From: 0, To: 2, Source: &pb.Fragment{Unit: pb.Unit_UNIT_RECORDS, Extent: 2}}},
		}},
	}
}

func TestALeaseFromGrantToUpload(t *testing.T) {
	b, h := start(t)
	hello := hear(t, b, attach)
	if hello.GetWorker() != "w1" || hello.GetSlots() != 2 || len(hello.GetProcessors()) == 0 {
		t.Errorf("the worker introduces itself as %v", hello)
	}
	b.says <- answer()
	b.says <- work(7, "tr", "a-z", "A-Z")
	done := hear(t, b, outcome)
	if done.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_DONE || done.GetFence().GetBatch() != 7 ||
		done.GetCounters().GetRecordsOut() != 2 || done.GetOutput().GetBytes() != 4 {
		t.Fatalf("the outcome is %v", done)
	}
	b.says <- &pb.SessionResponse{
		Acks:  []*pb.OutcomeAck{{Fence: done.GetFence()}},
		Sends: []*pb.Send{{Ticket: "ticket", Output: done.GetOutput()}},
	}
	if got := <-b.uploads; got != "ticket: A\nB\n" {
		t.Errorf("uploaded %q", got)
	}
	path := done.GetOutput().GetPath()
	b.says <- &pb.SessionResponse{EndedJobs: []uint64{1}}
	b.says <- &pb.SessionResponse{Sends: []*pb.Send{{Ticket: "late", Output: done.GetOutput()}}}
	if got := <-b.uploads; !strings.HasPrefix(got, "late: failed: ") {
		t.Errorf("an output of an ended job was uploaded: %q", got)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("an output of an ended job is still there")
	}
	h.stop()
	if left, _ := os.ReadDir(h.folder); len(left) > 0 {
		t.Errorf("the worker left %v behind", left)
	}
}

// An outcome that nobody acknowledged is told again when the session is new.
func TestAnOutcomeIsKeptUntilAcknowledged(t *testing.T) {
	b, h := start(t)
	defer h.stop()
	first := hear(t, b, attach)
	b.says <- answer()
	b.says <- work(3, "cat")
	told := hear(t, b, outcome)
	b.mu.Lock()
	b.interrupt()
	b.mu.Unlock()
	again := hear(t, b, attach)
	if again.GetSession() <= first.GetSession() {
		t.Errorf("the session's number is %d after %d", again.GetSession(), first.GetSession())
	}
	if len(again.GetOutcomes()) != 1 || again.GetOutcomes()[0].GetFence().String() != told.GetFence().String() {
		t.Errorf("the inventory has the outcomes %v", again.GetOutcomes())
	}
	if jobs := again.GetJobs(); len(jobs) != 1 || jobs[0] != 1 {
		t.Errorf("the inventory has the jobs %v", jobs)
	}
	if granted := again.GetOutcomes()[0].GetGranted(); granted.GetKind() != pb.LeaseKind_LEASE_KIND_PROCESS || len(granted.GetSplits()) > 0 {
		t.Errorf("an inventory has a lease without its files, not %v", granted)
	}
}

// A revoked lease stops, its program with it.
func TestARevokedLeaseStops(t *testing.T) {
	b, h := start(t)
	defer h.stop()
	hear(t, b, attach)
	b.says <- answer()
	grant := work(4, "sleep", "600")
	b.says <- grant
	b.says <- &pb.SessionResponse{Revokes: []*pb.Revoke{{Fence: grant.GetGrants()[0].GetFence()}}}
	if ended := hear(t, b, outcome); ended.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_CANCELLED {
		t.Errorf("the outcome is %v", ended)
	}
}

// A worker that is alone takes its jobs with it, and leaves nothing of them in
// their sinks; any other leaves the files of jobs that go on.
func TestWhatLiesAsideGoesWithTheLastWorker(t *testing.T) {
	for _, alone := range []bool{true, false} {
		b, h := start(t, func(c *agent.Config) { c.Alone = alone })
		hear(t, b, attach)
		b.says <- answer()
		out := filepath.Join(t.TempDir(), "out")
		grant := work(5, "cat")
		grant.Jobs[0].Spec.Sink = &pb.Sink{Files: &pb.FileSink{Folder: out}}
		grant.Jobs[0].Stage.Output = pb.OutputKind_OUTPUT_KIND_FILE
		b.says <- grant
		done := hear(t, b, outcome)
		if done.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_DONE {
			t.Fatalf("the outcome is %v", done)
		}
		h.stop()
		if _, err := os.Stat(out); (err == nil) == alone {
			t.Errorf("alone %t: the folder: %v", alone, err)
		}
	}
}

func TestADrainedWorkerLeaves(t *testing.T) {
	b, h := start(t)
	hear(t, b, attach)
	b.says <- answer()
	h.Drain(time.Minute)
	drains := false
	beat := hear(t, b, func(r *pb.SessionRequest) (uint64, bool) {
		drains = drains || r.GetDrain()
		return r.GetHeartbeat().GetSequence(), drains && r.GetHeartbeat() != nil
	})
	b.says <- &pb.SessionResponse{Heartbeat: beat}
	if err := <-h.ended; err != nil {
		t.Errorf("Run = %v", err)
	}
}

func TestAWrongConfigurationSaysAll(t *testing.T) {
	_, err := agent.New(agent.Config{})
	for _, want := range []string{"name", "memory", "connection", "slots"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}
