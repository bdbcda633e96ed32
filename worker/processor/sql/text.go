package sql

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/duckdb"
)

// csvBuffer is how much text DuckDB's CSV reader takes at a time, unless a
// record may be longer.
const csvBuffer = 16 << 20

// inMemory is an instance that reads text from a file in memory. The table
// `batch` is made for each batch: the text decides how it is read.
var inMemory = kind{text: true}

// text runs the query over CSV or JSON text, which is gathered in a file in
// memory.
func (r *run) text(ctx context.Context) error {
	return r.with(ctx, inMemory, func(i *instance) error { return r.overText(ctx, i) })
}

func (r *run) overText(ctx context.Context, i *instance) error {
	g, err := r.gather(ctx, i.mem)
	if err != nil {
		return err
	}
	defer g.where.Close()
	if len(g.mem.Bytes()) == 0 {
		return r.empty(ctx)
	}
	size := int64(len(g.mem.Bytes()))
	if g.dialect == nil && hasLongLine(g.mem.Bytes(), r.in.MaxRecordBytes) {
		err = errTooLong
	} else {
		err = r.queryText(ctx, i, g.newline, "")
	}
	if isBad(err) {
		err = r.without(ctx, i, g, err)
	}
	if err == nil {
		r.read(g.count(), size)
	}
	return err
}

// queryText runs the query over the text of an instance.
func (r *run) queryText(ctx context.Context, i *instance, newline, more string) error {
	if err := r.openText(ctx, i, newline, more); err != nil {
		return err
	}
	return r.query(ctx, i)
}

// openText makes the table `batch` of the text of an instance, unless it is
// there from the batch before.
func (r *run) openText(ctx context.Context, i *instance, newline, more string) error {
	view := r.view(i.mem.Path(), newline, more)
	if i.view == view {
		return nil
	}
	i.view = view
	return i.db.Exec(ctx, "CREATE OR REPLACE TEMP VIEW batch AS SELECT * FROM "+view)
}

// view is DuckDB's function that reads the text, with everything said
// explicitly: a sniffer would decide anew for each batch.
func (r *run) view(path, newline, more string) string {
	path = duckdb.QuoteString(path)
	if r.in.Format == pb.Format_FORMAT_JSON {
		return fmt.Sprintf("read_json(%s, format = 'newline_delimited', columns = %s, maximum_object_size = %d)",
			path, structList(r.columns), r.in.MaxRecordBytes)
	}
	return r.csvView(path, newline, more)
}

func (r *run) csvView(path, newline, more string) string {
	c := r.in.Csv
	if newline != "" {
		more += ", new_line = '" + strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(newline) + "'"
	}
	return fmt.Sprintf("read_csv(%s, auto_detect = false, header = false, delim = %s, quote = %s, escape = %s, "+
		"max_line_size = %d, buffer_size = %d, columns = %s%s)", path,
		duckdb.QuoteString(c.GetDelimiter()), duckdb.QuoteString(c.GetQuote()), duckdb.QuoteString(c.GetEscape()),
		r.in.MaxRecordBytes, max(csvBuffer, 2*r.in.MaxRecordBytes), structList(r.columns), more)
}

// structList is columns as the readers take them.
func structList(columns []*pb.Column) string {
	list := make([]string, len(columns))
	for i, column := range columns {
		list[i] = duckdb.QuoteString(column.GetName()) + ": " + duckdb.QuoteString(column.GetType())
	}
	return "{" + strings.Join(list, ", ") + "}"
}

// excerpt is the start of a record, for people.
func excerpt(record []byte) string {
	record = bytes.TrimRight(record[:min(len(record), 200)], "\r\n")
	text := strings.ToValidUTF8(string(record), "\uFFFD")
	for len(text) > 200 { // a replacement is longer than what it replaces
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}
