package api

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	pb "github.com/millrace/millrace/api/millracev1"
)

// overseer is a coordinator that answers of workers, and keeps what it was asked.
type overseer struct {
	pb.UnimplementedFleetServiceServer
	pb.UnimplementedJobServiceServer
	drained  *pb.DrainWorkersRequest
	cordoned *pb.WorkerSelector
	removed  string
	skipped  uint64
	located  []*pb.LocateResultResponse
	ends     error
}

var someWorkers = []*pb.Worker{{Name: "a"}, {Name: "b"}}

func (o *overseer) ListWorkers(context.Context, *pb.ListWorkersRequest) (*pb.ListWorkersResponse, error) {
	return &pb.ListWorkersResponse{Workers: someWorkers}, o.ends
}

func (o *overseer) DrainWorkers(_ context.Context, r *pb.DrainWorkersRequest) (*pb.DrainWorkersResponse, error) {
	o.drained = r
	return &pb.DrainWorkersResponse{Workers: someWorkers[:1]}, nil
}

func (o *overseer) CordonWorkers(_ context.Context, r *pb.CordonWorkersRequest) (*pb.CordonWorkersResponse, error) {
	o.cordoned = r.GetWorkers()
	return &pb.CordonWorkersResponse{Workers: someWorkers[:1]}, nil
}

func (o *overseer) UncordonWorkers(_ context.Context, r *pb.UncordonWorkersRequest) (*pb.UncordonWorkersResponse, error) {
	o.cordoned = nil
	return &pb.UncordonWorkersResponse{Workers: someWorkers[:1]}, nil
}

func (o *overseer) RemoveJob(_ context.Context, r *pb.RemoveJobRequest) (*pb.RemoveJobResponse, error) {
	o.removed = r.GetId()
	return &pb.RemoveJobResponse{}, nil
}

func (o *overseer) ReadResult(r *pb.ReadResultRequest, s grpc.ServerStreamingServer[pb.ReadResultResponse]) error {
	o.skipped = r.GetSkipParts()
	return s.Send(&pb.ReadResultResponse{Data: []byte("rest")})
}

func (o *overseer) LocateResult(_ *pb.LocateResultRequest, s grpc.ServerStreamingServer[pb.LocateResultResponse]) error {
	for _, answer := range o.located {
		if err := s.Send(answer); err != nil {
			return err
		}
	}
	return o.ends
}

func (o *overseer) client(t *testing.T) *Client {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	pb.RegisterFleetServiceServer(server, o)
	pb.RegisterJobServiceServer(server, o)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	client, err := Dial("passthrough:///fake", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func TestWorkers(t *testing.T) {
	o := &overseer{}
	client, ctx := o.client(t), t.Context()
	if all, err := client.Workers(ctx); err != nil || len(all) != 2 || all[1].GetName() != "b" {
		t.Errorf("%v, %v", all, err)
	}
	who := &pb.WorkerSelector{Names: []string{"a"}}
	for within, want := range map[time.Duration]bool{-1: false, 0: true, time.Minute: true} {
		meant, err := client.Drain(ctx, who, within)
		if err != nil || len(meant) != 1 || (o.drained.Within != nil) != want || want && o.drained.Within.AsDuration() != within {
			t.Errorf("within %v: %v, %v, %v", within, o.drained, meant, err)
		}
	}
	if _, err := client.Cordon(ctx, who); err != nil || o.cordoned.GetNames()[0] != "a" {
		t.Errorf("%v, %v", o.cordoned, err)
	}
	if _, err := client.Uncordon(ctx, who); err != nil || o.cordoned != nil {
		t.Errorf("%v, %v", o.cordoned, err)
	}
	if err := client.Remove(ctx, "j"); err != nil || o.removed != "j" {
		t.Errorf("%q, %v", o.removed, err)
	}
}

func TestWhatIsForbidden(t *testing.T) {
	for _, ends := range []error{
		status.Error(codes.PermissionDenied, "no"), status.Error(codes.Unauthenticated, "who?"),
		&Error{Code: Forbidden, Message: "no"},
	} {
		_, err := (&overseer{ends: ends}).client(t).Workers(t.Context())
		if err == nil || CodeOf(err) != Forbidden {
			t.Errorf("%v came as %v", ends, err)
		}
	}
	if got := (&Error{Code: Forbidden}).GRPCStatus().Code(); got != codes.PermissionDenied {
		t.Errorf("sent as %v", got)
	}
}

func TestLocate(t *testing.T) {
	o := &overseer{located: []*pb.LocateResultResponse{
		{Header: &pb.ResultHeader{Format: pb.Format_FORMAT_ARROW}, Parts: []*pb.ResultPart{{Worker: "a"}}},
		{Parts: []*pb.ResultPart{{Worker: "b"}, {Worker: "a"}}},
	}}
	client := o.client(t)
	header, parts, err := client.Locate(t.Context(), "j")
	if err != nil || header.GetFormat() != pb.Format_FORMAT_ARROW || len(parts) != 3 || parts[1].GetWorker() != "b" {
		t.Errorf("%v, %v, %v", header, parts, err)
	}
	o.ends = status.Error(codes.NotFound, "gone")
	if _, _, err := client.Locate(t.Context(), "j"); err == nil || CodeOf(err) != NotFound {
		t.Errorf("%v", err)
	}
}

func TestResultFrom(t *testing.T) {
	o := &overseer{}
	result, err := o.client(t).ResultFrom(t.Context(), "j", 7)
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	if got, err := io.ReadAll(result); err != nil || string(got) != "rest" || o.skipped != 7 {
		t.Errorf("%q, %v, %d skipped", got, err, o.skipped)
	}
}

func TestNewResultThatFails(t *testing.T) {
	ended := false
	_, err := NewResult(func() (*pb.ReadResultResponse, error) { return nil, Errorf(NotFound, "gone") }, func() { ended = true })
	if CodeOf(err) != NotFound || !ended {
		t.Errorf("%v, ended %v", err, ended)
	}
}

func TestSubmitOptions(t *testing.T) {
	var got *pb.SubmitJobRequest
	f := &fake{submit: func(r *pb.SubmitJobRequest) (*pb.SubmitJobResponse, error) {
		got = r
		return &pb.SubmitJobResponse{Job: &pb.Job{Id: "j"}}, nil
	}}
	client := f.client(t)
	for _, test := range []struct {
		options []SubmitOption
		kept    bool
		keep    time.Duration
		user    string
	}{
		{nil, false, 0, ""}, {[]SubmitOption{ReadOnce(), As("anna")}, true, 0, "anna"}, {[]SubmitOption{KeepFor(time.Hour)}, true, time.Hour, ""},
	} {
		if _, err := client.Submit(t.Context(), &pb.JobSpec{}, "k", test.options...); err != nil {
			t.Fatal(err)
		}
		if (got.KeepFor != nil) != test.kept || got.GetKeepFor().AsDuration() != test.keep || got.GetUser() != test.user {
			t.Errorf("sent %v", got)
		}
	}
}
