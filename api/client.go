package api

import (
	"context"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/millrace/millrace/api/millracev1"
)

// MaxMessageBytes is the largest message that client and coordinator exchange:
// a plan with very many files is the largest there is.
const MaxMessageBytes = 64 << 20

// Client submits jobs and follows them. Every error that it returns is an
// *Error. It can be used by several goroutines at once.
type Client struct {
	jobs   pb.JobServiceClient
	fleet  pb.FleetServiceClient
	closer io.Closer // nil when the connection is the caller's
}

// Dial makes a client of the coordinator at addr ("host:port"), without TLS
// unless an option says otherwise. Nothing is sent yet: a wrong address shows
// with the first call.
func Dial(addr string, opts ...grpc.DialOption) (*Client, error) {
	defaults := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(MaxMessageBytes), grpc.MaxCallSendMsgSize(MaxMessageBytes)),
	}
	conn, err := grpc.NewClient(addr, append(defaults, opts...)...)
	if err != nil {
		return nil, Errorf(Invalid, "address %q: %v", addr, err)
	}
	client := NewClient(conn)
	client.closer = conn
	return client, nil
}

// NewClient makes a client over a connection, which stays the caller's.
func NewClient(conn grpc.ClientConnInterface) *Client {
	return &Client{jobs: pb.NewJobServiceClient(conn), fleet: pb.NewFleetServiceClient(conn)}
}

// Close ends the connection that Dial made.
func (c *Client) Close() error {
	if c.closer == nil {
		return nil
	}
	return c.closer.Close()
}

// Get tells how a job is.
func (c *Client) Get(ctx context.Context, id string) (*pb.Job, error) {
	answer, err := c.jobs.GetJob(ctx, &pb.GetJobRequest{Id: id})
	return answer.GetJob(), wire(err)
}

// List tells of the newest jobs, newest first: at most limit, at most 1,000,
// and 100 for 0.
func (c *Client) List(ctx context.Context, limit int) ([]*pb.Job, error) {
	answer, err := c.jobs.ListJobs(ctx, &pb.ListJobsRequest{Limit: uint32(max(limit, 0))})
	return answer.GetJobs(), wire(err)
}

// Cancel ends a job; why is for people.
func (c *Client) Cancel(ctx context.Context, id, why string) (*pb.Job, error) {
	answer, err := c.jobs.CancelJob(ctx, &pb.CancelJobRequest{Id: id, Reason: why})
	return answer.GetJob(), wire(err)
}

// Pause stops new leases of a job; what runs finishes.
func (c *Client) Pause(ctx context.Context, id string) (*pb.Job, error) {
	answer, err := c.jobs.PauseJob(ctx, &pb.PauseJobRequest{Id: id})
	return answer.GetJob(), wire(err)
}

// Resume ends a pause.
func (c *Client) Resume(ctx context.Context, id string) (*pb.Job, error) {
	answer, err := c.jobs.ResumeJob(ctx, &pb.ResumeJobRequest{Id: id})
	return answer.GetJob(), wire(err)
}

// Explain tells a job's plan, and why what waits is waiting.
func (c *Client) Explain(ctx context.Context, id string) (*pb.ExplainJobResponse, error) {
	answer, err := c.jobs.ExplainJob(ctx, &pb.ExplainJobRequest{Id: id})
	return answer, wire(err)
}

// Remove forgets a job that has ended, and its result with it.
func (c *Client) Remove(ctx context.Context, id string) error {
	_, err := c.jobs.RemoveJob(ctx, &pb.RemoveJobRequest{Id: id})
	return wire(err)
}

// wire is AsError for a return value: nil stays a nil error.
func wire(err error) error {
	if err == nil {
		return nil
	}
	return AsError(err)
}
