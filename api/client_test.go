package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	pb "github.com/millrace/millrace/api/millracev1"
)

// fake is a coordinator that answers as a test says.
type fake struct {
	pb.UnimplementedJobServiceServer
	submit func(*pb.SubmitJobRequest) (*pb.SubmitJobResponse, error)
	watch  func(call int, stream grpc.ServerStreamingServer[pb.WatchJobResponse]) error
	result []*pb.ReadResultResponse
	ends   error
	calls  int
}

func (f *fake) SubmitJob(_ context.Context, r *pb.SubmitJobRequest) (*pb.SubmitJobResponse, error) {
	return f.submit(r)
}

func (f *fake) WatchJob(_ *pb.WatchJobRequest, s grpc.ServerStreamingServer[pb.WatchJobResponse]) error {
	f.calls++
	return f.watch(f.calls, s)
}

func (f *fake) ReadResult(_ *pb.ReadResultRequest, s grpc.ServerStreamingServer[pb.ReadResultResponse]) error {
	for _, part := range f.result {
		if err := s.Send(part); err != nil {
			return err
		}
	}
	return f.ends
}

// client serves a fake and dials it.
func (f *fake) client(t *testing.T) *Client {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	pb.RegisterJobServiceServer(server, f)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	client, err := Dial("passthrough:///fake", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		server.Stop()
		<-served
	})
	return client
}

// An error is the same on both sides: nobody has to read its text.
func TestErrorsCrossProcesses(t *testing.T) {
	failure := &pb.Failure{Message: "exit status 3", ExitStatus: 3, Detail: "boom"}
	for code := range Code(len(codeInfos)) {
		sent := &Error{Code: code, Message: "why", Leader: "there:1", Failure: failure}
		f := &fake{submit: func(*pb.SubmitJobRequest) (*pb.SubmitJobResponse, error) {
			return nil, fmt.Errorf("wrapped: %w", sent)
		}}
		_, err := f.client(t).Submit(t.Context(), &pb.JobSpec{}, "")
		var got *Error
		if !errors.As(err, &got) {
			t.Fatalf("%s: %T is no *Error", code, err)
		}
		if got.Code != code || got.Leader != sent.Leader || !proto.Equal(got.Failure, failure) || !strings.Contains(got.Message, "why") {
			t.Errorf("sent %+v, got %+v", sent, got)
		}
	}
}

func TestErrorsOfOthers(t *testing.T) {
	for c, want := range map[codes.Code]Code{
		codes.InvalidArgument: Invalid, codes.NotFound: NotFound, codes.Unavailable: Unavailable,
		codes.ResourceExhausted: Full, codes.Unknown: Internal, codes.Canceled: Cancelled,
	} {
		if got := CodeOf(status.Error(c, "x")); got != want {
			t.Errorf("%s is %s, want %s", c, got, want)
		}
	}
	if got := CodeOf(fmt.Errorf("call: %w", context.Canceled)); got != Cancelled {
		t.Errorf("a cancelled context is %s", got)
	}
	if AsError(nil) != nil {
		t.Error("nil is an error")
	}
}

func TestSubmitHasKeyAndPlan(t *testing.T) {
	var got []*pb.SubmitJobRequest
	f := &fake{submit: func(r *pb.SubmitJobRequest) (*pb.SubmitJobResponse, error) {
		got = append(got, r)
		return &pb.SubmitJobResponse{Job: &pb.Job{Id: "j1"}}, nil
	}}
	client := f.client(t)
	job, err := client.Submit(t.Context(), &pb.JobSpec{Name: "n"}, "key")
	if err != nil || job.GetId() != "j1" {
		t.Fatal(job, err)
	}
	if _, err := client.Plan(t.Context(), &pb.JobSpec{}); err != nil {
		t.Fatal(err)
	}
	if got[0].GetKey() != "key" || got[0].GetPlanOnly() || !got[1].GetPlanOnly() {
		t.Errorf("sent %v", got)
	}
}

func job(state pb.JobState) *pb.WatchJobResponse {
	return &pb.WatchJobResponse{Job: &pb.Job{Id: "j", State: state}}
}

// A watch goes on over a new connection, and ends with the job.
func TestWatchComesBack(t *testing.T) {
	f := &fake{watch: func(call int, s grpc.ServerStreamingServer[pb.WatchJobResponse]) error {
		if call == 1 {
			s.Send(job(pb.JobState_JOB_STATE_RUNNING))
			return status.Error(codes.Unavailable, "the leader steps down")
		}
		return s.Send(job(pb.JobState_JOB_STATE_DONE))
	}}
	var states []pb.JobState
	for job, err := range f.client(t).Watch(t.Context(), "j") {
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, job.GetState())
	}
	if len(states) != 2 || states[1] != pb.JobState_JOB_STATE_DONE {
		t.Errorf("told %v", states)
	}
}

// What never answered is not asked again, and neither is one that says no.
func TestWatchEndsWithAnError(t *testing.T) {
	for _, c := range []codes.Code{codes.Unavailable, codes.NotFound} {
		f := &fake{watch: func(int, grpc.ServerStreamingServer[pb.WatchJobResponse]) error {
			return status.Error(c, "no")
		}}
		pairs := 0
		for job, err := range f.client(t).Watch(t.Context(), "j") {
			pairs++
			if err == nil || job != nil {
				t.Errorf("%s: %v, %v", c, job, err)
			}
		}
		if pairs != 1 || f.calls != 1 {
			t.Errorf("%s: %d pairs of %d calls", c, pairs, f.calls)
		}
	}
}

func TestWatchEndsWithItsReader(t *testing.T) {
	f := &fake{watch: func(_ int, s grpc.ServerStreamingServer[pb.WatchJobResponse]) error {
		for s.Context().Err() == nil {
			if err := s.Send(job(pb.JobState_JOB_STATE_RUNNING)); err != nil {
				return err
			}
		}
		return s.Context().Err()
	}}
	for range f.client(t).Watch(t.Context(), "j") {
		break
	}
}

func parts() []*pb.ReadResultResponse {
	return []*pb.ReadResultResponse{
		{Header: &pb.ResultHeader{Format: pb.Format_FORMAT_LINES}, Data: []byte("a1"), BeginsOutput: true},
		{Data: []byte("a2")},
		{BeginsOutput: true},
		{Data: []byte("b1")},
		{Data: []byte("c1"), BeginsOutput: true},
	}
}

func TestResultIsAReader(t *testing.T) {
	f := &fake{result: parts()}
	client := f.client(t)
	for name, read := range map[string]func(r *Result) (string, error){
		"Read": func(r *Result) (string, error) { b, err := io.ReadAll(iotest.OneByteReader(r)); return string(b), err },
		"WriteTo": func(r *Result) (string, error) {
			var b strings.Builder
			_, err := io.Copy(&b, r)
			return b.String(), err
		},
	} {
		r, err := client.Result(t.Context(), "j")
		if err != nil {
			t.Fatal(err)
		}
		if r.Header().GetFormat() != pb.Format_FORMAT_LINES {
			t.Errorf("header %v", r.Header())
		}
		if got, err := read(r); err != nil || got != "a1a2b1c1" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		r.Close()
	}
}

func TestResultByOutputs(t *testing.T) {
	f := &fake{result: parts()}
	r, err := f.client(t).Result(t.Context(), "j")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var outputs []string
	for output, err := range r.Outputs() {
		if err != nil {
			t.Fatal(err)
		}
		if len(outputs) == 1 {
			outputs = append(outputs, "skipped") // its bytes are not read
			continue
		}
		b, err := io.ReadAll(output)
		if err != nil {
			t.Fatal(err)
		}
		outputs = append(outputs, string(b))
	}
	if got := strings.Join(outputs, " "); got != "a1a2 skipped c1" {
		t.Errorf("outputs: %s", got)
	}
}

// A job that fails ends its result with its own error, not with an end of file.
func TestResultOfAFailedJob(t *testing.T) {
	f := &fake{result: parts()[:2], ends: &Error{Code: Failed, Message: "a batch failed", Failure: &pb.Failure{Message: "x"}}}
	client := f.client(t)
	r, err := client.Result(t.Context(), "j")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if string(got) != "a1a2" || err == nil || CodeOf(err) != Failed || AsError(err).Failure.GetMessage() != "x" {
		t.Errorf("%q, %v", got, err)
	}
	f.result = nil
	if _, err := client.Result(t.Context(), "j"); err == nil || CodeOf(err) != Failed {
		t.Errorf("before any byte: %v", err)
	}
}

func TestResultWithoutAnything(t *testing.T) {
	r, err := (&fake{}).client(t).Result(t.Context(), "j")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
	for range r.Outputs() {
		t.Error("an output")
	}
}
