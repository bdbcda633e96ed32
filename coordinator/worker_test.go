package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

// fakeWorker is a worker's end of a session, driven by a test. What it is told
// lies in said until the test looks at it.
type fakeWorker struct {
	*world
	name     string
	stream   grpc.BidiStreamingClient[pb.SessionRequest, pb.SessionResponse]
	hangUp   func()
	said     pb.SessionResponse
	contexts map[string]*pb.JobContext
	outputs  map[string][]byte
}

// dial opens a session without saying anything.
func (w *world) dial() *fakeWorker {
	w.Helper()
	ctx, cancel := context.WithCancel(w.ctx)
	stream, err := pb.NewWorkerServiceClient(w.conn).Session(ctx)
	w.must(err)
	return &fakeWorker{
		world: w, stream: stream, hangUp: cancel,
		contexts: make(map[string]*pb.JobContext), outputs: make(map[string][]byte),
	}
}

// attach opens a session of a worker that runs anything.
func (w *world) attach(name string, session uint64) *fakeWorker {
	w.Helper()
	f := w.dial()
	f.introduce(&pb.Attach{Protocol: api.Protocol, Worker: name, Session: session, Slots: 64, MemoryBytes: 1 << 30, Processors: []string{"sql", "command:*"}})
	return f
}

func (f *fakeWorker) introduce(a *pb.Attach) {
	f.Helper()
	f.name = a.GetWorker()
	f.send(&pb.SessionRequest{Attach: a})
	f.hear(func() bool { return f.said.Attached != nil })
}

func (f *fakeWorker) send(r *pb.SessionRequest) {
	f.Helper()
	f.must(f.stream.Send(r))
}

func (f *fakeWorker) credit(batches uint32) {
	f.Helper()
	f.send(&pb.SessionRequest{Credit: &pb.Credit{Batches: batches, Bytes: 1 << 40}})
}

// hear takes messages until the test has what it wants.
func (f *fakeWorker) hear(enough func() bool) {
	f.Helper()
	for !enough() {
		m, err := f.stream.Recv()
		if err != nil {
			f.Fatalf("worker %s: the session ended: %v", f.name, err)
		}
		f.file(m)
	}
}

// file adds a message to what was said.
func (f *fakeWorker) file(m *pb.SessionResponse) {
	if m.Attached != nil {
		f.said.Attached = m.Attached
	}
	for _, j := range m.Jobs {
		if f.contexts[j.GetDigest()] != nil {
			f.Errorf("context %.8s was sent twice", j.GetDigest())
		}
		f.contexts[j.GetDigest()] = j
	}
	if m.Drain {
		f.said.Drain, f.said.DrainWithin = true, m.DrainWithin
	}
	f.said.Heartbeat = max(f.said.Heartbeat, m.Heartbeat)
	f.said.Grants = append(f.said.Grants, m.Grants...)
	f.said.Acks = append(f.said.Acks, m.Acks...)
	f.said.Revokes = append(f.said.Revokes, m.Revokes...)
	f.said.DropOutputs = append(f.said.DropOutputs, m.DropOutputs...)
	f.said.CheckSinks = append(f.said.CheckSinks, m.CheckSinks...)
	f.said.Sends = append(f.said.Sends, m.Sends...)
	f.said.EndedJobs = append(f.said.EndedJobs, m.EndedJobs...)
}

// grant takes the next lease.
func (f *fakeWorker) grant() *pb.Lease {
	f.Helper()
	f.hear(func() bool { return len(f.said.Grants) > 0 })
	l := f.said.Grants[0]
	f.said.Grants = f.said.Grants[1:]
	if f.contexts[l.GetContext()] == nil {
		f.Fatalf("lease %v came before its context", l.GetFence())
	}
	return l
}

// grants takes so many leases.
func (f *fakeWorker) grants(n int) []*pb.Lease {
	f.Helper()
	var leases []*pb.Lease
	for range n {
		leases = append(leases, f.grant())
	}
	return leases
}

// ack takes the next acknowledgement.
func (f *fakeWorker) ack() *pb.OutcomeAck {
	f.Helper()
	f.hear(func() bool { return len(f.said.Acks) > 0 })
	a := f.said.Acks[0]
	f.said.Acks = f.said.Acks[1:]
	return a
}

// sent takes the next order to upload.
func (f *fakeWorker) sent() *pb.Send {
	f.Helper()
	f.hear(func() bool { return len(f.said.Sends) > 0 })
	s := f.said.Sends[0]
	f.said.Sends = f.said.Sends[1:]
	return s
}

// done reports a lease as done, with an output unless that is empty.
func (f *fakeWorker) done(l *pb.Lease, output []byte) {
	f.Helper()
	f.send(&pb.SessionRequest{Outcomes: []*pb.Outcome{f.outcome(l, output)}})
}

func (f *fakeWorker) outcome(l *pb.Lease, output []byte) *pb.Outcome {
	o := &pb.Outcome{
		Fence: l.GetFence(), Class: pb.OutcomeClass_OUTCOME_CLASS_DONE, Elapsed: durationpb.New(1e6),
		Counters: &pb.Counters{RecordsIn: l.GetEndPosition() - l.GetPosition(), RecordsOut: 1},
	}
	if len(output) > 0 {
		id := fmt.Sprintf("%s-%d-%d-%d", f.name, l.GetFence().GetJob(), l.GetFence().GetBatch(), l.GetFence().GetAttempt())
		o.Output = &pb.OutputRef{
			Id: id, Worker: f.name, Kind: pb.OutputKind_OUTPUT_KIND_BYTES,
			Bytes: int64(len(output)), Records: 1, Job: l.GetFence().GetJob(),
		}
		f.outputs[id] = output
	}
	return o
}

// plan answers a planning lease.
func (f *fakeWorker) plan(p *pb.Plan) {
	f.Helper()
	l := f.grant()
	if l.GetKind() != pb.LeaseKind_LEASE_KIND_PLAN {
		f.Fatalf("a lease of kind %s came in place of planning", l.GetKind())
	}
	f.send(&pb.SessionRequest{Outcomes: []*pb.Outcome{{
		Fence: l.GetFence(), Class: pb.OutcomeClass_OUTCOME_CLASS_DONE, Plan: p,
	}}})
	if a := f.ack(); a.GetStale() {
		f.Fatalf("the plan was refused: %s", a.GetReason())
	}
}

// upload sends an output in chunks, and says how that ended.
func (f *fakeWorker) upload(s *pb.Send, chunk int) error {
	stream, err := pb.NewWorkerServiceClient(f.conn).Upload(f.ctx)
	if err != nil {
		return err
	}
	ticket := s.GetTicket()
	for part := range slices.Chunk(f.outputs[s.GetOutput().GetId()], chunk) {
		if stream.Send(&pb.UploadRequest{Ticket: ticket, Data: part}) != nil {
			break // the answer says why
		}
		ticket = ""
	}
	_, err = stream.CloseAndRecv()
	return err
}

// serve uploads whatever is asked for, and nothing else is heard meanwhile,
// until the session ends.
func (f *fakeWorker) serve() {
	for {
		for _, s := range f.said.Sends {
			if err := f.upload(s, 1000); err != nil && !over(err) {
				f.Errorf("upload of %s: %v", s.GetOutput().GetId(), err)
			}
		}
		f.said.Sends = nil
		m, err := f.stream.Recv()
		if err != nil {
			return
		}
		f.file(m)
	}
}

// over says whether an upload was ended because the test may be over.
func over(err error) bool {
	return slices.Contains([]api.Code{api.Cancelled, api.Unavailable}, api.CodeOf(err))
}

// ended waits for the end of a session, and is its error.
func (f *fakeWorker) ended() error {
	for {
		m, err := f.stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		f.file(m)
	}
}

// runJob has one worker do a whole job whose batch i has output(i).
func (w *world) runJob(f *fakeWorker, batches int64, output func(i int64) []byte) *pb.Job {
	w.Helper()
	told := w.submit("")
	f.credit(uint32(batches) + 1)
	f.plan(plan(batches))
	for range batches {
		l := f.grant()
		f.done(l, output(l.GetPosition()))
	}
	return told
}

// openUpload is an upload that a test drives message by message.
type openUpload struct {
	stream grpc.ClientStreamingClient[pb.UploadRequest, pb.UploadResponse]
	hangUp func()
}

func (w *world) upload() openUpload {
	w.Helper()
	ctx, cancel := context.WithCancel(w.ctx)
	stream, err := pb.NewWorkerServiceClient(w.conn).Upload(ctx)
	w.must(err)
	return openUpload{stream, cancel}
}
