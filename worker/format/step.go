package format

import (
	"context"
	"io"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// encodeStep writes its input in a format.
type encodeStep struct {
	format pb.Format
	header bool
}

// NewEncodeStep makes the step that writes its input in a format, as bytes.
// Text that is in the format already passes untouched.
func NewEncodeStep(step *pb.EncodeStep) processor.Step {
	return &encodeStep{format: step.GetFormat(), header: step.GetHeader()}
}

// Run encodes a batch.
func (s *encodeStep) Run(ctx context.Context, a *processor.Attempt, in processor.Input, out processor.Output) error {
	if s.passes(in) {
		return s.pass(ctx, a, in, out)
	}
	to := &sink{w: out, format: s.format, options: EncoderOptions{Header: s.header}, columns: in.Columns}
	var skip Skip
	if a != nil {
		skip = a.Skip
	}
	for batch, err := range InputRecords(ctx, in, skip) {
		if err != nil {
			return err
		}
		if err := to.write(batch); err != nil {
			return err
		}
		count(a, batch.NumRows(), 0)
	}
	for _, p := range in.Parts {
		count(a, 0, p.Bytes)
	}
	return to.close()
}

// passes says that the input is text in the wanted format. CSV of a dialect
// of its own isn't.
func (s *encodeStep) passes(in processor.Input) bool {
	d := NewDialect(in.Csv)
	usual := d.Delimiter == ',' && d.Quote == '"' && d.Escape == '"'
	named := !s.header || len(in.Columns) > 0
	return in.Format == s.format && holdsText(in.Format) && (in.Format != pb.Format_FORMAT_CSV || usual && named)
}

func (s *encodeStep) pass(ctx context.Context, a *processor.Attempt, in processor.Input, out processor.Output) error {
	text, err := Text(ctx, in, s.format, s.header, nil)
	if err != nil {
		return err
	}
	defer text.Close()
	buf, d, state := make([]byte, flushSize), dialectOf(in), RecordStart
	for {
		n, err := text.Read(buf)
		if n > 0 {
			r := d.Scan(state, buf[:n])
			state = r.End
			count(a, int64(r.Records), int64(n))
			if _, err := out.Write(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// dialectOf is the automaton of an input's text.
func dialectOf(in processor.Input) *Dialect {
	if in.Format == pb.Format_FORMAT_CSV {
		return NewDialect(in.Csv)
	}
	none := ""
	return NewDialect(&pb.Csv{Quote: &none})
}

func count(a *processor.Attempt, records, bytes int64) {
	if a != nil && a.Read != nil {
		a.Read(records, bytes)
	}
}

// Close frees nothing: the step keeps nothing.
func (s *encodeStep) Close() error { return nil }
