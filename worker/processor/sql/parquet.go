package sql

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/millrace/millrace/worker/duckdb"
	"github.com/millrace/millrace/worker/processor"
)

// parquet runs the query over rows of Parquet files, which DuckDB reads by
// their paths.
func (r *run) parquet(ctx context.Context) error {
	files, err := r.resolve()
	if err != nil {
		return err
	}
	k := kind{more: r.q.files}
	for _, file := range files {
		k.paths = append(k.paths, file.path)
	}
	err = r.with(ctx, k, func(i *instance) error {
		if err := i.define(ctx, r.union(files)); err != nil {
			return err
		}
		if err := r.query(ctx, i); err != nil {
			return err
		}
		return r.countRows(ctx, i.db, files)
	})
	for _, file := range files {
		if changed := file.changed(); changed != nil {
			return changed
		}
	}
	return err
}

// countRows counts the input, by the numbers of rows that the files tell.
func (r *run) countRows(ctx context.Context, db *duckdb.DB, files []opened) error {
	var rows, bytes int64
	for i, part := range r.in.Parts {
		bytes += part.Bytes
		to := part.ToRow
		if to < 0 {
			answer, err := db.Rows(ctx, "SELECT num_rows FROM parquet_file_metadata("+duckdb.QuoteString(files[i].path)+")")
			if err != nil {
				return err
			}
			if to, err = strconv.ParseInt(answer[0][0], 10, 64); err != nil {
				return fmt.Errorf("count the rows of %s: %w", part.Name, err)
			}
		}
		rows += to - part.FromRow
	}
	r.read(rows, bytes)
	return nil
}

// opened is a file as it was when its batch began.
type opened struct {
	name, path string // as given, and with its symbolic links resolved
	info       os.FileInfo
}

// resolve finds the real paths of the parts: DuckDB follows links before it
// looks whether it may read a file.
func (r *run) resolve() ([]opened, error) {
	files := make([]opened, len(r.in.Parts))
	for i, part := range r.in.Parts {
		path, err := part.Real()
		var info os.FileInfo
		if err == nil {
			info, err = os.Stat(path)
		}
		if err != nil {
			return nil, processor.InputGone("%s can't be read: %v", part.Name, err)
		}
		files[i] = opened{part.Name, path, info}
	}
	return files, nil
}

// changed is a failure if the file is another one now.
func (f *opened) changed() error {
	info, err := os.Stat(f.path)
	if err != nil {
		return processor.InputGone("%s went away while it was read: %v", f.name, err)
	}
	if info.Size() != f.info.Size() || !info.ModTime().Equal(f.info.ModTime()) {
		return processor.InputGone("%s changed while it was read", f.name)
	}
	return nil
}

// union is a query for the rows of all parts, in source order. Neighbouring
// whole files are read as one list.
func (r *run) union(files []opened) string {
	var selects, whole []string
	list := castList(r.columns)
	flush := func() {
		if len(whole) > 0 {
			selects = append(selects, fmt.Sprintf("SELECT %s FROM read_parquet([%s])", list, strings.Join(whole, ", ")))
			whole = nil
		}
	}
	for i, part := range r.in.Parts {
		path := duckdb.QuoteString(files[i].path)
		if part.FromRow == 0 && (part.Whole || part.ToRow < 0) {
			whole = append(whole, path)
			continue
		}
		flush()
		selects = append(selects, fmt.Sprintf("SELECT %s FROM read_parquet(%s, file_row_number = true) WHERE %s",
			r.withoutNumber(list), path, between(part.FromRow, part.ToRow)))
	}
	flush()
	return strings.Join(selects, " UNION ALL ")
}

// withoutNumber keeps the number of rows out of a list of everything.
func (r *run) withoutNumber(list string) string {
	if list == "*" {
		return "* EXCLUDE (file_row_number)"
	}
	return list
}

// between is a condition for rows [from, to); to is -1 for the end.
func between(from, to int64) string {
	if to < 0 {
		return fmt.Sprintf("file_row_number >= %d", from)
	}
	return fmt.Sprintf("file_row_number >= %d AND file_row_number < %d", from, to)
}
