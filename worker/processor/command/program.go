package command

import (
	"context"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// program runs one process for each batch.
type program struct {
	step *pb.CommandStep
}

// Run runs the program over one batch.
func (p *program) Run(ctx context.Context, a *processor.Attempt, in processor.Input, out processor.Output) error {
	return nil
}

// Close ends what the step kept.
func (p *program) Close() error { return nil }
