package sorted

import (
	"fmt"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// rows is a record batch of an output while it is made.
type rows[V any] struct {
	offsets []int32
	data    []byte
	values  []V
	weigh   func(V) int
	weight  int // what values hold elsewhere, in bytes
}

func newRows[V any](o Options[V]) *rows[V] {
	return &rows[V]{offsets: []int32{0}, weigh: o.Codec.Weigh}
}

// full says that no more should be added.
func (r *rows[V]) full() bool {
	return len(r.values) >= batchRows || len(r.data)+r.weight >= batchBytes
}

// seal ends the key that was appended to data, and gives it its value.
func (r *rows[V]) seal(value V) {
	r.offsets = append(r.offsets, int32(len(r.data)))
	r.values = append(r.values, value)
	if r.weigh != nil {
		r.weight += r.weigh(value)
	}
}

// reset empties the rows and keeps their memory.
func (r *rows[V]) reset() {
	clear(r.values)
	r.offsets, r.data, r.values, r.weight = r.offsets[:1], r.data[:0], r.values[:0], 0
}

// writer makes record batches of rows.
type writer[V any] struct {
	form   Form[V]
	schema *arrow.Schema
	out    func(arrow.RecordBatch) error
}

func newWriter[V any](o Options[V], out func(arrow.RecordBatch) error) *writer[V] {
	form := o.form()
	return &writer[V]{form: form, schema: form.schema(), out: out}
}

// write writes rows; they can be reset when it returns.
func (w *writer[V]) write(r *rows[V]) error {
	if len(r.values) == 0 {
		return nil
	}
	columns, err := w.form.Columns(r.values)
	if err != nil {
		return fmt.Errorf("encode values: %w", err)
	}
	columns = append([]arrow.Array{w.form.Keys(len(r.values), r.offsets, r.data)}, columns...)
	batch := array.NewRecordBatch(w.schema, columns, int64(len(r.values)))
	for _, c := range columns {
		c.Release()
	}
	defer batch.Release()
	return w.out(batch)
}

// BinaryColumn makes a column of a binary or string type that shares the memory
// of offsets and data.
func BinaryColumn(t arrow.DataType, count int, offsets []int32, data []byte) arrow.Array {
	parts := []*memory.Buffer{nil, memory.NewBufferBytes(asBytes(offsets)), memory.NewBufferBytes(data)}
	column := array.NewData(t, count, parts, nil, 0, 0)
	defer column.Release()
	return array.MakeFromData(column)
}

// FixedColumn makes a column of a type of fixed width that shares the memory of
// values, which must be of that width.
func FixedColumn[V any](t arrow.DataType, values []V) arrow.Array {
	column := array.NewData(t, len(values), []*memory.Buffer{nil, memory.NewBufferBytes(asBytes(values))}, nil, 0, 0)
	defer column.Release()
	return array.MakeFromData(column)
}

// FixedValues is the reverse of FixedColumn, for a column without nulls.
func FixedValues[V any](column arrow.Array) []V {
	data := column.Data()
	if data.Len() == 0 {
		return nil
	}
	first := unsafe.Pointer(unsafe.SliceData(data.Buffers()[1].Bytes()))
	return unsafe.Slice((*V)(first), data.Offset()+data.Len())[data.Offset():]
}

func asBytes[V any](values []V) []byte {
	var v V
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*int(unsafe.Sizeof(v)))
}
