package planner

import (
	"context"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// flow is what comes out of the steps so far.
type flow struct {
	format pb.Format
	// columns of the records, where they are known.
	columns []*pb.Column
	// carried says that a query made them, and that they cross in columns that
	// lose nothing.
	carried bool
	// sorted says that they are a function's keyed values.
	sorted bool
}

// builder makes stages of steps.
type builder struct {
	*planner
	stages []*pb.StagePlan
	// current is the stage that takes the next step; nil after one ended.
	current *pb.StagePlan
	// lone says that the current stage is one batch, and what follows goes on
	// in it.
	lone bool
	// visible says that a user's code sees where batches begin and end.
	visible bool
	flow    flow
	// next is the user's stage after the one being added; nil at the end.
	next *pb.Stage
	name string
}

// buildStages makes the plan's stages of the user's.
func (p *planner) buildStages(ctx context.Context) error {
	b := &builder{planner: p, flow: flow{format: p.plan.GetFormat(), columns: p.plan.GetColumns()}}
	stages := p.spec.GetStages()
	for i, s := range stages {
		b.next = nil
		if i+1 < len(stages) {
			b.next = stages[i+1]
		}
		b.name = stageName(s, i)
		if err := b.addStage(ctx, s, i); err != nil {
			return err
		}
	}
	if err := b.sink(); err != nil {
		return err
	}
	p.plan.Stages = b.stages
	return nil
}

func (b *builder) addStage(ctx context.Context, s *pb.Stage, i int) error {
	if s.GetExchange() == pb.Exchange_EXCHANGE_COLLECT {
		b.collect("one batch: all outputs of the stage before are collected")
	}
	switch {
	case s.GetSql() != "":
		return b.addQuery(ctx, s, i)
	case s.GetCommand() != "":
		return b.addCommand(s)
	default:
		return b.addFunction(s)
	}
}

// open gives the stage that takes the next step.
func (b *builder) open() *pb.StagePlan {
	if b.current == nil {
		b.current = &pb.StagePlan{
			Input: pb.StageInput_STAGE_INPUT_SOURCE, Cut: b.cut(), InputFormat: b.flow.format,
		}
		if len(b.stages) > 0 {
			b.current.Input = pb.StageInput_STAGE_INPUT_COLLECT
			b.current.Cut = &pb.Cut{Rule: pb.CutRule_CUT_RULE_ONE}
			b.lone = true
		}
		b.stages = append(b.stages, b.current)
	}
	b.current.Name = b.name
	return b.current
}

// add appends a step to the current stage.
func (b *builder) add(step *pb.Step, requires string) *pb.StagePlan {
	stage := b.open()
	stage.Steps = append(stage.Steps, step)
	stage.Output = b.flow.kind()
	if requires != "" && !contains(stage.GetRequires(), requires) {
		stage.Requires = append(stage.Requires, requires)
	}
	return stage
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

// end ends the current stage: the next step reads all of its outputs at once.
func (b *builder) end() { b.current = nil }

// collect makes what follows one batch. A source that nothing has read yet is
// not cut; otherwise the outputs so far are gathered.
func (b *builder) collect(reason string) {
	switch {
	case b.lone:
	case b.current == nil:
		b.open().Cut = &pb.Cut{Rule: pb.CutRule_CUT_RULE_ONE}
		b.current.Reason = reason
		b.lone = true
	default:
		b.end()
		b.open().Reason = reason
	}
}

// kind is how outputs of this sort are kept.
func (f flow) kind() pb.OutputKind {
	switch {
	case f.sorted:
		return pb.OutputKind_OUTPUT_KIND_SORTED
	case f.format == pb.Format_FORMAT_ARROW:
		return pb.OutputKind_OUTPUT_KIND_ARROW
	default:
		return pb.OutputKind_OUTPUT_KIND_BYTES
	}
}

// explain adds a sentence to a stage's reason.
func explain(stage *pb.StagePlan, reason string) {
	switch {
	case reason == "":
	case stage.GetReason() == "":
		stage.Reason = reason
	default:
		stage.Reason += "; " + reason
	}
}

// checkStages checks what each stage asks for, before any file is touched.
func (p *planner) checkStages() error {
	stages := p.spec.GetStages()
	if len(stages) == 0 {
		return processor.Fatal("the job has no stage: give it a query, a command or a function")
	}
	for i, s := range stages {
		if s.GetProcessor() == nil || s.GetSql() == "" && s.GetCommand() == "" && s.GetFunction() == "" {
			return processor.Fatal("stage %s does nothing: give it sql, command or function", stageName(s, i))
		}
		if err := checkReads(stages, i); err != nil {
			return err
		}
		if name := s.GetFunction(); name != "" {
			if _, err := p.function(name); err != nil {
				return err
			}
		}
	}
	return checkBatching(p.spec.GetBatch())
}

// checkReads sees to it that stages form a chain.
func checkReads(stages []*pb.Stage, i int) error {
	reads := stages[i].GetReads()
	switch {
	case reads == "":
		return nil
	case i == 0:
		return processor.Fatal("stage %s reads %q, but the first stage reads the source: leave reads out", stageName(stages[i], i), reads)
	case reads != stages[i-1].GetName():
		return processor.Fatal("stage %s reads %q, but stages form a chain: it can read only the stage before, %s",
			stageName(stages[i], i), reads, stageName(stages[i-1], i-1))
	}
	return nil
}

func checkBatching(b *pb.Batching) error {
	given := 0
	for _, set := range []bool{b.GetBatches() > 0, b.GetRecords() > 0, b.GetBytes() > 0} {
		if set {
			given++
		}
	}
	if given > 1 {
		return processor.Fatal("the batch size is given in more than one way: keep one of batches, records and bytes")
	}
	return nil
}
