package source

import (
	"context"

	pb "github.com/millrace/millrace/api/millracev1"
)

// Sniffed is how the files of a source are written.
type Sniffed struct {
	// Format of all files; never unspecified.
	Format pb.Format
	// Csv is the dialect when Format is CSV, every field set.
	Csv *pb.Csv
	// Columns by name. Types are set for Parquet and Arrow (DuckDB's names),
	// VARCHAR for CSV; lines have line, file and offset; nil for JSON, whose
	// columns the SQL engine finds.
	Columns []*pb.Column
	// Notes for the user, a sentence each.
	Notes []string
}

// Sniff finds the format, the compression and the dialect of a source's
// fragments, by name and content, and completes each fragment: its
// compression, unit, extent, and whether it must stay whole.
func Sniff(ctx context.Context, src *pb.Source, fragments []*pb.Fragment, o Options) (*Sniffed, error) {
	return nil, &Problem{Kind: Unsupported, Text: "sniffing is being written"}
}

// Sample returns up to about n bytes of the text of a source, whole records
// without header lines, from several of its files: the first, the last and
// some between. It is empty for formats that aren't text.
func Sample(ctx context.Context, src *pb.Source, s *Sniffed, fragments []*pb.Fragment, n int64, o Options) ([]byte, error) {
	return nil, &Problem{Kind: Unsupported, Text: "sniffing is being written"}
}
