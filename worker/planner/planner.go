// Package planner makes the plan of a job in its planning lease: it lists and
// sniffs the source, has queries derived, fuses steps that run in one lease, and
// says how each stage is cut and why. When batches are cut, and for whom, is
// decided by the ledger.
package planner

import (
	"context"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
	"github.com/millrace/millrace/worker/processor/function"
)

// Functions are the functions of the worker's binary, by name.
type Functions interface {
	// Lookup finds a function.
	Lookup(name string) (function.Info, bool)
}

// Deps is what a plan needs of the worker that makes it.
type Deps struct {
	// Functions of the binary.
	Functions Functions
	// Threads that planning may use; as many as there are cores when 0.
	Threads int
}

// Plan makes the plan of a job. Faults of the job are failures of class FATAL.
func Plan(ctx context.Context, spec *pb.JobSpec, deps Deps) (*pb.Plan, error) {
	return nil, processor.Fatal("plans are being written")
}
