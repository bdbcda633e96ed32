package api

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/millrace/millrace/api/millracev1"
)

// Protocol is the number of the protocol between worker and coordinator that
// this program speaks. A coordinator takes workers of its own number and of the
// one before.
const Protocol uint32 = 1

// Workers tells of all workers that the coordinator or gossip knows, by name.
func (c *Client) Workers(ctx context.Context) ([]*pb.Worker, error) {
	answer, err := c.fleet.ListWorkers(ctx, &pb.ListWorkersRequest{})
	return answer.GetWorkers(), wire(err)
}

// Drain has workers finish what they run, return what waits, and leave. Running
// leases may take as long as within says; 30 s for less than zero. It returns at
// once, with the workers that are meant.
func (c *Client) Drain(ctx context.Context, who *pb.WorkerSelector, within time.Duration) ([]*pb.Worker, error) {
	request := &pb.DrainWorkersRequest{Workers: who}
	if within >= 0 {
		request.Within = durationpb.New(within)
	}
	answer, err := c.fleet.DrainWorkers(ctx, request)
	return answer.GetWorkers(), wire(err)
}

// Cordon gives workers no new leases until Uncordon, those of the same names
// that are started later too. It returns the workers that are meant.
func (c *Client) Cordon(ctx context.Context, who *pb.WorkerSelector) ([]*pb.Worker, error) {
	answer, err := c.fleet.CordonWorkers(ctx, &pb.CordonWorkersRequest{Workers: who})
	return answer.GetWorkers(), wire(err)
}

// Uncordon ends what Cordon began, and returns the workers that are meant.
func (c *Client) Uncordon(ctx context.Context, who *pb.WorkerSelector) ([]*pb.Worker, error) {
	answer, err := c.fleet.UncordonWorkers(ctx, &pb.UncordonWorkersRequest{Workers: who})
	return answer.GetWorkers(), wire(err)
}
