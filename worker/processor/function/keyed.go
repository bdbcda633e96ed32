package function

import (
	"context"
	"fmt"
	"reflect"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/exchange/sorted"
	"github.com/millrace/millrace/worker/processor"
)

// keyed is a function that emits values under keys.
type keyed[R any, K Key, V any] struct {
	read    reader[R]
	f       func(record R, emit func(K, V)) error
	combine func(a, b V) V

	key   keyKind
	codec sorted.Codec[V]
	form  *sorted.Form[V] // of the result
	idle  sync.Pool       // gathers, with the memory that they have
}

// prepare finds how keys and values become columns, and names those of the
// result.
func (k *keyed[R, K, V]) prepare() ([]*pb.Column, error) {
	k.key = keyKindOf(reflect.TypeFor[K]())
	v, err := valuesOf[V]()
	if err != nil {
		return nil, err
	}
	k.codec = v.codec
	k.form = &sorted.Form[V]{
		Key:  arrow.Field{Name: "key", Type: k.key.arrow},
		Keys: k.key.column, Fields: v.fields, Columns: v.result,
	}
	columns := []*pb.Column{{Name: "key", Type: k.key.duck}}
	for _, c := range v.columns {
		if c.GetName() == "key" {
			return nil, fmt.Errorf("a field of the value has the column key, which is the key's: give it another name in a tag")
		}
		columns = append(columns, c)
	}
	return columns, nil
}

func (k *keyed[R, K, V]) options(e *env) sorted.Options[V] {
	return sorted.Options[V]{
		Codec: k.codec, Combine: k.combine,
		MemoryBytes: e.MemoryBytes, TempDir: e.TempDir, Threads: e.Threads,
	}
}

// run calls the function for each record, and writes what it emitted as a
// sorted stream.
func (k *keyed[R, K, V]) run(ctx context.Context, e *env) error {
	g := k.gather(e)
	defer func() {
		g.Close()
		k.idle.Put(g)
	}()
	emit := emitTo[K](k.key, g)
	err := k.read(ctx, e, func(record R) error {
		if err := k.f(record, emit); err != nil {
			return called(err)
		}
		return g.Err()
	})
	if err != nil {
		return err
	}
	return g.Finish(ctx, e.out.WriteRecords)
}

func (k *keyed[R, K, V]) gather(e *env) *sorted.Gather[V] {
	g, ok := k.idle.Get().(*sorted.Gather[V])
	if !ok {
		return sorted.NewGather(k.options(e))
	}
	g.Begin(k.options(e))
	return g
}

// merge merges sorted streams: into the result when reduce is set, and into
// another sorted stream otherwise.
func (k *keyed[R, K, V]) merge(reduce bool) phase {
	return func(ctx context.Context, e *env) error {
		o := k.options(e)
		if reduce {
			o.Form = k.form
		}
		var inputs []processor.Records
		for _, part := range e.in.Parts {
			if part.Records == nil {
				return processor.Fatal("function %s is to merge what is not a sorted output", e.name)
			}
			inputs = append(inputs, e.counted(part.Records(ctx), part.Bytes))
		}
		return sorted.Merge(ctx, inputs, o, e.out.WriteRecords)
	}
}

// counted counts what is read of records.
func (e *env) counted(records processor.Records, size int64) processor.Records {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for batch, err := range records {
			if err == nil {
				e.Read(batch.NumRows(), 0)
			}
			if !yield(batch, err) {
				return
			}
		}
		e.Read(0, size)
	}
}
