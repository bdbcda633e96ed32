package function

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/exchange/sorted"
	"github.com/millrace/millrace/worker/processor"
)

// grace is how long a function may go on after its context has ended, before
// the attempt is abandoned with the function still running.
const grace = 5 * time.Second

// runner runs one phase of a function.
type runner struct {
	step     *pb.FunctionStep
	function Function
}

// Run runs the phase for one attempt. A function that doesn't return within the
// grace after ctx has ended is abandoned: a goroutine can't be killed.
func (r *runner) Run(ctx context.Context, a *processor.Attempt, in processor.Input, out processor.Output) error {
	run := r.function.phases[r.step.GetPhase()]
	if run == nil {
		return processor.Fatal("this worker's binary has no function %q with a phase %v", r.step.GetName(), r.step.GetPhase())
	}
	gate := &gate{attempt: a, out: out}
	e := &env{name: r.step.GetName(), Attempt: gate.guarded(), in: in, out: gate}
	done := make(chan error, 1)
	go func() { done <- e.protect(func() error { return run(ctx, e) }) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case err := <-done:
		return errors.Join(context.Cause(ctx), err)
	case <-timer.C:
		gate.close()
		return r.abandoned()
	}
}

func (r *runner) abandoned() error {
	return processor.Fail(pb.OutcomeClass_OUTCOME_CLASS_KILLED_TIME,
		"function %s did not return within %v of the end of its time, and was abandoned: its goroutine still runs; "+
			"let it return between records, or look at its context", r.step.GetName(), grace)
}

// Close frees nothing: a function keeps nothing between batches.
func (r *runner) Close() error { return nil }

// env is one attempt at a batch, as the phases see it.
type env struct {
	*processor.Attempt
	name string
	in   processor.Input
	out  processor.Output
	at   place
}

// place is where the record at hand came from.
type place struct {
	file   string
	offset int64 // -1 where unknown
}

// bad makes a bad record of the one at hand.
func (e *env) bad(record []byte, reason string) *pb.BadRecord {
	const shown = 200
	return &pb.BadRecord{
		File: e.at.file, Offset: e.at.offset, Reason: reason,
		Record: string(record[:min(len(record), shown)]),
	}
}

// where tells people where the record at hand came from.
func (e *env) where() string {
	switch {
	case e.at.file == "":
		return ""
	case e.at.offset < 0:
		return " in " + e.at.file
	}
	return fmt.Sprintf(" at %s, offset %d", e.at.file, e.at.offset)
}

// stop is panicked with to get out of a function of the user's.
type stop struct{ err error }

// protect calls what may panic, and makes a failure of a panic.
func (e *env) protect(f func() error) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
			err = e.explain(err)
		case stop:
			err = e.explain(v.err)
		default:
			err = e.panicked(v, debug.Stack())
		}
	}()
	return f()
}

// failed is an error that a function of the user's returned. All other errors
// are not its fault.
type failed struct{ error }

// Unwrap is the error itself.
func (f *failed) Unwrap() error { return f.error }

// called makes an error of the user's function known as such.
func called(err error) error {
	if err == nil {
		return nil
	}
	return &failed{err}
}

// explain finds the class of an error.
func (e *env) explain(err error) error {
	if err == nil {
		return nil
	}
	var p *sorted.Panic
	if errors.As(err, &p) {
		return e.panicked(p.Value, p.Stack)
	}
	var own *failed
	var failure *processor.Failure
	if !errors.As(err, &own) || errors.As(err, &failure) || errors.Is(err, context.Canceled) {
		return err
	}
	return processor.Fail(pb.OutcomeClass_OUTCOME_CLASS_RETRYABLE, "function %s failed%s: %v", e.name, e.where(), err)
}

func (e *env) panicked(v any, stack []byte) error {
	f := processor.Fail(pb.OutcomeClass_OUTCOME_CLASS_RETRYABLE, "function %s panicked%s: %v", e.name, e.where(), v)
	f.Detail.Detail = string(stack)
	return f
}
