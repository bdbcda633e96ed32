package source

import (
	"context"
	"io"
	"os"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/format"
	"github.com/millrace/millrace/worker/processor"
)

// Reader reads the splits of one job's source.
type Reader struct {
	format  pb.Format
	csv     *pb.Csv
	dialect *format.Dialect
	columns []*pb.Column
	source  *pb.Source
	max     int64
	options Options
}

// NewReader makes a reader of a source by its plan (whose fragments and stages
// it doesn't need).
func NewReader(src *pb.Source, plan *pb.Plan, o Options) *Reader {
	r := &Reader{
		format: plan.GetFormat(), csv: plan.GetCsv(), columns: plan.GetColumns(),
		source: src, max: maxRecordBytes(src), options: o,
	}
	if r.format == pb.Format_FORMAT_UNSPECIFIED {
		r.format = pb.Format_FORMAT_LINES
	}
	if r.format == pb.Format_FORMAT_CSV {
		r.dialect = format.NewDialect(r.csv)
	}
	return r
}

// Input is the input of a step that reads the splits.
func (r *Reader) Input(splits []*pb.Split) processor.Input {
	return processor.Input{
		Format: r.format, Csv: r.csv, Columns: r.columns,
		MaxRecordBytes: r.max, Parts: r.Parts(splits),
	}
}

// A Starter knows where its first byte lies in the (decompressed) file: after
// the byte order mark, the header line, or the rest of a record that an
// earlier split owns. It is -1 where offsets say nothing: for inline records,
// and where columns were put in another order.
type Starter interface {
	Start() int64
}

// Parts makes the parts of splits, in their order; nothing is opened yet. What
// a text part's Open returns is also a Starter.
//
// A file that isn't what was planned is a *processor.Failure of class
// INPUT_GONE, when it is opened or at its end; one whose content is broken is
// FATAL.
func (r *Reader) Parts(splits []*pb.Split) []processor.Part {
	parts := make([]processor.Part, len(splits))
	for i, s := range splits {
		parts[i] = r.part(s)
	}
	return parts
}

func (r *Reader) part(s *pb.Split) processor.Part {
	f := s.GetSource()
	p := processor.Part{
		Name: f.GetPath(), Offset: s.GetFrom(), Bytes: splitBytes(s),
		Whole: s.GetFrom() == 0 && s.GetTo() >= f.GetExtent(), ToRow: -1,
	}
	if f.GetUnit() != pb.Unit_UNIT_RECORDS {
		p.File = func() (*os.File, error) { return r.options.Roots.Open(f.GetPath()) }
		p.Real = func() (string, error) { return r.options.Roots.Real(f.GetPath()) }
	}
	switch {
	case f.GetUnit() == pb.Unit_UNIT_RECORDS:
		p.Open = func(context.Context) (io.ReadCloser, error) { return r.openInline(s), nil }
	case r.format == pb.Format_FORMAT_PARQUET:
		p.FromRow = s.GetFrom()
		switch {
		case !p.Whole:
			p.ToRow = s.GetTo()
		case f.GetRecords() > 0:
			p.ToRow = f.GetRecords() // which saves looking for the number again
		}
		p.Records = func(ctx context.Context) processor.Records { return r.parquet(ctx, s) }
	case r.format == pb.Format_FORMAT_ARROW:
		p.Records = func(ctx context.Context) processor.Records { return r.arrow(ctx, s) }
	default:
		p.Open = func(ctx context.Context) (io.ReadCloser, error) { return r.open(ctx, s) }
	}
	return p
}

// splitBytes is about how many bytes a split reads.
func splitBytes(s *pb.Split) int64 {
	f := s.GetSource()
	n := s.GetTo() - s.GetFrom()
	switch {
	case f.GetUnit() == pb.Unit_UNIT_RECORDS:
		return 8 * n
	case f.GetUnit() == pb.Unit_UNIT_ROWS && f.GetExtent() > 0:
		return int64(float64(f.GetSizeBytes()) * float64(n) / float64(f.GetExtent()))
	}
	return min(n, f.GetSizeBytes())
}

// Check compares a fragment's file with what was planned: nil, or the failure
// INPUT_GONE. It is for those who read a file by its path.
func Check(f *pb.Fragment, o Options) error {
	file, err := openChecked(f, o)
	if err != nil {
		return err
	}
	return file.Close()
}

func (r *Reader) open(ctx context.Context, s *pb.Split) (io.ReadCloser, error) {
	in, err := r.openBytes(ctx, s)
	if err != nil || !r.reorders() {
		return in, err
	}
	return r.reorder(ctx, s, in)
}

func (r *Reader) openBytes(ctx context.Context, s *pb.Split) (io.ReadCloser, error) {
	switch s.GetSource().GetCompression() {
	case pb.Compression_COMPRESSION_UNSPECIFIED, pb.Compression_COMPRESSION_NONE:
		return r.openText(ctx, s)
	}
	return r.openStream(s.GetSource())
}
