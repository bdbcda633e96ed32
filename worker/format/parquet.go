package format

import (
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// rowGroupRows and rowGroupBytes end a row group, whichever comes first.
const (
	rowGroupRows  = 122_880
	rowGroupBytes = 64 << 20
)

// dictionaryBytes is how large a column's dictionary may grow in a row group
// before its values are written plainly. Hashing each value costs more than all
// else here, and pays only where few values come again and again: a limit of
// 64 KiB writes a table of mixed columns nearly twice as fast as the usual
// 1 MiB, and no larger.
const dictionaryBytes = 64 << 10

// parquetEncoder writes a Parquet file. Types that Parquet doesn't have
// (intervals among them) are written as text.
type parquetEncoder struct {
	w      *pqarrow.FileWriter
	schema *arrow.Schema
	asText []bool
	rows   int64
}

// noClose hides a writer's Close: the Parquet writer would call it.
type noClose struct{ io.Writer }

func newParquetEncoder(w io.Writer, schema *arrow.Schema) (*parquetEncoder, error) {
	e := &parquetEncoder{asText: make([]bool, schema.NumFields())}
	fields := schema.Fields()
	for k := range fields {
		if e.asText[k] = !parquetHas(fields[k].Type); e.asText[k] {
			fields[k].Type = arrow.BinaryTypes.String
		}
	}
	e.schema = arrow.NewSchema(fields, nil)
	props := parquet.NewWriterProperties(
		parquet.WithCompression(compress.Codecs.Zstd), parquet.WithCompressionLevel(1),
		parquet.WithDictionaryPageSizeLimit(dictionaryBytes), parquet.WithMaxRowGroupLength(rowGroupRows), parquet.WithStats(true),
		parquet.WithCreatedBy("millrace"),
	)
	var err error
	e.w, err = pqarrow.NewFileWriter(e.schema, noClose{w}, props, pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
	return e, err
}

// parquetHas says that a type can be written to Parquet.
func parquetHas(t arrow.DataType) bool {
	switch t := t.(type) {
	case *arrow.MonthIntervalType, *arrow.DayTimeIntervalType, *arrow.MonthDayNanoIntervalType, *arrow.DurationType,
		*arrow.Decimal256Type, *arrow.RunEndEncodedType, arrow.UnionType, *arrow.NullType, *arrow.StringViewType, *arrow.BinaryViewType:
		return false
	case arrow.NestedType:
		for _, f := range t.Fields() {
			if !parquetHas(f.Type) {
				return false
			}
		}
		return t.NumFields() > 0
	case *arrow.DictionaryType:
		return parquetHas(t.ValueType)
	}
	return true
}

// Write writes the rows of batch.
func (e *parquetEncoder) Write(batch arrow.RecordBatch) error {
	if batch.NumRows() == 0 {
		return nil
	}
	columns := make([]arrow.Array, batch.NumCols())
	for k, col := range batch.Columns() {
		columns[k] = col
		if e.asText[k] {
			columns[k] = textColumn(col)
			defer columns[k].Release()
		}
	}
	rows := array.NewRecordBatch(e.schema, columns, batch.NumRows())
	defer rows.Release()
	if e.rows > 0 && e.w.RowGroupTotalBytesWritten() > rowGroupBytes {
		e.w.NewBufferedRowGroup()
	}
	e.rows += batch.NumRows()
	return e.w.WriteBuffered(rows)
}

// textColumn is a column as text.
func textColumn(col arrow.Array) arrow.Array {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	value := text(col, plain)
	var buf []byte
	for i := range col.Len() {
		if col.IsNull(i) || col.DataType().ID() == arrow.NULL {
			b.AppendNull()
			continue
		}
		buf = value(buf[:0], i)
		b.BinaryBuilder.Append(buf)
	}
	return b.NewArray()
}

// Close writes the footer.
func (e *parquetEncoder) Close() error { return e.w.Close() }
