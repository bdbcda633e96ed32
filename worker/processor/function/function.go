// Package function runs functions of the worker's own binary over batches: what
// a record, a key, a value and an output may be is decided here, as is what a
// panic, an error and a function that does not return become. How keyed values
// are gathered, sorted and merged is decided in worker/exchange/sorted; when, in
// the plan.
package function

import (
	"context"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/exchange/sorted"
	"github.com/millrace/millrace/worker/processor"
)

// Key is what values can be emitted under.
type Key = sorted.Key

// Info is what a planner needs to know of a function.
type Info struct {
	// Keyed says that the function's output is SORTED and wants a REDUCE over
	// all of it. Otherwise it only has a MAP.
	Keyed bool
	// Columns of the result (of REDUCE, where there is one): the output is
	// ARROW. Nil when the output is lines of text: the output is BYTES.
	Columns []*pb.Column
}

// Function is a named function. Package worker makes them.
type Function struct {
	name   string
	info   Info
	fault  error // what is wrong with its types
	phases map[pb.FunctionPhase]phase
}

// phase runs one phase of a function for one attempt, in the caller's goroutine.
type phase func(ctx context.Context, a *processor.Attempt, in processor.Input, out processor.Output) error

// Name is the function's name.
func (f Function) Name() string { return f.name }

// Info is what a planner needs to know of it.
func (f Function) Info() Info { return f.info }
