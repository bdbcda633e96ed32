package format

import (
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// Encoder writes records in a format.
type Encoder interface {
	// Write writes the rows of batch, and keeps nothing of it.
	Write(batch arrow.RecordBatch) error
	// Close writes what is left, and the format's end. It doesn't close the
	// writer below.
	Close() error
}

// EncoderOptions says how records are written.
type EncoderOptions struct {
	// Header begins CSV with the names of the columns.
	Header bool
	// Delimiter of CSV; a comma when 0.
	Delimiter byte
}

// NewEncoder makes an encoder of records of one schema: CSV, JSON (an object
// a line), PARQUET, ARROW (an IPC stream) or LINES (a single column as it is,
// several separated by tabs).
//
// Values are written as DuckDB writes them. Null is nothing in CSV and in
// lines, where empty text is "" in CSV. JSON has null also for numbers that
// it can't write (NaN and the infinities); times, intervals and bytes are text
// in it, keys of maps too.
func NewEncoder(f pb.Format, w io.Writer, schema *arrow.Schema, o EncoderOptions) (Encoder, error) {
	switch f {
	case pb.Format_FORMAT_CSV:
		return newCSVEncoder(w, schema, o), nil
	case pb.Format_FORMAT_JSON:
		return newJSONEncoder(w, schema), nil
	case pb.Format_FORMAT_LINES:
		return &rowEncoder{w: w, row: lineRow}, nil
	case pb.Format_FORMAT_PARQUET:
		return newParquetEncoder(w, schema)
	case pb.Format_FORMAT_ARROW:
		return ipc.NewWriter(w, ipc.WithSchema(schema)), nil
	}
	return nil, processor.Fatal("records can't be written as %s", f)
}

// flushSize is how much text is gathered before it is written.
const flushSize = 256 << 10

// column is what writes one column of a batch.
type column struct {
	values arrow.Array
	text   appender
	nulls  bool
	// quotes says that values may need quotes in CSV.
	quotes bool
}

func columnsOf(batch arrow.RecordBatch, s style) []column {
	columns := make([]column, batch.NumCols())
	for k, col := range batch.Columns() {
		columns[k] = column{values: col, text: text(col, s), nulls: col.NullN() > 0 || col.DataType().ID() == arrow.NULL, quotes: mayNeedQuotes(col.DataType())}
	}
	return columns
}

func (c *column) null(i int) bool { return c.nulls && c.values.IsNull(i) }

// mayNeedQuotes is false for types whose text never holds a usual delimiter.
func mayNeedQuotes(t arrow.DataType) bool {
	return !arrow.IsPrimitive(t.ID()) && t.ID() != arrow.DECIMAL128 && t.ID() != arrow.DECIMAL256
}

// rowEncoder writes rows as text, gathered in one buffer.
type rowEncoder struct {
	w     io.Writer
	buf   []byte
	style style
	row   func(b []byte, columns []column, i int) []byte
}

// Write writes the rows of batch.
func (e *rowEncoder) Write(batch arrow.RecordBatch) error {
	columns := columnsOf(batch, e.style)
	for i := range int(batch.NumRows()) {
		e.buf = e.row(e.buf, columns, i)
		if len(e.buf) >= flushSize {
			if err := e.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *rowEncoder) flush() error {
	if len(e.buf) == 0 {
		return nil
	}
	_, err := e.w.Write(e.buf)
	e.buf = e.buf[:0]
	return err
}

// Close writes what is left.
func (e *rowEncoder) Close() error { return e.flush() }

// lineRow writes a row as a line.
func lineRow(b []byte, columns []column, i int) []byte {
	for k := range columns {
		if k > 0 {
			b = append(b, '\t')
		}
		if !columns[k].null(i) {
			b = columns[k].text(b, i)
		}
	}
	return append(b, '\n')
}

func newCSVEncoder(w io.Writer, schema *arrow.Schema, o EncoderOptions) *rowEncoder {
	d := Dialect{Delimiter: o.Delimiter, Quote: '"', Escape: '"'}
	if d.Delimiter == 0 {
		d.Delimiter = ','
	}
	e := &rowEncoder{w: w, row: d.row}
	if o.Header {
		var names []string
		for _, f := range schema.Fields() {
			names = append(names, f.Name)
		}
		e.buf = d.AppendHeader(e.buf, names)
	}
	return e
}

// AppendHeader appends a line of column names.
func (d *Dialect) AppendHeader(b []byte, names []string) []byte {
	for i, name := range names {
		if i > 0 {
			b = append(b, d.Delimiter)
		}
		b = d.AppendField(b, []byte(name))
	}
	return append(b, '\n')
}

// row writes a row as a record of CSV.
func (d *Dialect) row(b []byte, columns []column, i int) []byte {
	odd := d.Delimiter != ',' && d.Delimiter != ';' && d.Delimiter != '\t' && d.Delimiter != '|'
	for k := range columns {
		c := &columns[k]
		if k > 0 {
			b = append(b, d.Delimiter)
		}
		if c.null(i) {
			continue
		}
		start := len(b)
		b = c.text(b, i)
		if c.quotes || odd {
			b = d.quoteFrom(b, start)
		}
	}
	return append(b, '\n')
}

// special are the bytes for which a field needs quotes, but for its delimiter.
var special = [256]bool{'"': true, '\n': true, '\r': true}

// quoteFrom puts the field at the end of b in quotes if it needs them; an
// empty one too, since nothing at all is null.
func (d *Dialect) quoteFrom(b []byte, start int) []byte {
	quotes, other := 0, len(b) == start
	for _, c := range b[start:] {
		if special[c] || c == d.Delimiter {
			other = true
			if c == '"' {
				quotes++
			}
		}
	}
	if !other {
		return b
	}
	from := len(b)
	for range quotes + 2 {
		b = append(b, 0)
	}
	to := len(b) - 1
	b[to] = '"'
	for from--; from >= start; from-- {
		to--
		b[to] = b[from]
		if b[from] == '"' {
			to--
			b[to] = '"'
		}
	}
	b[start] = '"'
	return b
}

func newJSONEncoder(w io.Writer, schema *arrow.Schema) *rowEncoder {
	keys := make([]string, schema.NumFields())
	for k, f := range schema.Fields() {
		keys[k] = string(appendJSONString(nil, f.Name)) + ":"
		if k > 0 {
			keys[k] = "," + keys[k]
		}
	}
	row := func(b []byte, columns []column, i int) []byte {
		b = append(b, '{')
		for k := range columns {
			b = append(b, keys[k]...)
			if columns[k].null(i) {
				b = append(b, "null"...)
			} else {
				b = columns[k].text(b, i)
			}
		}
		return append(b, '}', '\n')
	}
	return &rowEncoder{w: w, style: asJSON, row: row}
}
