// Package planner makes the plan of a job, in the job's planning lease: it
// checks the stages against each other and against the worker's functions,
// lists and sniffs the source, has queries derived, and decides which stages
// run, how their inputs are cut, and why. What a query may be split into is
// decided by package derive, how a source is read by package source, and where
// a batch ends by the coordinator, which alone sees all of its workers.
package planner

import (
	"context"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor/function"
	"github.com/millrace/millrace/worker/processor/sql"
	"github.com/millrace/millrace/worker/roots"
	"github.com/millrace/millrace/worker/sink"
	"github.com/millrace/millrace/worker/source"
)

// Functions are the functions of the worker's binary.
type Functions interface {
	// Lookup finds a function by its name.
	Lookup(name string) (function.Info, bool)
	// Names are the names of all functions, sorted.
	Names() []string
}

// Deps is what planning needs of its worker.
type Deps struct {
	// Functions of the worker's binary; none when nil.
	Functions Functions
	// Threads that listing and indexing may use; all cores when 0.
	Threads int
	// Queries starts what answers for queries; one of its own when nil.
	Queries func() (*sql.Planner, error)
	// Warm is called where several batches will run queries, before planning
	// asks its own; it may be nil.
	Warm func()
	// Roots are the folders whose files may be read and written; all when nil.
	Roots *roots.Roots
}

// Plan makes the plan of a job, and marks the folder of its sink. An error that
// another try would meet again is a *processor.Failure of class FATAL, in a
// sentence that says what to do; one that a worker which sees other files may not
// meet is of class INPUT_GONE.
func Plan(ctx context.Context, job *pb.JobContext, deps Deps) (*pb.Plan, error) {
	if deps.Queries == nil {
		deps.Queries = sql.OpenPlanner
	}
	p := &planner{
		spec: job.GetSpec(), jobID: job.GetJobId(), deps: deps, plan: &pb.Plan{},
		source: source.Options{Roots: deps.Roots, Threads: deps.Threads},
	}
	if p.spec.GetSink().GetFiles() != nil {
		p.folder = sink.In(deps.Roots, job)
	}
	defer p.close()
	if err := p.make(ctx); err != nil {
		return nil, failure(err)
	}
	return p.plan, nil
}
