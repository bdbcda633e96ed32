package planner

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
	"github.com/millrace/millrace/worker/processor/command"
	"github.com/millrace/millrace/worker/processor/function"
)

// addCommand adds a program to the current stage.
func (b *builder) addCommand(s *pb.Stage) error {
	options := commandOptions(s.GetCommandOptions(), b.flow.format)
	argv := []string{"/bin/sh", "-c", s.GetCommand()}
	if !options.GetShell() {
		var err error
		if argv, err = api.SplitCommand(s.GetCommand()); err != nil {
			return processor.Fatal("stage %s: %v", b.name, err)
		}
	}
	b.open()
	b.visible = b.visible || !b.lone // else the source is cut for others
	b.flow = flow{format: options.GetOutputFormat()}
	step := &pb.CommandStep{Argv: argv, Options: options}
	b.add(&pb.Step{Processor: &pb.Step_Command{Command: step}}, "command:"+command.Program(step))
	return nil
}

// commandOptions are the options with every format set. A warm program speaks
// Arrow both ways.
func commandOptions(given *pb.CommandOptions, format pb.Format) *pb.CommandOptions {
	o := &pb.CommandOptions{
		InputFormat: given.GetInputFormat(), OutputFormat: given.GetOutputFormat(),
		OkExit: given.GetOkExit(), Shell: given.GetShell(), Warm: given.GetWarm(), Env: given.GetEnv(),
	}
	if o.GetWarm() {
		o.InputFormat, o.OutputFormat = pb.Format_FORMAT_ARROW, pb.Format_FORMAT_ARROW
	}
	if o.GetInputFormat() == pb.Format_FORMAT_UNSPECIFIED {
		o.InputFormat = format
		if format == pb.Format_FORMAT_PARQUET || format == pb.Format_FORMAT_ARROW {
			o.InputFormat = pb.Format_FORMAT_CSV
		}
	}
	if o.GetOutputFormat() == pb.Format_FORMAT_UNSPECIFIED {
		o.OutputFormat = pb.Format_FORMAT_LINES
	}
	return o
}

// function finds a function of the worker's binary.
func (p *planner) function(name string) (function.Info, error) {
	var known []string
	if p.deps.Functions != nil {
		if info, ok := p.deps.Functions.Lookup(name); ok {
			return info, nil
		}
		known = p.deps.Functions.Names()
	}
	if len(known) == 0 {
		return function.Info{}, processor.Fatal("there is no function %q: this binary has no functions of its own, run the job with the one that has it", name)
	}
	return function.Info{}, processor.Fatal("there is no function %q: this binary has %s", name, strings.Join(known, ", "))
}

// addFunction adds a function, and where it emits values under keys a stage
// that merges them.
func (b *builder) addFunction(s *pb.Stage) error {
	info, err := b.function(s.GetFunction())
	if err != nil {
		return err
	}
	result := flow{format: pb.Format_FORMAT_LINES}
	if len(info.Columns) > 0 {
		result = flow{format: pb.Format_FORMAT_ARROW, columns: info.Columns}
	}
	b.open()
	if !info.Keyed {
		b.flow = result
		b.addPhase(s, pb.FunctionPhase_FUNCTION_PHASE_MAP)
		return nil
	}
	b.flow = flow{format: pb.Format_FORMAT_ARROW, sorted: true}
	mapping := b.addPhase(s, pb.FunctionPhase_FUNCTION_PHASE_MAP)
	reason := ""
	if !b.lone {
		explain(mapping, fmt.Sprintf("the values that %s emits are sorted and combined in each batch, and merged once", s.GetFunction()))
		mapping.Combine = phase(s, pb.FunctionPhase_FUNCTION_PHASE_COMBINE)
		b.end()
		reason = "one batch: the sorted outputs are merged"
		b.open()
	}
	b.flow = result
	explain(b.addPhase(s, pb.FunctionPhase_FUNCTION_PHASE_REDUCE), reason)
	return nil
}

func phase(s *pb.Stage, p pb.FunctionPhase) *pb.Step {
	return &pb.Step{Processor: &pb.Step_Function{Function: &pb.FunctionStep{Name: s.GetFunction(), Phase: p}}}
}

func (b *builder) addPhase(s *pb.Stage, p pb.FunctionPhase) *pb.StagePlan {
	return b.add(phase(s, p), "function:"+s.GetFunction())
}
