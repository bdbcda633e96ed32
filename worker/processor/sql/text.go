package sql

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/duckdb"
	"github.com/millrace/millrace/worker/processor"
)

const (
	// csvBuffer is the least that DuckDB's CSV reader takes at a time, in bytes.
	csvBuffer = 4 << 20
	// usualRecord is how long records are taken to be, in bytes, until one is
	// longer: DuckDB's buffers are twice as large and more, and each new one
	// costs as much as copying the text does.
	usualRecord = 1 << 20
)

// inMemory is an instance that reads text from a file in memory, or on disk
// where it is large. The table `batch` is made for each batch: the text decides
// how it is read.
var inMemory = kind{text: true}

// text runs the query over CSV or JSON text, which is gathered in one file.
func (r *run) text(ctx context.Context) error {
	if len(r.columns) == 0 {
		return processor.Fatal("the columns of the table `batch` are not known")
	}
	gathered := inMemory
	for _, part := range r.in.Parts {
		gathered.bytes += part.Bytes + 1
	}
	return r.with(ctx, gathered, func(i *instance) error { return r.overText(ctx, i) })
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
	r.read(0, int64(len(g.mem.Bytes())))
	if g.dialect == nil && g.lines.longest > r.in.MaxRecordBytes {
		err = errTooLong
	} else {
		err = r.queryText(ctx, i, g)
	}
	if isBad(err) {
		err = r.without(ctx, i, g, err)
	}
	if err == nil {
		r.read(g.count(), 0)
	}
	return err
}

// queryText runs the query over the text of an instance: first with small
// buffers, where no record seems to be long.
func (r *run) queryText(ctx context.Context, i *instance, g *gathered) error {
	reader := textReader{path: i.mem.Path(), newline: g.newline, longest: r.in.MaxRecordBytes}
	if r.in.MaxRecordBytes > usualRecord && g.lines.longest <= usualRecord {
		reader.longest = usualRecord
	}
	err := r.readText(ctx, i, reader)
	if isBad(err) && reader.longest < r.in.MaxRecordBytes && g.dialect != nil && g.stats.Quotes > 0 {
		// A record may be of many lines, between quotes.
		reader.longest = r.in.MaxRecordBytes
		return r.readText(ctx, i, reader)
	}
	return err
}

// readText runs the query over the text of an instance.
func (r *run) readText(ctx context.Context, i *instance, t textReader) error {
	if err := r.openText(ctx, i, t); err != nil {
		return err
	}
	return r.query(ctx, i)
}

// openText makes the table `batch` of the text of an instance, unless it is
// there from the batch before.
func (r *run) openText(ctx context.Context, i *instance, t textReader) error {
	view := r.view(t)
	if i.text == view {
		return nil
	}
	if err := i.define(ctx, "SELECT * FROM "+view); err != nil {
		return err
	}
	i.text = view
	return nil
}

// textReader is what may differ from batch to batch in how text is read.
type textReader struct {
	path    string
	newline string // of CSV
	longest int64  // the longest record, in bytes
	more    string // options of CSV
}

// view is DuckDB's function that reads the text, with everything said
// explicitly: a sniffer would decide anew for each batch.
func (r *run) view(t textReader) string {
	if r.in.Format == pb.Format_FORMAT_JSON {
		return fmt.Sprintf("read_json(%s, format = 'newline_delimited', columns = %s, maximum_object_size = %d)",
			duckdb.QuoteString(t.path), structList(r.columns), t.longest)
	}
	if t.newline != "" {
		t.more += ", new_line = '" + strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(t.newline) + "'"
	}
	c := r.in.Csv
	return fmt.Sprintf("read_csv(%s, auto_detect = false, header = false, delim = %s, quote = %s, escape = %s, "+
		"max_line_size = %d, buffer_size = %d, columns = %s%s)", duckdb.QuoteString(t.path),
		duckdb.QuoteString(c.GetDelimiter()), duckdb.QuoteString(c.GetQuote()), duckdb.QuoteString(c.GetEscape()),
		t.longest, max(csvBuffer, 2*t.longest), structList(r.columns), t.more)
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
