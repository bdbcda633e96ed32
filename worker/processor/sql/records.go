package sql

import (
	"context"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/duckdb"
	"github.com/millrace/millrace/worker/processor"
)

// parts streams the records of all parts.
func (r *run) parts(ctx context.Context) processor.Records {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for _, part := range r.in.Parts {
			for batch, err := range part.Records(ctx) {
				if err == nil {
					r.read(batch.NumRows(), 0)
				}
				if !yield(batch, err) || err != nil {
					return
				}
			}
			r.read(0, part.Bytes)
		}
	}
}

// records runs the query over a stream of records. Their columns get the types
// that are given: Arrow lacks some that DuckDB has.
func (r *run) records(ctx context.Context, columns []*pb.Column, records processor.Records) error {
	stream, err := duckdb.NewStream(ctx, records)
	if err != nil {
		return err
	}
	if stream.Schema() == nil {
		return r.empty(ctx)
	}
	err = r.with(ctx, kind{}, func(i *instance) error { return r.stream(ctx, i, columns, stream) })
	stream.Close()
	if err != nil && stream.Err() != nil && ctx.Err() == nil && !isCancel(stream.Err()) {
		return stream.Err()
	}
	return err
}

// isCancel says that a stream was closed because its query had failed.
func isCancel(err error) bool { return err == context.Canceled }

// stream attaches the stream as the table `batch` and runs the query. A query
// that reads its batch more than once gets it as a table.
func (r *run) stream(ctx context.Context, i *instance, columns []*pb.Column, stream *duckdb.Stream) error {
	if err := i.db.Attach(stream); err != nil {
		return err
	}
	from := fmt.Sprintf("SELECT %s FROM %s()", castList(columns), duckdb.StreamFunction)
	if err := i.define(ctx, from); err != nil {
		return err
	}
	reads, err := i.db.Reads(r.q.sql)
	if err != nil {
		return err
	}
	if reads < 2 && !r.q.guard.recursive {
		return r.query(ctx, i)
	}
	if err := i.store(ctx, "AS "+from); err != nil {
		return err
	}
	if err := r.query(ctx, i); err != nil {
		return err
	}
	return i.clear(ctx)
}

// castList selects the columns by name, in their types; all as they are where
// nothing is known of them. Casts to the type that a column has cost nothing.
func castList(columns []*pb.Column) string {
	if len(columns) == 0 {
		return "*"
	}
	list := make([]string, len(columns))
	for i, column := range columns {
		name := duckdb.QuoteName(column.GetName())
		list[i] = name
		if column.GetType() != "" {
			list[i] = fmt.Sprintf("CAST(%s AS %s) AS %[1]s", name, column.GetType())
		}
	}
	return strings.Join(list, ", ")
}
