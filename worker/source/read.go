package source

import (
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// Reader reads the splits of one job's source.
type Reader struct {
	format  pb.Format
	csv     *pb.Csv
	columns []*pb.Column
	source  *pb.Source
	max     int64
	options Options
}

// NewReader makes a reader of a source by its plan (whose fragments and stages
// it doesn't need).
func NewReader(src *pb.Source, plan *pb.Plan, o Options) *Reader {
	return &Reader{
		format: plan.GetFormat(), csv: plan.GetCsv(), columns: plan.GetColumns(),
		source: src, max: maxRecordBytes(src), options: o,
	}
}

// Input is the input of a step that reads the splits.
func (r *Reader) Input(splits []*pb.Split) processor.Input {
	return processor.Input{
		Format: r.format, Csv: r.csv, Columns: r.columns,
		MaxRecordBytes: r.max, Parts: r.Parts(splits),
	}
}

// Parts makes the parts of splits, in their order; nothing is opened yet.
//
// What a text part's Open returns is also a Starter.
func (r *Reader) Parts(splits []*pb.Split) []processor.Part {
	return nil
}

// A Starter knows where its first byte lies in the (decompressed) file: after
// the byte order mark, the header line, or the rest of a record that an
// earlier split owns. For inline records and ranges it is the first record's
// index.
type Starter interface {
	Start() int64
}
