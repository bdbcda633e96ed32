package format

import (
	"bytes"
	"context"
	"io"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// Text streams a whole input as text for a program: its own bytes when the
// input's format is the wanted one (with a newline after a part that lacks
// one) or when lines are wanted of any text, and converted otherwise. CSV
// begins with the names of the columns when header is set.
func Text(ctx context.Context, in processor.Input, want pb.Format, header bool, skip Skip) (io.ReadCloser, error) {
	if !holdsText(in.Format) || in.Format != want && want != pb.Format_FORMAT_LINES {
		return newEncoded(ctx, in, want, header, skip)
	}
	text := Concat(ctx, in.Parts)
	if want != pb.Format_FORMAT_CSV || !header {
		return text, nil
	}
	line := NewDialect(in.Csv).AppendHeader(nil, namesOf(in.Columns))
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(line), text), text}, nil
}

// holdsText says that a format is text.
func holdsText(f pb.Format) bool {
	return f == pb.Format_FORMAT_LINES || f == pb.Format_FORMAT_CSV || f == pb.Format_FORMAT_JSON
}

func namesOf(columns []*pb.Column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.GetName()
	}
	return names
}

// InputRecords reads all parts of an input as Arrow records. Where nothing is
// known of the columns of text, they are guessed from its start.
func InputRecords(ctx context.Context, in processor.Input, skip Skip) processor.Records {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for _, part := range in.Parts {
			if len(in.Columns) == 0 {
				var err error
				if in.Columns, err = guessColumns(ctx, in, &part); err != nil {
					yield(nil, err)
					return
				}
			}
			for batch, err := range ToRecords(ctx, in, part, nil, skip) {
				if !yield(batch, err) || err != nil {
					return
				}
			}
		}
	}
}

// encoded is an input's records in another format.
type encoded struct {
	next func() (arrow.RecordBatch, error, bool)
	stop func()
	out  bytes.Buffer
	sink *sink
	done bool
}

func newEncoded(ctx context.Context, in processor.Input, want pb.Format, header bool, skip Skip) (*encoded, error) {
	e := &encoded{}
	e.sink = &sink{w: &e.out, format: want, options: EncoderOptions{Header: header}, columns: in.Columns}
	e.next, e.stop = iter.Pull2(InputRecords(ctx, in, skip))
	return e, nil
}

// Read reads on.
func (e *encoded) Read(p []byte) (int, error) {
	for e.out.Len() == 0 && !e.done {
		batch, err, ok := e.next()
		switch {
		case !ok:
			e.done = true
			err = e.sink.close()
		case err == nil:
			err = e.sink.write(batch)
		}
		if err != nil {
			e.done = true
			return 0, err
		}
	}
	return e.out.Read(p)
}

// Close ends the reading.
func (e *encoded) Close() error {
	e.done = true
	e.stop()
	return nil
}

// sink is an encoder made when the schema is known: by the first batch, or at
// the end by the columns.
type sink struct {
	w       io.Writer
	format  pb.Format
	options EncoderOptions
	columns []*pb.Column
	encoder Encoder
	schema  *arrow.Schema
}

func (s *sink) open(schema *arrow.Schema) (err error) {
	s.schema = schema
	s.encoder, err = NewEncoder(s.format, s.w, schema, s.options)
	return err
}

func (s *sink) write(batch arrow.RecordBatch) error {
	if s.encoder == nil {
		if err := s.open(batch.Schema()); err != nil {
			return err
		}
	}
	if batch.Schema() != s.schema && !sameTypes(batch.Schema(), s.schema) {
		return processor.Fatal("the records have other columns than those before: %v, then %v", s.schema.Fields(), batch.Schema().Fields())
	}
	return s.encoder.Write(batch)
}

func sameTypes(a, b *arrow.Schema) bool {
	if a.NumFields() != b.NumFields() {
		return false
	}
	for i := range a.NumFields() {
		if !arrow.TypeEqual(a.Field(i).Type, b.Field(i).Type) {
			return false
		}
	}
	return true
}

func (s *sink) close() error {
	if s.encoder == nil {
		if err := s.open(Schema(s.columns)); err != nil {
			return err
		}
	}
	return s.encoder.Close()
}
