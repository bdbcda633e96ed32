package function

import (
	"context"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// runner runs one phase of a function.
type runner struct {
	step     *pb.FunctionStep
	function Function
}

// Run runs the phase for one attempt.
func (r *runner) Run(ctx context.Context, a *processor.Attempt, in processor.Input, out processor.Output) error {
	run := r.function.phases[r.step.GetPhase()]
	if run == nil {
		return processor.Fatal("this worker has no function %q with phase %v", r.step.GetName(), r.step.GetPhase())
	}
	return run(ctx, a, in, out)
}

// Close frees nothing: a function keeps nothing between batches.
func (r *runner) Close() error { return nil }
