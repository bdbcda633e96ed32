// Package sql is the processor that runs a query over each micro-batch with
// DuckDB. It decides how a batch's records reach DuckDB, what a query may see,
// and which records are bad. What a query over the whole input becomes for a
// batch is decided elsewhere.
package sql

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/duckdb"
	"github.com/millrace/millrace/worker/processor"
)

// Options are what a step needs beside the query.
type Options struct {
	// TempDir is the stage's folder: instances outlive attempts, so what they
	// spill lies here, not in an attempt's own folder. Queries can't spill when
	// it is empty.
	TempDir string
	// MaxTempBytes bounds what each instance spills; no bound of its own when
	// 0.
	MaxTempBytes int64
}

// New makes a step of a query over the table `batch` with instances of its own,
// for who runs a single stage: a worker's stages share an Engine. Its Run may be
// called from several goroutines. A query that is more than one SELECT over that
// table is a FATAL failure of Run.
func New(step *pb.SqlStep, o Options) (processor.Step, error) {
	return NewEngine(o).Step(step, nil), nil
}

// query is a stage's query.
type query struct {
	sql     string
	columns []*pb.Column // of the table `batch`
	engine  *Engine
	guard   guard
	// files tells which Parquet files there are; see Engine.Step.
	files func(context.Context) []string
}

// Run runs the query over one batch.
func (q *query) Run(ctx context.Context, a *processor.Attempt, in processor.Input, out processor.Output) error {
	r := &run{q: q, a: a, in: in, out: out, columns: q.columns}
	if len(r.columns) == 0 {
		r.columns = in.Columns
	}
	return r.failure(ctx, r.batch(ctx))
}

// Close frees the instances that the step kept.
func (q *query) Close() error { return q.engine.closeStep() }

// run is one attempt at a batch.
type run struct {
	q       *query
	a       *processor.Attempt
	in      processor.Input
	out     processor.Output
	columns []*pb.Column
	written int64 // rows that went to out
}

// batch brings the batch's records to an instance by the way that suits their
// format, and runs the query.
func (r *run) batch(ctx context.Context) error {
	if len(r.in.Parts) == 0 {
		return r.empty(ctx)
	}
	switch r.in.Format {
	case pb.Format_FORMAT_LINES:
		return r.records(ctx, lineColumns, r.lines(ctx))
	case pb.Format_FORMAT_CSV, pb.Format_FORMAT_JSON:
		return r.text(ctx)
	case pb.Format_FORMAT_PARQUET:
		return r.parquet(ctx)
	case pb.Format_FORMAT_ARROW:
		return r.records(ctx, r.columns, r.parts(ctx))
	}
	return processor.Fatal("SQL can't read the format %s", r.in.Format)
}

// empty runs the query over no records at all: an aggregate over nothing has an
// answer too.
func (r *run) empty(ctx context.Context) error {
	columns := r.columns
	if r.in.Format == pb.Format_FORMAT_LINES {
		columns = lineColumns
	}
	if len(columns) == 0 {
		return processor.Fatal("there are no records, and the columns of the table `batch` are not known")
	}
	return r.with(ctx, kind{}, func(i *instance) error {
		if err := i.store(ctx, "("+duckdb.ColumnList(columns)+")"); err != nil {
			return err
		}
		if err := r.query(ctx, i); err != nil {
			return err
		}
		return i.clear(ctx)
	})
}

// with lends an instance of a kind to use. An instance that failed is not used
// again: the next starts from a clean one.
func (r *run) with(ctx context.Context, k kind, use func(i *instance) error) error {
	i, err := r.q.engine.get(ctx, k, r.a)
	if err != nil {
		return err
	}
	err = r.q.guard.check(ctx, i.db, r.q.sql)
	if err == nil {
		err = use(i)
	}
	if err != nil {
		i.close()
		r.q.engine.drop()
		return err
	}
	r.q.engine.put(i)
	return nil
}

// query runs the query and writes its answer. Rows that went out already, in a
// run that met a bad record, are not written again.
func (r *run) query(ctx context.Context, i *instance) error {
	result, err := i.db.Query(ctx, r.q.sql)
	if err != nil {
		return err
	}
	defer result.Close()
	skip := r.written
	for batch, err := range result.Records() {
		if err != nil {
			return err
		}
		seen := min(skip, batch.NumRows())
		skip -= seen
		if seen == batch.NumRows() {
			continue
		}
		if err := r.write(batch.NewSlice(seen, batch.NumRows())); err != nil {
			return err
		}
	}
	return nil
}

// write writes records and drops them.
func (r *run) write(batch arrow.RecordBatch) error {
	defer batch.Release()
	if err := r.out.WriteRecords(batch); err != nil {
		return writeError{err}
	}
	r.written += batch.NumRows()
	return nil
}

// writeError is an error of the output, which is none of DuckDB's.
type writeError struct{ error }

func (e writeError) Unwrap() error { return e.error }

// read counts input.
func (r *run) read(records, bytes int64) {
	if r.a.Read != nil {
		r.a.Read(records, bytes)
	}
}
