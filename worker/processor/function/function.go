// Package function runs functions of the worker's own binary over batches: what
// a record, a key, a value and an output may be is decided here, as is what a
// panic, an error and a function that does not return become. How keyed values
// are gathered, sorted and merged is decided in worker/exchange/sorted; when, in
// the plan.
package function

import (
	"context"
	"errors"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/exchange/sorted"
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

// phase runs one phase of a function for one attempt.
type phase func(ctx context.Context, e *env) error

// Name is the function's name.
func (f Function) Name() string { return f.name }

// Info is what a planner needs to know of it.
func (f Function) Info() Info { return f.info }

// Map makes a function that is called for each record.
func Map[R, O any](name string, f func(record R, emit func(O)) error) Function {
	read, faultIn := recordsOf[R]()
	emitter, columns, faultOut := emitterOf[O]()
	return Function{
		name: name, info: Info{Columns: columns}, fault: errors.Join(faultIn, faultOut),
		phases: map[pb.FunctionPhase]phase{
			pb.FunctionPhase_FUNCTION_PHASE_MAP: func(ctx context.Context, e *env) error {
				emit, finish := emitter(ctx, e)
				if err := read(ctx, e, func(record R) error { return called(f(record, emit)) }); err != nil {
					return err
				}
				return finish()
			},
		},
	}
}

// Batch makes a function that sees all records of a batch.
func Batch[R, O any](name string, f func(ctx context.Context, batch *Input[R], emit func(O)) error) Function {
	read, faultIn := recordsOf[R]()
	emitter, columns, faultOut := emitterOf[O]()
	return Function{
		name: name, info: Info{Columns: columns}, fault: errors.Join(faultIn, faultOut),
		phases: map[pb.FunctionPhase]phase{
			pb.FunctionPhase_FUNCTION_PHASE_MAP: func(ctx context.Context, e *env) error {
				emit, finish := emitter(ctx, e)
				input := &Input[R]{ctx: ctx, env: e, read: read}
				if err := errors.Join(called(f(ctx, input, emit)), input.err); err != nil {
					return err
				}
				return finish()
			},
		},
	}
}

// Keyed makes a function that emits values under keys.
func Keyed[R any, K Key, V any](name string, f func(record R, emit func(K, V)) error, combine func(a, b V) V) Function {
	read, faultIn := recordsOf[R]()
	k := keyed[R, K, V]{read: read, f: f, combine: combine}
	columns, faultOut := k.prepare()
	return Function{
		name: name, info: Info{Keyed: true, Columns: columns}, fault: errors.Join(faultIn, faultOut),
		phases: map[pb.FunctionPhase]phase{
			pb.FunctionPhase_FUNCTION_PHASE_MAP:     k.run,
			pb.FunctionPhase_FUNCTION_PHASE_COMBINE: k.merge(false),
			pb.FunctionPhase_FUNCTION_PHASE_REDUCE:  k.merge(true),
		},
	}
}
