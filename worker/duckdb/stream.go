//go:build cgo

package duckdb

// #include <stdlib.h>
// #include "arrow.h"
import "C"

import (
	"context"
	"errors"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/cdata"
	bindings "github.com/duckdb/duckdb-go-bindings"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

var _ = unsafe.Pointer(nil)
var _ = errors.New
var _ cdata.CArrowArrayStream
var _ = bindings.Query

// Stream is a stream of records that a query can read, once.
type Stream struct{}

// Scan makes a view of records that streams them to the one query that reads
// it, without keeping them. A second scan of the view finds nothing.
func (d *DB) Scan(ctx context.Context, view string, schema *arrow.Schema, records processor.Records) (*Stream, error) {
	return nil, errors.New("not yet")
}

// Err is what ended the stream early.
func (s *Stream) Err() error { return nil }

// Close drops what the stream holds.
func (s *Stream) Close() {}

// Load puts records into a temporary table, which it makes, with the types
// given.
func (d *DB) Load(ctx context.Context, table string, columns []*pb.Column, records processor.Records) error {
	return errors.New("not yet")
}
