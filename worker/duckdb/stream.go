//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	bindings "github.com/duckdb/duckdb-go-bindings"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// StreamFunction is the table function that gives the records of the stream
// that its instance was given last. A query may read it once.
const StreamFunction = "millrace_stream"

// vectorRows is how many rows DuckDB handles at a time.
var vectorRows = int64(bindings.VectorSize())

// errReread is a query that reads a stream twice.
var errReread = errors.New("a stream of records can be read once")

// Stream is a stream of records for a query. DuckDB asks for them from threads
// of its own, so that a goroutine makes them: an iterator can't be pulled from
// a thread that called in from C.
type Stream struct {
	batches chan arrow.RecordBatch
	cancel  context.CancelFunc
	schema  *arrow.Schema // nil when there are no records
	types   []bindings.LogicalType

	lock    sync.Mutex
	started bool              // a query reads it
	wanted  []int             // the columns that the query wants
	chunk   *chunkMaker       // makes DuckDB's chunks of them
	batch   arrow.RecordBatch // what is being read
	at      int64             // the next row of it
	err     error             // set before batches is closed
}

// NewStream starts a stream and waits for its first batch.
func NewStream(ctx context.Context, records processor.Records) (*Stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &Stream{batches: make(chan arrow.RecordBatch, 1), cancel: cancel}
	go s.produce(ctx, records)
	if s.batch = <-s.batches; s.batch != nil {
		s.schema = s.batch.Schema()
		return s, nil
	}
	s.Close()
	return s, s.err
}

// produce hands batches over until they or the query's patience end.
func (s *Stream) produce(ctx context.Context, records processor.Records) {
	defer close(s.batches)
	for batch, err := range records {
		if err != nil {
			s.err = err
			return
		}
		batch.Retain()
		select {
		case s.batches <- batch:
		case <-ctx.Done():
			batch.Release()
			s.err = context.Cause(ctx)
			return
		}
	}
}

// Schema of the records; nil when there are none.
func (s *Stream) Schema() *arrow.Schema { return s.schema }

// Close ends the stream, waits for its producer and drops what it holds. The
// query that reads it must have ended. Afterwards Err is why its records ended
// early, and context.Canceled where the query did not want them all; nil when
// they were all read.
func (s *Stream) Close() {
	s.cancel()
	if s.batch != nil {
		s.batch.Release()
		s.batch = nil
	}
	for batch := range s.batches {
		batch.Release()
	}
	for i := range s.types {
		bindings.DestroyLogicalType(&s.types[i])
	}
	s.types = nil
	if s.chunk != nil {
		s.chunk.close()
		s.chunk = nil
	}
}

// Err is why the records ended early, once the stream is closed.
func (s *Stream) Err() error { return s.err }

// slice is the next rows of the wanted columns, for one vector; nil at the end.
func (s *Stream) slice() (arrow.RecordBatch, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for s.batch == nil || s.at >= s.batch.NumRows() {
		if s.batch != nil {
			s.batch.Release()
		}
		if s.batch, s.at = <-s.batches, 0; s.batch == nil {
			return nil, s.err
		}
	}
	from := s.at
	s.at = min(from+vectorRows, s.batch.NumRows())
	return s.batch.NewSlice(from, s.at), nil
}

// Attach makes StreamFunction give a stream's records, which must have a
// schema, until another stream is attached. The stream is closed after the
// query that reads it.
func (d *DB) Attach(s *Stream) error {
	d.lock.Lock()
	defer d.lock.Unlock()
	if err := d.registerStreams(); err != nil {
		return err
	}
	types, err := d.columnTypes(s.batch)
	s.types, d.streams.current, d.streams.binds = types, s, 0
	return err
}

// Reads tells how often a query over an attached stream would read it.
func (d *DB) Reads(query string) (int, error) {
	d.lock.Lock()
	defer d.lock.Unlock()
	d.streams.binds = 0
	_, err := d.statementKind(query)
	return d.streams.binds, err
}

// Load puts records into a temporary table, which it makes, with the types
// given. What has another type is cast.
func (d *DB) Load(ctx context.Context, table string, columns []*pb.Column, records processor.Records) error {
	create := fmt.Sprintf("CREATE TEMP TABLE %s (%s)", QuoteName(table), ColumnList(columns))
	if err := d.Exec(ctx, create); err != nil {
		return err
	}
	stream, err := NewStream(ctx, records)
	if err != nil || stream.Schema() == nil {
		return err
	}
	if err = d.Attach(stream); err == nil {
		err = d.Exec(ctx, fmt.Sprintf("INSERT INTO %s FROM %s()", QuoteName(table), StreamFunction))
	}
	stream.Close()
	if err != nil && stream.Err() != nil {
		return stream.Err()
	}
	return err
}
