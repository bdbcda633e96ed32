// Package worker is what a Go programmer imports to run functions of their own
// over data. A Function is a plain value, made here with generics and given to
// cli.Main; nothing is registered anywhere. How functions are run, retried and
// merged is decided below worker/processor/function.
//
// A whole program that counts words:
//
//	package main
//
//	import (
//		"strings"
//
//		"github.com/millrace/millrace/cmd/cli"
//		"github.com/millrace/millrace/worker"
//	)
//
//	func words(line string, emit func(string, int64)) error {
//		for word := range strings.FieldsSeq(line) {
//			emit(word, 1)
//		}
//		return nil
//	}
//
//	func add(a, b int64) int64 { return a + b }
//
//	func main() { cli.Main(worker.Keyed("words", words, add)) }
//
// # Records
//
// A record R is one of
//   - string or a type of its kind: the record's text, without the end of its
//     line. Records of Parquet and Arrow arrive as JSON. The string may be kept,
//     but keeps some 256 KiB alive with it: clone what is kept for long.
//   - []byte: the same text, valid only until the function returns.
//   - a struct: its exported fields are filled from the columns of CSV, lines,
//     Parquet or Arrow, by the name in the tag `json`, else the tag `csv`, else
//     the field's own name, with case ignored. A value that does not fit is a
//     bad record: it fails the job, or is skipped and counted where the job
//     allows it. A null fits only into a pointer, a string or a []byte. A column
//     that no field wants is passed over; a field without a column is an error
//     unless it is a pointer or its tag says omitempty. JSON lines are read as
//     encoding/json does. What has no column type of its own (slices, maps,
//     structs) is JSON in a column of text.
//
// An output O is a string or []byte, written as a line, or a struct, written as
// columns. Functions are called from one goroutine for each batch, and several
// batches may run at once: what they share must be safe for that. emit must be
// called from the goroutine that called the function. A panic fails the batch
// with its stack; a panic in a goroutine that a function started can't be caught.
package worker

import (
	"context"

	"github.com/millrace/millrace/worker/processor/function"
)

// Function is a named function, ready to be given to cli.Main or an agent. A
// mistake in its types is reported when the program starts.
type Function = function.Function

// Input is a batch as Batch's function sees it.
type Input[R any] = function.Input[R]

// BadRecord is an error that a function returns for a record that can't be used:
// the record is skipped and counted where the job allows that, and fails the job
// otherwise. Any other error fails the attempt.
type BadRecord = function.BadRecord

// Map makes a function that is called for each record and emits any number of
// outputs, which keep the order of the source.
func Map[R, O any](name string, f func(record R, emit func(O)) error) Function {
	return function.Map(name, f)
}

// Keyed makes a function that emits values under keys. Values of one key are
// combined wherever they meet, and the result is one row for each key, in the
// order of keys: columns key and value, or key and V's fields where V is a
// struct. K is a string or an integer. V is a bool, number, string, []byte, a
// struct of those, or a type with MarshalBinary and UnmarshalBinary.
//
// combine must be associative; its left argument is from earlier in the source.
// It may change and return either argument. It may be called from several
// goroutines at once, for different keys.
func Keyed[R any, K function.Key, V any](
	name string, f func(record R, emit func(K, V)) error, combine func(a, b V) V,
) Function {
	return function.Keyed(name, f, combine)
}

// Batch makes a function that is called once for each batch and sees all of its
// records. ctx ends when the batch is cancelled or out of time.
func Batch[R, O any](
	name string, f func(ctx context.Context, batch *Input[R], emit func(O)) error,
) Function {
	return function.Batch(name, f)
}
