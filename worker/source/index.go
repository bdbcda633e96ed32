package source

import (
	"context"

	pb "github.com/millrace/millrace/api/millracev1"
)

// IndexRequest says what an index is for.
type IndexRequest struct {
	// Format and Csv as sniffed.
	Format pb.Format
	Csv    *pb.Csv
	// MinBytes is the size below which a file won't be cut, and so needs no
	// index. It is ignored when EveryRecords is set.
	MinBytes int64
	// EveryRecords asks for cuts at every so many records, and for the number
	// of records; 0 for cuts wherever a CSV file may be cut.
	EveryRecords int64
}

// Index finds where fragments may be cut, and sets their Cuts (and Records,
// with EveryRecords). A CSV file without a newline inside quotes may be cut
// anywhere, and gets no cuts; one that has some gets a cut about every MiB.
// Compressed and whole fragments get no cuts.
func Index(ctx context.Context, fragments []*pb.Fragment, r IndexRequest, o Options) error {
	return &Problem{Kind: Unsupported, Text: "the index is being written"}
}
