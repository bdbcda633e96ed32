package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"golang.org/x/term"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/format"
)

// tableRows is how many rows a table shows on a terminal: the first and the last
// ones. In a pipe, where somebody asked for a table, it shows them all.
const tableRows = 40

// recordWriter writes the Arrow streams of a result as one table, file or stream.
type recordWriter struct {
	format  string
	to      *output
	encoder format.Encoder // made with the first stream's schema
	schema  *arrow.Schema
}

// writeRecords writes a result of Arrow records in a format.
func writeRecords(result *api.Result, as string, to *output) error {
	w := &recordWriter{format: as, to: to}
	for stream, err := range result.Outputs() {
		if err != nil {
			return err
		}
		if err := w.stream(stream); err != nil {
			return err
		}
	}
	columns := result.Header().GetColumns()
	if w.encoder == nil && len(columns) == 0 && (as == "csv" || as == formatTable) {
		return nil // there is nothing, not even the names of what there isn't
	}
	if w.encoder == nil {
		if err := w.begin(emptySchema(columns)); err != nil {
			return err
		}
	}
	return w.encoder.Close()
}

func (w *recordWriter) begin(schema *arrow.Schema) (err error) {
	w.schema = schema
	if w.format == formatTable {
		w.encoder = format.NewTable(w.to, schema, w.table())
		return nil
	}
	w.encoder, err = format.NewEncoder(formatNamed(w.format), w.to, schema, format.EncoderOptions{Header: true})
	return err
}

func (w *recordWriter) table() format.TableOptions {
	width, _, err := term.GetSize(int(w.to.to.Fd()))
	if err != nil {
		return format.TableOptions{MaxRows: int(^uint(0) >> 1)}
	}
	return format.TableOptions{Width: width, MaxRows: tableRows}
}

// stream writes the records of one output.
func (w *recordWriter) stream(from io.Reader) error {
	reader, err := ipc.NewReader(from)
	if errors.Is(err, io.EOF) {
		return nil // an output without anything
	}
	if err != nil {
		return err
	}
	defer reader.Release()
	if w.encoder == nil {
		if err := w.begin(reader.Schema()); err != nil {
			return err
		}
	}
	if err := sameColumns(w.schema, reader.Schema()); err != nil {
		return err
	}
	for reader.Next() {
		if err := w.encoder.Write(reader.RecordBatch()); err != nil {
			return err
		}
	}
	if err := reader.Err(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// sameColumns fails when outputs don't make one table: a program may answer each
// batch with other columns.
func sameColumns(first, next *arrow.Schema) error {
	one, other := columnsOf(first), columnsOf(next)
	if one == other {
		return nil
	}
	return fmt.Errorf("outputs have different columns, and so make no one table: first (%s), then (%s)", one, other)
}

func columnsOf(schema *arrow.Schema) string {
	columns := make([]string, schema.NumFields())
	for i, field := range schema.Fields() {
		columns[i] = field.Name + " " + field.Type.String()
	}
	return strings.Join(columns, ", ")
}

// emptySchema is the schema of a result without any output. Types matter little
// where there are no values; those that every reader knows are kept.
func emptySchema(columns []*pb.Column) *arrow.Schema {
	fields := make([]arrow.Field, len(columns))
	for i, column := range columns {
		fields[i] = arrow.Field{Name: column.GetName(), Type: emptyType(column.GetType()), Nullable: true}
	}
	return arrow.NewSchema(fields, nil)
}

func emptyType(name string) arrow.DataType {
	switch name {
	case "BOOLEAN":
		return arrow.FixedWidthTypes.Boolean
	case "TINYINT", "SMALLINT", "INTEGER":
		return arrow.PrimitiveTypes.Int32
	case "BIGINT":
		return arrow.PrimitiveTypes.Int64
	case "FLOAT":
		return arrow.PrimitiveTypes.Float32
	case "DOUBLE":
		return arrow.PrimitiveTypes.Float64
	case "DATE":
		return arrow.FixedWidthTypes.Date32
	case "TIMESTAMP":
		return arrow.FixedWidthTypes.Timestamp_us
	}
	return arrow.BinaryTypes.String
}
