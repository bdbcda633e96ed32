package command

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/format"
	"github.com/millrace/millrace/worker/processor"
)

// writeArrow writes a batch as one Arrow IPC stream. Its schema's metadata says
// which batch it is, under the names of the environment in lower case.
func writeArrow(ctx context.Context, a *processor.Attempt, in processor.Input, to io.Writer) error {
	buffer := bufio.NewWriterSize(to, copyBytes)
	var stream *ipc.Writer
	for batch, err := range recordsOf(ctx, a, in) {
		if err != nil {
			return err
		}
		if stream == nil {
			stream = ipc.NewWriter(buffer, ipc.WithSchema(told(batch.Schema(), a, in)))
		}
		if err := stream.Write(batch); err != nil {
			return err
		}
	}
	if stream == nil {
		stream = ipc.NewWriter(buffer, ipc.WithSchema(told(emptySchema(in), a, in)))
	}
	return errors.Join(stream.Close(), buffer.Flush())
}

// recordsOf are the records of all parts.
func recordsOf(ctx context.Context, a *processor.Attempt, in processor.Input) processor.Records {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for _, part := range in.Parts {
			for batch, err := range partRecords(ctx, a, in, part) {
				if err == nil && a.Read != nil {
					a.Read(batch.NumRows(), 0)
				}
				if !yield(batch, err) || err != nil {
					return
				}
			}
			if a.Read != nil {
				a.Read(0, part.Bytes)
			}
		}
	}
}

func partRecords(ctx context.Context, a *processor.Attempt, in processor.Input, part processor.Part) processor.Records {
	if part.Records != nil {
		return part.Records(ctx)
	}
	return format.ToRecords(ctx, in, part, in.Columns, a.Skip)
}

// told is a schema that says which batch its records are of.
func told(schema *arrow.Schema, a *processor.Attempt, in processor.Input) *arrow.Schema {
	keys := []string{
		toldPrefix + "job", toldPrefix + "stage", toldPrefix + "batch",
		toldPrefix + "attempt", toldPrefix + "position", toldPrefix + "file",
	}
	values := []string{
		a.JobID, a.Stage, strconv.FormatUint(a.Batch, 10), strconv.FormatUint(uint64(a.Number), 10),
		strconv.FormatInt(a.Position, 10), oneFile(in),
	}
	metadata := arrow.NewMetadata(keys, values)
	return arrow.NewSchema(schema.Fields(), &metadata)
}

// toldPrefix begins what told adds to a schema's metadata.
const toldPrefix = "millrace_"

// untold takes what told added out of an answer: many programs pass the metadata
// of their input on. The caller releases the result.
func untold(batch arrow.RecordBatch) arrow.RecordBatch {
	metadata := batch.Schema().Metadata()
	var keys, values []string
	for i, key := range metadata.Keys() {
		if !strings.HasPrefix(key, toldPrefix) {
			keys, values = append(keys, key), append(values, metadata.Values()[i])
		}
	}
	if len(keys) == metadata.Len() {
		batch.Retain()
		return batch
	}
	rest := arrow.NewMetadata(keys, values)
	return array.NewRecordBatch(arrow.NewSchema(batch.Schema().Fields(), &rest), batch.Columns(), batch.NumRows())
}

// emptyTypes are the types of columns that have no records; those that are not
// here are text.
var emptyTypes = map[string]arrow.DataType{
	"BOOLEAN": arrow.FixedWidthTypes.Boolean, "DOUBLE": arrow.PrimitiveTypes.Float64,
	"BIGINT": arrow.PrimitiveTypes.Int64, "INTEGER": arrow.PrimitiveTypes.Int32,
	"SMALLINT": arrow.PrimitiveTypes.Int16, "TINYINT": arrow.PrimitiveTypes.Int8,
	"FLOAT": arrow.PrimitiveTypes.Float32, "DATE": arrow.FixedWidthTypes.Date32,
	"BLOB": arrow.BinaryTypes.Binary,
}

func emptySchema(in processor.Input) *arrow.Schema {
	fields := make([]arrow.Field, len(in.Columns))
	for i, c := range in.Columns {
		t, ok := emptyTypes[c.GetType()]
		if !ok {
			t = arrow.BinaryTypes.String
		}
		fields[i] = arrow.Field{Name: c.GetName(), Type: t, Nullable: true}
	}
	if in.Format == pb.Format_FORMAT_LINES && len(fields) == 0 {
		fields = []arrow.Field{{Name: "line", Type: arrow.BinaryTypes.String, Nullable: true}}
	}
	return arrow.NewSchema(fields, nil)
}
