package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"sync"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// program runs one process for each batch.
type program struct {
	step    *pb.CommandStep
	name    string // for people
	argv    []string
	find    func() (string, error) // the path of its executable, looked up once
	base    func() []string        // the part of the environment that all batches share
	guarded sync.Once              // the step holds the guard
	guard   func()                 // lets it go
}

func newProgram(step *pb.CommandStep) *program {
	p := &program{step: step, argv: step.GetArgv()}
	if step.GetOptions().GetShell() && !isShell(p.argv) {
		p.argv = []string{"/bin/sh", "-c", strings.Join(p.argv, " ")}
	}
	p.name = shorten(strings.Join(p.argv, " "))
	if isShell(p.argv) {
		p.name = shorten(p.argv[2])
	}
	p.find = sync.OnceValues(func() (string, error) { return lookUp(p.argv) })
	p.base = sync.OnceValue(func() []string { return inherited(step.GetOptions().GetEnv()) })
	return p
}

// isShell says that a command line is the shell's already.
func isShell(argv []string) bool {
	return len(argv) == 3 && argv[0] == "/bin/sh" && argv[1] == "-c"
}

func shorten(text string) string {
	const shown = 100
	if len(text) <= shown {
		return text
	}
	return strings.ToValidUTF8(text[:shown], "") + "…"
}

// lookUp finds a program's executable. One that this worker lacks another may
// have.
func lookUp(argv []string) (string, error) {
	if len(argv) == 0 {
		return "", processor.Fatal("the command is empty")
	}
	path, err := exec.LookPath(argv[0])
	switch {
	case err == nil:
		return path, nil
	case errors.Is(err, exec.ErrNotFound):
		return "", processor.Unable("the program %q is not on the PATH of the worker: install it there, or give its path", argv[0])
	case errors.Is(err, fs.ErrNotExist):
		return "", processor.Unable("the program %q is not there: install it on every worker, or mend the path", argv[0])
	}
	return "", processor.Unable("the program %q can't be run: %v", argv[0], err)
}

// Run runs the program over one batch. When it returns, the program and all that
// it started have ended.
func (p *program) Run(ctx context.Context, a *processor.Attempt, in processor.Input, out processor.Output) error {
	input, err := p.openInput(ctx, a, in)
	if err != nil {
		return err
	}
	defer input.close()
	r := newReport(a)
	proc, err := p.start(a, in, input.file, r)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, proc.kill)
	defer stop()
	return p.run(ctx, proc, input, out)
}

// run feeds a process, takes what it writes, and says how it ended.
func (p *program) run(ctx context.Context, proc *process, input *input, out processor.Output) error {
	fed := make(chan error, 1)
	go func() { fed <- proc.feed(input) }()
	exited := make(chan struct{})
	go func() { defer close(exited); proc.wait(); input.ended() }()
	outErr := p.take(proc, out)
	if outErr != nil {
		proc.kill() // nobody reads it any more
	}
	<-exited
	inErr := <-fed
	proc.finish()
	switch {
	case ctx.Err() != nil:
		return p.stopped(ctx, proc)
	case inErr != nil:
		return inErr
	case outErr != nil && !proc.died():
		return outErr
	}
	if err := p.judge(proc); err != nil {
		return err
	}
	return outErr
}

// stopped is the error of a process that ended with its context. Beside the
// cause it holds what the program had to say.
func (p *program) stopped(ctx context.Context, proc *process) error {
	f := processor.Fail(pb.OutcomeClass_OUTCOME_CLASS_CANCELLED, "the command %q was stopped", p.name)
	f.Detail.Detail = proc.report.end()
	return errors.Join(context.Cause(ctx), f)
}

// judge makes a failure of how a process ended; nil when that means success.
func (p *program) judge(proc *process) error {
	state := proc.state
	if signal, ok := signalOf(state); ok {
		f := processor.Fail(pb.OutcomeClass_OUTCOME_CLASS_KILLED_SIGNAL,
			"the command %q was killed by %s", p.name, signal)
		f.Detail.Signal, f.Detail.Detail = signal, proc.report.end()
		return f
	}
	code := state.ExitCode()
	if p.succeeded(code) {
		return nil
	}
	class, hint := pb.OutcomeClass_OUTCOME_CLASS_RETRYABLE, ""
	if p.step.GetOptions().GetShell() {
		class, hint = lacking(code)
	}
	f := processor.Fail(class, "the command %q exited with status %d%s%s", p.name, code, hint, lastLine(proc.report.end()))
	f.Detail.ExitStatus, f.Detail.Detail = int32(code), proc.report.end()
	return f
}

// lacking is what a shell's status says of the programs that it was to run: those
// that this worker lacks another may have.
func lacking(code int) (class pb.OutcomeClass, hint string) {
	switch code {
	case 126:
		return pb.OutcomeClass_OUTCOME_CLASS_UNABLE, ": a program in it can't be run"
	case 127:
		return pb.OutcomeClass_OUTCOME_CLASS_UNABLE, ": a program in it was not found"
	}
	return pb.OutcomeClass_OUTCOME_CLASS_RETRYABLE, ""
}

func (p *program) succeeded(code int) bool {
	ok := p.step.GetOptions().GetOkExit()
	if len(ok) == 0 {
		return code == 0
	}
	for _, c := range ok {
		if int(c) == code {
			return true
		}
	}
	return false
}

// lastLine quotes the end of what a program wrote to its standard error.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	return ": " + shorten(text[strings.LastIndexByte(text, '\n')+1:])
}

// Close lets go of what the step held.
func (p *program) Close() error {
	if p.guard != nil {
		p.guard()
	}
	return nil
}

// start starts a process. Its standard input is file, or a pipe when that is
// nil.
func (p *program) start(a *processor.Attempt, in processor.Input, file stdin, r *report) (*process, error) {
	path, err := p.find()
	if err != nil {
		return nil, err
	}
	p.guarded.Do(func() { p.guard = holdGuard() })
	mark := newMark()
	proc, err := startProcess(path, p.argv, p.environment(a, in, mark), file, r)
	if err != nil {
		return nil, startFailure(p.name, err)
	}
	proc.mark = mark
	return proc, nil
}

// startFailure says whether another attempt, or that of another worker, may start.
func startFailure(name string, err error) error {
	if errors.Is(err, errNotExecutable) {
		return processor.Unable("the command %q can't be run: its file is no program (does the script lack its #! line?)", name)
	}
	return fmt.Errorf("start the command %q: %w", name, err)
}
