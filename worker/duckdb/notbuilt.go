//go:build !cgo

package duckdb

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// StreamFunction is the table function of streams; there is none.
const StreamFunction = "millrace_stream"

// DB is an instance of DuckDB; there is none in this build.
type DB struct{}

// Open answers ErrNotBuilt.
func Open() (*DB, error) { return nil, ErrNotBuilt }

// Close does nothing.
func (*DB) Close() error { return nil }

// Lock answers ErrNotBuilt.
func (*DB) Lock(context.Context, Options) error { return ErrNotBuilt }

// Exec answers ErrNotBuilt.
func (*DB) Exec(context.Context, string) error { return ErrNotBuilt }

// Rows answers ErrNotBuilt.
func (*DB) Rows(context.Context, string, ...string) ([][]string, error) { return nil, ErrNotBuilt }

// Describe answers ErrNotBuilt.
func (*DB) Describe(context.Context, string) ([]*pb.Column, error) { return nil, ErrNotBuilt }

// Query answers ErrNotBuilt.
func (*DB) Query(context.Context, string) (*Result, error) { return nil, ErrNotBuilt }

// Attach answers ErrNotBuilt.
func (*DB) Attach(*Stream) error { return ErrNotBuilt }

// Reads answers ErrNotBuilt.
func (*DB) Reads(string) (int, error) { return 0, ErrNotBuilt }

// Load answers ErrNotBuilt.
func (*DB) Load(context.Context, string, []*pb.Column, processor.Records) error { return ErrNotBuilt }

// Result is the answer to a query.
type Result struct{}

// Schema is nil.
func (*Result) Schema() *arrow.Schema { return nil }

// Records answers ErrNotBuilt.
func (*Result) Records() processor.Records {
	return func(yield func(arrow.RecordBatch, error) bool) { yield(nil, ErrNotBuilt) }
}

// Close does nothing.
func (*Result) Close() {}

// Stream is a stream of records that a query can read.
type Stream struct{}

// NewStream answers ErrNotBuilt.
func NewStream(context.Context, processor.Records) (*Stream, error) { return nil, ErrNotBuilt }

// Schema is nil.
func (*Stream) Schema() *arrow.Schema { return nil }

// Err is ErrNotBuilt.
func (*Stream) Err() error { return ErrNotBuilt }

// Close does nothing.
func (*Stream) Close() {}

// TextStats is what a pass over text finds: nothing, in this build.
type TextStats struct {
	Newlines, EmptyLines    int64
	Quotes, CarriageReturns int64
	QuotedNewlines          int64
	OddQuotes               bool
}

// Add does nothing.
func (*TextStats) Add([]byte, byte, byte) {}
