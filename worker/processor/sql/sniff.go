package sql

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/duckdb"
	"github.com/millrace/millrace/worker/format"
	"github.com/millrace/millrace/worker/processor"
)

// SniffTypes finds the types of the columns of a sample of CSV (without its
// header, in a dialect with every field set) or JSON text. The names are those
// of the CSV columns, in their order. Columns whose values DuckDB reads only in
// a format that it has to guess (dates such as 31/12/2024) are VARCHAR: the
// guess would be another for each batch.
func (p *Planner) SniffTypes(ctx context.Context, sample []byte, kind pb.Format, dialect *pb.Csv, names []string) ([]*pb.Column, error) {
	if kind == pb.Format_FORMAT_CSV {
		sample = withoutWide(format.NewDialect(dialect), sample, len(names))
	}
	if kind == pb.Format_FORMAT_JSON {
		sample = onlyObjects(sample)
	}
	mem, err := duckdb.NewMemFile(duckdb.Overflow{})
	if err != nil {
		return nil, err
	}
	defer mem.Close()
	space, err := mem.Space(len(sample))
	if err != nil {
		return nil, err
	}
	mem.Advance(copy(space, sample))
	if err := mem.Seal(); err != nil {
		return nil, err
	}
	path := mem.Path()
	switch kind {
	case pb.Format_FORMAT_CSV:
		return p.sniffCSV(ctx, path, dialect, names)
	case pb.Format_FORMAT_JSON:
		return p.sniffJSON(ctx, path, len(sample))
	}
	return nil, processor.Fatal("the columns of the format %s are not found from a sample", kind)
}

// sniffCSV asks DuckDB's sniffer, and then reads the sample as the batches will
// be read: what fails there stays text.
func (p *Planner) sniffCSV(ctx context.Context, path string, dialect *pb.Csv, names []string) ([]*pb.Column, error) {
	if len(names) == 0 {
		return nil, processor.Fatal("a CSV file without columns can't be queried")
	}
	columns := make([]*pb.Column, len(names))
	for i, name := range names {
		columns[i] = &pb.Column{Name: name, Type: "VARCHAR"}
	}
	types, err := p.guessCSV(ctx, path, dialect, len(names))
	if err != nil || len(types) != len(names) {
		return columns, ctx.Err() // nothing can be told: text it is
	}
	for i := range columns {
		columns[i].Type = types[i]
	}
	return columns, p.confirm(ctx, path, dialect, columns)
}

// guessCSV are the types that DuckDB's sniffer finds.
func (p *Planner) guessCSV(ctx context.Context, path string, dialect *pb.Csv, n int) ([]string, error) {
	positions := make([]string, n)
	for i := range positions {
		positions[i] = fmt.Sprintf("'c%d'", i)
	}
	rows, err := p.db.Rows(ctx, fmt.Sprintf("SELECT column_type FROM (DESCRIBE FROM read_csv(%s, header = false, "+
		"delim = %s, quote = %s, escape = %s, sample_size = -1, names = [%s], ignore_errors = true, strict_mode = true))",
		duckdb.QuoteString(path), duckdb.QuoteString(dialect.GetDelimiter()), duckdb.QuoteString(dialect.GetQuote()),
		duckdb.QuoteString(dialect.GetEscape()), strings.Join(positions, ", ")))
	types := make([]string, len(rows))
	for i, row := range rows {
		types[i] = row[0]
	}
	return types, err
}

// confirm makes text of the columns whose values do not convert by the rules of
// the batches.
func (p *Planner) confirm(ctx context.Context, path string, dialect *pb.Csv, columns []*pb.Column) error {
	r := run{in: processor.Input{Format: pb.Format_FORMAT_CSV, Csv: dialect}, columns: columns}
	read := r.view(textReader{path: path, longest: sniffRecord, more: rejecting})
	if _, err := p.db.Rows(ctx, "SELECT count(COLUMNS(*)) FROM "+read); err != nil {
		return refused(err)
	}
	rows, err := p.db.Rows(ctx, "SELECT DISTINCT CAST(column_idx AS VARCHAR) FROM reject_errors WHERE error_type = 'CAST'")
	if err != nil {
		return refused(err)
	}
	for _, row := range rows {
		var i int
		if _, err := fmt.Sscan(row[0], &i); err == nil && i >= 1 && i <= len(columns) {
			columns[i-1].Type = "VARCHAR"
		}
	}
	return p.db.Exec(ctx, dropRejects)
}

// sniffRecord is the longest record of a sample, in bytes.
const sniffRecord = 16 << 20

// rejecting makes DuckDB's CSV reader note all bad records and go on.
const rejecting = ", store_rejects = true, rejects_limit = 0"

// dropRejects forgets the bad records that were noted.
const dropRejects = "DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans"

// onlyObjects is a sample of JSON lines without those that are no objects,
// unless none is: a single one would hide the columns of all others.
func onlyObjects(sample []byte) []byte {
	kept := make([]byte, 0, len(sample))
	for line := range bytes.Lines(sample) {
		if text := bytes.TrimLeft(line, " \t\r\n"); len(text) == 0 || text[0] == '{' {
			kept = append(kept, line...)
		}
	}
	if len(bytes.TrimSpace(kept)) == 0 {
		return sample
	}
	return kept
}

// sniffJSON asks DuckDB for the structure of the sample.
func (p *Planner) sniffJSON(ctx context.Context, path string, size int) ([]*pb.Column, error) {
	columns, err := p.db.Describe(ctx, fmt.Sprintf("FROM read_json(%s, format = 'newline_delimited', sample_size = -1, "+
		"ignore_errors = true, maximum_object_size = %d)", duckdb.QuoteString(path), max(size, sniffRecord)))
	return columns, refused(err)
}
