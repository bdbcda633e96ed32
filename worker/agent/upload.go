package agent

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	pb "github.com/millrace/millrace/api/millracev1"
)

// upload sends one output that the coordinator asked for.
func (a *Agent) upload(ctx context.Context, send *pb.Send) {
	defer a.workers.Done()
	stream, err := a.client.Upload(ctx)
	if err != nil {
		a.log.Debug("an upload was not taken", "output", send.GetOutput().GetId(), "error", err)
		return
	}
	failed := a.copyOutput(stream, send)
	if failed != nil {
		stream.Send(&pb.UploadRequest{Ticket: send.GetTicket(), Failure: failed}) // an error ends the stream, and shows below
	}
	if _, err := stream.CloseAndRecv(); err != nil {
		a.log.Debug("an upload ended early", "output", send.GetOutput().GetId(), "error", err)
	}
}

// uploadChunk is how many bytes of an output go in one message.
const uploadChunk = 256 << 10

func (a *Agent) copyOutput(stream grpc.ClientStreamingClient[pb.UploadRequest, pb.UploadResponse], send *pb.Send) *pb.Failure {
	output, err := a.spool.Open(send.GetOutput().GetJob(), send.GetOutput().GetId())
	if err != nil {
		return &pb.Failure{Message: err.Error(), ExitStatus: -1}
	}
	defer output.Close()
	message := &pb.UploadRequest{Ticket: send.GetTicket()}
	buffer := make([]byte, min(uploadChunk, max(1, send.GetOutput().GetBytes())))
	for {
		n, err := output.Read(buffer)
		message.Data = buffer[:n]
		if n > 0 || message.GetTicket() != "" {
			if stream.Send(message) != nil {
				return nil // the receiver has ended, and says why
			}
			message = &pb.UploadRequest{}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return &pb.Failure{Message: fmt.Sprintf("read an output: %v", err), ExitStatus: -1}
		}
	}
}
