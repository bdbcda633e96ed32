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
	"github.com/millrace/millrace/worker/processor/sql"
)

// processors is what this worker can run, as plans ask for it.
func (a *Agent) processors() []string {
	list := []string{"command"}
	if duckdb.Built {
		list = append(list, "sql")
	}
	for _, name := range a.config.Functions.Names() {
		list = append(list, "function:"+name)
	}
	return list
}

// step makes the processor that a step of a plan names.
func (a *Agent) step(step *pb.Step) (processor.Step, error) {
	switch p := step.GetProcessor().(type) {
	case *pb.Step_Sql:
		return sql.New(p.Sql, sql.Options{TempDir: a.spool.Dir(), MaxTempBytes: a.config.SpoolBytes})
	case *pb.Step_Command:
		return command.New(p.Command), nil
	case *pb.Step_Function:
		return function.New(p.Function, a.config.Functions), nil
	case *pb.Step_Encode:
		return format.NewEncodeStep(p.Encode), nil
	}
	return nil, processor.Fatal("this worker knows no processor of kind %T: it is older than its coordinator", step.GetProcessor())
}

// plan makes the plan of a job.
func (a *Agent) plan(ctx context.Context, spec *pb.JobSpec) (*pb.Plan, error) {
	return planner.Plan(ctx, spec, planner.Deps{Functions: a.config.Functions, Threads: a.config.Slots})
}
