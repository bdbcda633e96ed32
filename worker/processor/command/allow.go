package command

import (
	"cmp"
	"slices"
	"strings"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// Any, as the name of a program, allows every one.
const Any = "*"

// Allowed are the programs that jobs may run: as jobs write them, so that a bare
// name is one that the worker finds on its own PATH, and not a path. None when
// it is empty.
//
// A program that is allowed may do whatever the worker's user may: read files
// beside the worker's data folders, for instance, that its arguments name. The
// folders bind what Millrace itself opens.
type Allowed []string

// Program is what a step runs, as its job writes it: the first word of its
// command line, or the shell where that reads the line.
func Program(step *pb.CommandStep) string {
	if step.GetOptions().GetShell() {
		return "/bin/sh"
	}
	if len(step.GetArgv()) == 0 {
		return ""
	}
	return step.GetArgv()[0]
}

// Processors are what a worker with these programs says that it can run.
func (a Allowed) Processors() []string {
	if slices.Contains(a, Any) {
		return []string{"command:" + Any}
	}
	names := make([]string, len(a))
	for i, name := range a {
		names[i] = "command:" + name
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Check refuses a step whose program may not be run, or which would have it load
// code of somebody's choice. Another worker may allow it.
func (a Allowed) Check(step *pb.CommandStep) error {
	if slices.Contains(a, Any) {
		return nil
	}
	if name := Program(step); !slices.Contains(a, name) {
		return processor.Unable("the program %q may not be run by this worker: it allows %s (--allow-command says which)",
			name, cmp.Or(strings.Join(a, ", "), "none"))
	}
	for name := range step.GetOptions().GetEnv() {
		if loads(name) {
			return processor.Unable("the environment variable %s may not be set by a job: this worker allows only some programs "+
				"(--allow-command), and with it they would run others", name)
		}
	}
	return nil
}

// loads says that an environment variable has programs load or run others.
func loads(name string) bool {
	switch name {
	case "PATH", "ENV", "BASH_ENV", "SHELLOPTS", "PS4", "PROMPT_COMMAND", "IFS", "GCONV_PATH", "PYTHONPATH", "PYTHONHOME",
		"PYTHONSTARTUP", "PERL5OPT", "PERL5LIB", "PERLLIB", "RUBYOPT", "RUBYLIB", "NODE_OPTIONS", "NODE_PATH",
		"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH":
		return true
	}
	return strings.HasPrefix(name, "LD_") || strings.HasPrefix(name, "DYLD_") || strings.HasPrefix(name, "BASH_FUNC_")
}
