package sql

import (
	"context"
	"fmt"
	"strings"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/duckdb"
	"github.com/millrace/millrace/worker/processor"
)

// Planner answers what a plan needs to know of DuckDB, with one instance for
// all questions. It is used by one goroutine at a time. What it refuses is a
// *processor.Failure of class FATAL.
type Planner struct {
	db     *duckdb.DB
	engine *Engine // that takes the instance over; nil for none
}

// OpenPlanner starts a planner with an instance of its own.
func OpenPlanner() (*Planner, error) {
	db, err := duckdb.Open()
	return &Planner{db: db}, err
}

// Close ends the planner.
func (p *Planner) Close() error {
	if p.engine == nil || p.clear() != nil {
		return p.db.Close()
	}
	p.engine.keepSpare(func() (*duckdb.DB, error) { return p.db, nil })
	return nil
}

// clear drops what planning made.
func (p *Planner) clear() error {
	return p.db.Exec(context.Background(), "DROP TABLE IF EXISTS input; DROP TABLE IF EXISTS batch; "+dropRejects)
}

// Rows answers a query of our own with rows of text; it is what the derivation
// of stages asks its questions with.
func (p *Planner) Rows(ctx context.Context, query string, args ...string) ([][]string, error) {
	return p.db.Rows(ctx, query, args...)
}

// Check prepares a user's query over an empty table of the columns given, by
// the names `input` and `batch`, and tells the columns of its answer. It
// refuses anything but one SELECT that reads nothing else; the error then says
// what and where. For text lines the columns are LineColumns.
func (p *Planner) Check(ctx context.Context, query string, columns []*pb.Column) ([]*pb.Column, error) {
	query = trim(query)
	tree, err := parse(ctx, p.db, query)
	if err == nil {
		err = tree.refusal()
	}
	if err != nil {
		return nil, err
	}
	for _, table := range []string{"input", "batch"} {
		create := fmt.Sprintf("CREATE OR REPLACE TEMP TABLE %s (%s)", table, duckdb.ColumnList(columns))
		if err := p.db.Exec(ctx, create); err != nil {
			return nil, refused(err)
		}
	}
	result, err := p.db.Describe(ctx, query)
	return result, refused(err)
}

// LineColumns are the columns of the table that text lines make.
func LineColumns() []*pb.Column { return lineColumns }

// DescribeParquet tells the columns of Parquet files, which must agree in name
// and type, in any order.
func (p *Planner) DescribeParquet(ctx context.Context, paths []string) ([]*pb.Column, error) {
	if len(paths) == 0 {
		return nil, processor.Fatal("there are no Parquet files")
	}
	columns, err := p.parquetColumns(ctx, paths[0])
	if err != nil {
		return nil, err
	}
	others, err := p.otherSchemas(ctx, paths)
	if err != nil {
		return nil, err
	}
	for _, other := range others {
		if other == paths[0] {
			continue
		}
		theirs, err := p.parquetColumns(ctx, other)
		if err != nil {
			return nil, err
		}
		if diff := difference(columns, theirs); diff != "" {
			return nil, processor.Fatal("the columns of %s and %s differ: %s", paths[0], other, diff)
		}
	}
	return columns, nil
}

func (p *Planner) parquetColumns(ctx context.Context, path string) ([]*pb.Column, error) {
	columns, err := p.db.Describe(ctx, "FROM read_parquet("+duckdb.QuoteString(path)+")")
	if err != nil {
		return nil, processor.Fatal("%s: %v", path, err)
	}
	return columns, nil
}

// otherSchemas finds one file of each schema that there is among the files.
func (p *Planner) otherSchemas(ctx context.Context, paths []string) ([]string, error) {
	list := make([]string, len(paths))
	for i, path := range paths {
		list[i] = duckdb.QuoteString(path)
	}
	rows, err := p.db.Rows(ctx, `SELECT min(file_name) FROM (
		SELECT file_name, list((name, type, type_length, converted_type, scale, precision, logical_type, num_children)) AS shape
		FROM parquet_schema([`+strings.Join(list, ", ")+`]) GROUP BY file_name
	) GROUP BY shape`)
	if err != nil {
		return nil, refused(err)
	}
	others := make([]string, len(rows))
	for i, row := range rows {
		others[i] = row[0]
	}
	return others, nil
}

// difference says how columns differ from those of another file, in words;
// nothing when they are the same but for their order.
func difference(ours, theirs []*pb.Column) string {
	types := make(map[string]string, len(ours))
	for _, column := range ours {
		types[column.Name] = column.Type
	}
	for _, column := range theirs {
		ours, ok := types[column.Name]
		switch {
		case !ok:
			return fmt.Sprintf("only the second has the column %q", column.Name)
		case ours != column.Type:
			return fmt.Sprintf("the column %q is %s in the first and %s in the second", column.Name, ours, column.Type)
		}
		delete(types, column.Name)
	}
	for _, column := range ours {
		if _, ok := types[column.Name]; ok {
			return fmt.Sprintf("only the first has the column %q", column.Name)
		}
	}
	return ""
}

// refused makes a failure of DuckDB's refusal to plan something; errors of
// other kinds stay what they are.
func refused(err error) error {
	kind, ok := duckdb.KindOf(err)
	if !ok || kind == duckdb.KindInterrupt || kind == duckdb.KindInternal {
		return err
	}
	return processor.Fatal("%s", strings.TrimSpace(err.Error()))
}
