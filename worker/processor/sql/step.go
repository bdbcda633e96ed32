// Package sql is the processor that runs a query over each micro-batch with
// DuckDB. It decides how a batch's records reach DuckDB, what a query may see,
// and which records are bad. What a query over the whole input becomes for a
// batch is decided elsewhere.
package sql

import (
	"context"
	"errors"

	pb "github.com/millrace/millrace/api/millracev1"
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

// New makes a step of a query over the table `batch`. Its Run may be called
// from several goroutines.
func New(step *pb.SqlStep, o Options) (processor.Step, error) {
	return &query{step: step, opts: o}, nil
}

type query struct {
	step *pb.SqlStep
	opts Options
}

// Run runs the query over one batch.
func (q *query) Run(ctx context.Context, a *processor.Attempt, in processor.Input, out processor.Output) error {
	return errors.New("not yet")
}

// Close frees the instances that the step kept.
func (q *query) Close() error { return nil }
