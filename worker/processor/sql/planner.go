package sql

import (
	"context"
	"errors"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/duckdb"
)

// Planner answers what a plan needs to know of DuckDB, with one instance for
// all questions. It is used by one goroutine at a time.
type Planner struct {
	db *duckdb.DB
}

// OpenPlanner starts a planner.
func OpenPlanner() (*Planner, error) {
	db, err := duckdb.Open(duckdb.Options{Threads: 1})
	if err != nil {
		return nil, err
	}
	return &Planner{db: db}, nil
}

// Close ends the planner.
func (p *Planner) Close() error { return p.db.Close() }

// Rows answers a query of our own with rows of text; it is what the derivation
// of stages asks its questions with.
func (p *Planner) Rows(ctx context.Context, query string, args ...string) ([][]string, error) {
	return p.db.Rows(ctx, query, args...)
}

// Check prepares a user's query over an empty table of the columns given, by
// the names `input` and `batch`, and tells the columns of its answer. It
// refuses anything but one SELECT that reads nothing else; the error then says
// what and where.
func (p *Planner) Check(ctx context.Context, query string, columns []*pb.Column) ([]*pb.Column, error) {
	return nil, errors.New("not yet")
}

// SniffTypes finds the types of the columns of a sample of CSV (without its
// header, in a dialect with every field set) or JSON text. The names are those
// of the CSV columns, in their order.
func (p *Planner) SniffTypes(ctx context.Context, sample []byte, format pb.Format, dialect *pb.Csv, names []string) ([]*pb.Column, error) {
	return nil, errors.New("not yet")
}

// DescribeParquet tells the columns of Parquet files, which must agree.
func (p *Planner) DescribeParquet(ctx context.Context, paths []string) ([]*pb.Column, error) {
	return nil, errors.New("not yet")
}
