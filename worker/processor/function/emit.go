package function

import (
	"context"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	pb "github.com/millrace/millrace/api/millracev1"
)

const (
	// emitBytes is how much text gathers before it goes out.
	emitBytes = 128 << 10
	// emitRows and emitData bound a record batch: its rows, and the bytes of
	// any of its columns.
	emitRows = 8 << 10
	emitData = 4 << 20
)

// emitter makes an attempt's function emit, and what to call at the end.
type emitter[O any] func(ctx context.Context, e *env) (emit func(O), finish func() error)

// emitterOf finds how values of type O are written; columns is nil for lines.
func emitterOf[O any]() (emitter[O], []*pb.Column, error) {
	t := reflect.TypeFor[O]()
	switch {
	case t.Kind() == reflect.String:
		return lineEmitter(func(to []byte, o O) []byte { return append(to, *(*string)(unsafe.Pointer(&o))...) }), nil, nil
	case t == reflect.TypeFor[[]byte]():
		return lineEmitter(func(to []byte, o O) []byte { return append(to, *(*[]byte)(unsafe.Pointer(&o))...) }), nil, nil
	case t.Kind() == reflect.Struct:
		columns, err := columnsOf(t)
		return rowEmitter[O](columns), describe(columns), err
	}
	return nil, nil, fmt.Errorf("an output can be a string, []byte or a struct, not %v", t)
}

// lineEmitter writes a line for each value.
func lineEmitter[O any](add func(to []byte, o O) []byte) emitter[O] {
	return func(ctx context.Context, e *env) (func(O), func() error) {
		var buffer []byte
		flush := func() error {
			if len(buffer) == 0 {
				return ended(ctx)
			}
			_, err := e.out.Write(buffer)
			buffer = buffer[:0]
			if err != nil {
				return err
			}
			return ended(ctx)
		}
		emit := func(o O) {
			buffer = append(add(buffer, o), '\n')
			if len(buffer) >= emitBytes {
				must(flush())
			}
		}
		return emit, flush
	}
}

// must leaves the user's function when its output can't be written.
func must(err error) {
	if err != nil {
		panic(stop{err})
	}
}

// rowEmitter writes a row for each value.
func rowEmitter[O any](columns []column) emitter[O] {
	return func(ctx context.Context, e *env) (func(O), func() error) {
		b := newRowBuilder(columns)
		flush := func() error {
			if err := b.flush(e.out.WriteRecords); err != nil {
				return err
			}
			return ended(ctx)
		}
		emit := func(o O) {
			must(b.add(unsafe.Pointer(&o)))
			if b.full() {
				must(flush())
			}
		}
		return emit, flush
	}
}

// rowBuilder makes record batches of structs.
type rowBuilder struct {
	columns []column
	builder *array.RecordBuilder
	rows    int
}

func newRowBuilder(columns []column) *rowBuilder {
	schema := arrow.NewSchema(fieldsOf(columns), nil)
	return &rowBuilder{columns: columns, builder: array.NewRecordBuilder(memory.DefaultAllocator, schema)}
}

func (b *rowBuilder) add(row unsafe.Pointer) error {
	for i := range b.columns {
		c := &b.columns[i]
		if err := c.append(b.builder.Field(i), unsafe.Add(row, c.offset)); err != nil {
			return fmt.Errorf("column %s: %w", c.name, err)
		}
	}
	b.rows++
	return nil
}

func (b *rowBuilder) full() bool {
	if b.rows >= emitRows {
		return true
	}
	for _, f := range b.builder.Fields() {
		if text, ok := f.(interface{ DataLen() int }); ok && text.DataLen() >= emitData {
			return true
		}
	}
	return false
}

// flush writes the rows at hand, if there are any.
func (b *rowBuilder) flush(out func(arrow.RecordBatch) error) error {
	if b.rows == 0 {
		return nil
	}
	b.rows = 0
	batch := b.builder.NewRecordBatch()
	defer batch.Release()
	return out(batch)
}
