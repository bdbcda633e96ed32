package agent

import (
	"context"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/duckdb"
	"github.com/millrace/millrace/worker/format"
	"github.com/millrace/millrace/worker/planner"
	"github.com/millrace/millrace/worker/processor"
	"github.com/millrace/millrace/worker/processor/command"
	"github.com/millrace/millrace/worker/processor/function"
	"github.com/millrace/millrace/worker/source"
)

// processors is what this worker can run, as plans ask for it.
func (a *Agent) processors() []string {
	list := a.config.AllowCommands.Processors()
	if duckdb.Built {
		list = append(list, "sql")
	}
	for _, name := range a.config.Functions.Names() {
		list = append(list, "function:"+name)
	}
	return list
}

// step makes the processor that a step of a plan names.
func (a *Agent) step(job *pb.JobContext, step *pb.Step) (processor.Step, error) {
	switch p := step.GetProcessor().(type) {
	case *pb.Step_Sql:
		return a.engine.Step(p.Sql, func(ctx context.Context) []string { return a.files(ctx, job) }), nil
	case *pb.Step_Command:
		if err := a.config.AllowCommands.Check(p.Command); err != nil {
			return nil, err
		}
		return command.New(p.Command), nil
	case *pb.Step_Function:
		return function.New(p.Function, a.config.Functions), nil
	case *pb.Step_Encode:
		return format.NewEncodeStep(p.Encode), nil
	}
	return nil, processor.Unable("this worker knows no processor of kind %T: it is older than its coordinator", step.GetProcessor())
}

// plan makes the plan of a job.
func (a *Agent) plan(ctx context.Context, job *pb.JobContext) (*pb.Plan, error) {
	return planner.Plan(ctx, job, planner.Deps{
		Functions: a.config.Functions, Threads: a.config.Slots, Queries: a.engine.Planner,
		Warm: a.engine.Warm, Roots: a.config.Roots,
	})
}

// maxFiles is how many of a job's files the batches of a stage share instances
// for. With more each batch has its own, which costs little beside opening so
// many files.
const maxFiles = 1000

// files are the real paths of a job's files, as they are now; none when there
// are very many, or some can't be found.
func (a *Agent) files(ctx context.Context, job *pb.JobContext) []string {
	fragments, err := source.List(ctx, job.GetSpec().GetSource(), source.Options{Roots: a.config.Roots})
	if err != nil || len(fragments) > maxFiles {
		return nil
	}
	paths := make([]string, len(fragments))
	for i, f := range fragments {
		if paths[i], err = a.config.Roots.Real(f.GetPath()); err != nil {
			return nil
		}
	}
	return paths
}
