package function

import "context"

// Input is a batch as a function made by Batch sees it.
type Input[R any] struct{ batch }

type batch struct{ ctx context.Context }

// Map makes a function that is called for each record.
func Map[R, O any](name string, f func(record R, emit func(O)) error) Function {
	return Function{name: name}
}

// Keyed makes a function that emits values under keys.
func Keyed[R any, K Key, V any](name string, f func(record R, emit func(K, V)) error, combine func(a, b V) V) Function {
	return Function{name: name, info: Info{Keyed: true}}
}

// Batch makes a function that sees all records of a batch.
func Batch[R, O any](name string, f func(ctx context.Context, batch *Input[R], emit func(O)) error) Function {
	return Function{name: name}
}
