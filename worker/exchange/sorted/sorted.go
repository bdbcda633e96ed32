// Package sorted gathers values under keys, and merges what was gathered: in a
// hash table within a bound of memory, as sorted runs on disk beyond it, and as
// sorted streams of Arrow records between batches. How values are combined, and
// how they become columns, is the caller's to say.
//
// A sorted stream has the column key, binary and strictly rising, and the
// columns of the value's Codec. Keys are strings, or integers in an encoding
// whose bytes sort as they do.
package sorted

import (
	"github.com/apache/arrow-go/v18/arrow"
)

const (
	// batchRows and batchBytes bound a record batch of a sorted stream, by rows
	// and by what keys and values take: a merge holds two or three of them for
	// each of its inputs.
	batchRows  = 32 << 10
	batchBytes = 2 << 20
	// maxFanIn is how many streams are merged at once; more are merged in
	// groups first, by way of the disk.
	maxFanIn = 64
)

// Codec turns values into columns and back.
type Codec[V any] struct {
	// Fields are the columns' names and types.
	Fields []arrow.Field
	// Columns makes the columns of values. It may share their memory.
	Columns func(values []V) ([]arrow.Array, error)
	// Values is the reverse. What it returns may share the columns' memory as
	// far as V can't be changed through it.
	Values func(columns []arrow.Array) ([]V, error)
	// Weigh is about how many bytes a value holds outside of itself; nil when
	// V never holds any.
	Weigh func(value V) int
}

// Options says how values are gathered and merged.
type Options[V any] struct {
	// Codec of the values.
	Codec Codec[V]
	// Combine makes one value of two of the same key; the left one is from
	// earlier in the source.
	Combine func(a, b V) V
	// MemoryBytes is about how much memory may be used.
	MemoryBytes int64
	// TempDir is where runs are written that don't fit in memory.
	TempDir func() (string, error)
	// Threads that a merge may use; 1 when 0. Combine is then called from as
	// many goroutines, each for keys of its own.
	Threads int
	// Form of the output; a sorted stream when nil.
	Form *Form[V]
}

// Form is how an output's columns are made, where they are not a sorted
// stream's.
type Form[V any] struct {
	// Key is the key's column, and Fields those of the value.
	Key    arrow.Field
	Fields []arrow.Field
	// Keys makes the key's column from count keys: the i-th is
	// data[offsets[i]:offsets[i+1]]. It may share their memory.
	Keys func(count int, offsets []int32, data []byte) arrow.Array
	// Columns makes the columns of values. It may share their memory.
	Columns func(values []V) ([]arrow.Array, error)
}

// form is the form of the output.
func (o Options[V]) form() Form[V] {
	if o.Form != nil {
		return *o.Form
	}
	return Form[V]{
		Key:    arrow.Field{Name: "key", Type: arrow.BinaryTypes.Binary},
		Fields: o.Codec.Fields, Columns: o.Codec.Columns,
		Keys: func(count int, offsets []int32, data []byte) arrow.Array {
			return BinaryColumn(arrow.BinaryTypes.Binary, count, offsets, data)
		},
	}
}

// sortedForm is the same options for an output that is a sorted stream.
func (o Options[V]) sortedForm() Options[V] {
	o.Form = nil
	return o
}

func (f Form[V]) schema() *arrow.Schema {
	return arrow.NewSchema(append([]arrow.Field{f.Key}, f.Fields...), nil)
}
