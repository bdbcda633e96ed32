// Package format turns text into records and records into text: it reads
// lines, CSV and JSON lines, and writes Arrow records as CSV, JSON lines,
// Parquet, Arrow, lines or a table for people. Where the bytes come from and
// where they go is decided elsewhere, and so is what a bad record leads to.
package format

import (
	"context"
	"io"

	"github.com/apache/arrow-go/v18/arrow"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// Skip is told of a bad record. It returns nil when the record may be left
// out, and otherwise the error to end with: Attempt.Skip is one.
type Skip func(bad *pb.BadRecord) error

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
func NewEncoder(f pb.Format, w io.Writer, schema *arrow.Schema, o EncoderOptions) (Encoder, error) {
	return nil, processor.Fatal("encoders are being written")
}

// TableOptions says how a table is drawn.
type TableOptions struct {
	// Width is the terminal's, in cells; 0 for no limit.
	Width int
	// MaxRows shows the first and the last rows when there are more; 40 when
	// 0.
	MaxRows int
}

// NewTable makes an encoder that draws a table for people when closed.
func NewTable(w io.Writer, schema *arrow.Schema, o TableOptions) Encoder {
	return nil
}

// ToRecords reads one part of an input as Arrow records of a few thousand rows
// each. Lines have the columns line, file and offset; CSV and JSON have the
// given columns (in.Columns when nil) in their types: nested and exotic types
// are text (for JSON: the value as JSON). Parts that hold records already are
// passed on. Bad records go to skip.
func ToRecords(ctx context.Context, in processor.Input, part processor.Part, columns []*pb.Column, skip Skip) processor.Records {
	return nil
}

// Text streams a whole input as text for a program: its own bytes when the
// input's format is the wanted one (with a newline after a part that lacks
// one), and converted otherwise. CSV begins with the names of the columns when
// header is set.
func Text(ctx context.Context, in processor.Input, want pb.Format, header bool, skip Skip) (io.ReadCloser, error) {
	return nil, processor.Fatal("conversions are being written")
}

// NewEncodeStep makes the step that writes its input in a format, as bytes.
func NewEncodeStep(step *pb.EncodeStep) processor.Step { return nil }
