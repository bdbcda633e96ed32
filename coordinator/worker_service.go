package coordinator

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/relay"
)

// workerService is how workers take part.
type workerService struct {
	pb.UnimplementedWorkerServiceServer
	c *Coordinator
}

// Session serves one worker.
func (s *workerService) Session(stream grpc.BidiStreamingServer[pb.SessionRequest, pb.SessionResponse]) error {
	return s.c.host(stream.Context(), func(ctx context.Context) error { return s.c.session(ctx, stream) })
}

// uploadStream is the stream of an upload.
type uploadStream = grpc.ClientStreamingServer[pb.UploadRequest, pb.UploadResponse]

// Upload takes one output that was asked for.
func (s *workerService) Upload(stream uploadStream) error {
	return s.c.host(stream.Context(), func(ctx context.Context) error { return s.c.upload(ctx, stream) })
}

// upload writes what a worker sends to the transfer that the ticket names, until
// that is not wanted any more.
func (c *Coordinator) upload(ctx context.Context, stream uploadStream) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	t, err := c.relay.Upload(first.GetTicket())
	if err != nil {
		return api.Errorf(api.Stale, "%v", err)
	}
	return c.host(ctx,
		func(ctx context.Context) error { return take(ctx, stream, t, first) },
		func(ctx context.Context) error { return unwanted(ctx, t.Failed(ctx)) })
}

// take takes an upload, from its first message on.
func take(ctx context.Context, stream uploadStream, t *relay.Transfer, first *pb.UploadRequest) error {
	if err := receive(ctx, stream, t, first); err != nil {
		t.Abort(err)
		if !errors.As(err, new(*errUpload)) {
			return err
		}
	}
	return stream.SendAndClose(&pb.UploadResponse{})
}

// receive writes the messages of an upload, from its first on, to its transfer.
func receive(ctx context.Context, stream uploadStream, t *relay.Transfer, message *pb.UploadRequest) error {
	for {
		if f := message.GetFailure(); f != nil {
			return &errUpload{f}
		}
		if err := t.Write(ctx, message.GetData()); err != nil {
			return unwanted(ctx, err)
		}
		var err error
		message, err = stream.Recv()
		if errors.Is(err, io.EOF) {
			return unwanted(ctx, t.Done())
		}
		if err != nil {
			return err
		}
	}
}

// unwanted is what a worker is told of a transfer that others have ended.
func unwanted(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil || errors.Is(err, relay.ErrSize) {
		return err
	}
	return api.Errorf(api.Cancelled, "the output is not wanted any more: %v", err)
}
