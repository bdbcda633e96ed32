package api

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/millrace/millrace/api/millracev1"
)

// SubmitOption says more of a submission than the job itself does.
type SubmitOption func(*pb.SubmitJobRequest)

// KeepFor keeps the job and its result for d once it has ended: until then the
// result can be read as often as wanted. Without it the coordinator's own time
// counts.
func KeepFor(d time.Duration) SubmitOption {
	return func(r *pb.SubmitJobRequest) { r.KeepFor = durationpb.New(d) }
}

// ReadOnce has the result streamed while the job runs, to one reader; it goes as
// it is read.
func ReadOnce() SubmitOption { return KeepFor(0) }

// As names who submits, where there is no certificate that does; at most 63
// bytes.
func As(user string) SubmitOption {
	return func(r *pb.SubmitJobRequest) { r.User = user }
}

// Submit adds a job. Submitting again with the same key answers with the job
// that has it; the key is the caller's own choice, and empty for none.
func (c *Client) Submit(ctx context.Context, spec *pb.JobSpec, key string, options ...SubmitOption) (*pb.Job, error) {
	return c.submit(ctx, &pb.SubmitJobRequest{Spec: spec, Key: key}, options)
}

// Plan adds a job that ends, done, once its plan is made; Explain tells it.
func (c *Client) Plan(ctx context.Context, spec *pb.JobSpec, options ...SubmitOption) (*pb.Job, error) {
	return c.submit(ctx, &pb.SubmitJobRequest{Spec: spec, PlanOnly: true}, options)
}

func (c *Client) submit(ctx context.Context, request *pb.SubmitJobRequest, options []SubmitOption) (*pb.Job, error) {
	for _, option := range options {
		option(request)
	}
	answer, err := c.jobs.SubmitJob(ctx, request)
	return answer.GetJob(), wire(err)
}
