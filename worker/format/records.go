package format

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// A batch of records made of text ends at so many rows or bytes of text.
const (
	batchRows  = 4096
	batchBytes = 1 << 20
)

// lineColumns are the columns of text lines.
var lineColumns = []*pb.Column{{Name: "line", Type: "VARCHAR"}, {Name: "file", Type: "VARCHAR"}, {Name: "offset", Type: "BIGINT"}}

// ToRecords reads one part of an input as Arrow records of a few thousand rows
// each. Lines have the columns line, file and offset; CSV and JSON have the
// given columns (in.Columns when nil) in their types: nested and exotic types
// are text (for JSON: the value as JSON). An empty field of CSV is null. Parts
// that hold records already are passed on as they are.
//
// A record that breaks its format's rules or doesn't fit its columns goes to
// skip; without one it is a failure of class FATAL.
func ToRecords(ctx context.Context, in processor.Input, part processor.Part, columns []*pb.Column, skip Skip) processor.Records {
	if part.Open == nil {
		return part.Records(ctx)
	}
	return func(yield func(arrow.RecordBatch, error) bool) {
		c, err := newConverter(ctx, in, part, columns, skip)
		if err != nil {
			yield(nil, err)
			return
		}
		defer c.close()
		c.yield = yield
		if err := c.run(); err != nil && err != errStopped {
			yield(nil, err)
		}
	}
}

// errStopped says that nobody wants more records.
var errStopped = errors.New("stopped")

// Schema is the Arrow schema of columns that ToRecords makes.
func Schema(columns []*pb.Column) *arrow.Schema {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = arrow.Field{Name: c.GetName(), Type: ArrowType(c.GetType()), Nullable: true}
	}
	return arrow.NewSchema(fields, nil)
}

// converter makes records of the text of one part.
type converter struct {
	ctx     context.Context
	in      processor.Input
	part    processor.Part
	columns []*pb.Column
	skip    Skip
	text    io.ReadCloser
	start   int64 // -1: offsets say nothing
	yield   func(arrow.RecordBatch, error) bool

	rows  *array.RecordBuilder
	set   []setter
	n     int   // rows in the builder
	size  int   // bytes of text that they were
	bad   []int // rows in the builder that must go
	index int64 // records read so far
}

func newConverter(ctx context.Context, in processor.Input, part processor.Part, columns []*pb.Column, skip Skip) (*converter, error) {
	if columns == nil {
		columns = in.Columns
	}
	if in.Format == pb.Format_FORMAT_LINES && len(columns) == 0 {
		columns = lineColumns
	}
	if skip == nil {
		skip = fatal
	}
	text, err := part.Open(ctx)
	if err != nil {
		return nil, err
	}
	c := &converter{ctx: ctx, in: in, part: part, columns: columns, skip: skip, text: text, start: part.Offset}
	if s, ok := text.(starter); ok {
		c.start = s.Start()
	}
	c.rows = array.NewRecordBuilder(memory.DefaultAllocator, Schema(columns))
	for _, b := range c.rows.Fields() {
		c.set = append(c.set, setterOf(b))
	}
	return c, nil
}

// fatal is what bad records lead to where nobody skips them.
func fatal(bad *pb.BadRecord) error {
	f := processor.Fatal("%s: bad record at byte %d: %s", bad.GetFile(), bad.GetOffset(), bad.GetReason())
	f.Detail.BadRecords = []*pb.BadRecord{bad}
	return f
}

func (c *converter) close() {
	c.rows.Release()
	c.text.Close()
}

func (c *converter) run() error {
	var err error
	switch c.in.Format {
	case pb.Format_FORMAT_CSV:
		err = c.csv()
	case pb.Format_FORMAT_JSON:
		err = c.json()
	default:
		err = c.lines()
	}
	var long *TooLong
	if errors.As(err, &long) {
		err = processor.Fatal("%s: %v: is the format right? (source.max_record_bytes raises the limit)", c.part.Name, long)
	}
	if err != nil {
		return err
	}
	return c.flush()
}

// from is where offsets begin, at 0 where they say nothing.
func (c *converter) from() int64 { return max(c.start, 0) }

// row ends a row that was appended; size is how long its text was.
func (c *converter) row(size int) error {
	c.n++
	c.index++
	if c.size += size; c.n < batchRows && c.size < batchBytes {
		return nil
	}
	return c.flush()
}

// flush yields what was gathered, without the rows that were bad.
func (c *converter) flush() error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if c.n == 0 {
		return nil
	}
	batch := c.rows.NewRecordBatch()
	defer batch.Release()
	from := 0
	for _, b := range append(c.bad, c.n) {
		if b > from && !c.give(batch, from, b) {
			return errStopped
		}
		from = b + 1
	}
	c.n, c.size, c.bad = 0, 0, c.bad[:0]
	return nil
}

func (c *converter) give(batch arrow.RecordBatch, from, to int) bool {
	if from == 0 && to == c.n {
		return c.yield(batch, nil)
	}
	part := batch.NewSlice(int64(from), int64(to))
	defer part.Release()
	return c.yield(part, nil)
}

// reject takes back the row of which filled columns were appended, and reports
// its record.
func (c *converter) reject(filled int, offset int64, record []byte, format string, args ...any) error {
	for _, b := range c.rows.Fields()[filled:] {
		b.AppendNull()
	}
	c.bad = append(c.bad, c.n)
	if err := c.report(offset, record, format, args...); err != nil {
		return err
	}
	return c.row(len(record))
}

func (c *converter) report(offset int64, record []byte, format string, args ...any) error {
	if c.start < 0 {
		offset = -1
	}
	return c.skip(NewBadRecord(c.part.Name, offset, record, fmt.Sprintf(format, args...)))
}

// NewBadRecord describes a bad record; of its text, the start is kept.
func NewBadRecord(file string, offset int64, record []byte, reason string) *pb.BadRecord {
	const most = 200
	record = bytes.TrimRight(record, "\r\n")
	text := strings.ToValidUTF8(string(record[:min(len(record), most)]), "\ufffd")
	for len(text) > most {
		_, n := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-n]
	}
	return &pb.BadRecord{File: file, Offset: offset, Record: text, Reason: reason}
}

// lines reads text line by line.
func (c *converter) lines() error {
	l := NewLines(c.text, c.from(), c.in.MaxRecordBytes)
	write := make([]func(line []byte, offset int64), len(c.columns))
	for k, col := range c.columns {
		write[k] = c.lineColumn(col.GetName(), c.rows.Field(k))
	}
	for l.Next() {
		line, offset := l.Bytes(), l.Offset()
		if c.start < 0 {
			offset = c.part.Offset + c.index
		}
		if !utf8.Valid(line) {
			if err := c.reject(0, offset, line, "the line isn't UTF-8"); err != nil {
				return err
			}
			continue
		}
		for _, w := range write {
			w(line, offset)
		}
		if err := c.row(len(line)); err != nil {
			return err
		}
	}
	return l.Err()
}

func (c *converter) lineColumn(name string, b array.Builder) func(line []byte, offset int64) {
	set := setterOf(b)
	or := func(ok bool) {
		if !ok {
			b.AppendNull()
		}
	}
	switch name {
	case "line":
		return func(line []byte, _ int64) { or(set(line)) }
	case "file":
		file := []byte(c.part.Name)
		return func([]byte, int64) { or(set(file)) }
	case "offset":
		if b, ok := b.(*array.Int64Builder); ok {
			return func(_ []byte, offset int64) { b.Append(offset) }
		}
	}
	return func([]byte, int64) { b.AppendNull() }
}

// places are where the converter's columns lie in a record of the input's.
func (c *converter) places() []int {
	places := make([]int, len(c.columns))
	for k, col := range c.columns {
		places[k] = k
		for i, other := range c.in.Columns {
			if other.GetName() == col.GetName() {
				places[k] = i
			}
		}
	}
	return places
}

// csv reads delimited text.
func (c *converter) csv() error {
	r := NewCSV(c.text, NewDialect(c.in.Csv), c.from(), c.in.MaxRecordBytes)
	places, width := c.places(), len(c.in.Columns)
	if width == 0 {
		width = len(c.columns)
	}
	for r.Next() {
		if r.Empty() && width > 1 {
			continue
		}
		if err := c.csvRecord(r, places, width); err != nil {
			return err
		}
	}
	return r.Err()
}

func (c *converter) csvRecord(r *CSV, places []int, width int) error {
	fields := r.Fields()
	for len(fields) > width && len(fields[len(fields)-1]) == 0 {
		fields = fields[:len(fields)-1] // delimiters at the end are let pass, as by DuckDB
	}
	switch {
	case r.Bad() != "":
		return c.reject(0, r.Offset(), r.Raw(), "%s", r.Bad())
	case len(fields) != width:
		return c.reject(0, r.Offset(), r.Raw(), "it has %d fields, not %d", len(fields), width)
	}
	for k, at := range places {
		if len(fields[at]) == 0 {
			c.rows.Field(k).AppendNull()
		} else if !c.set[k](fields[at]) {
			return c.reject(k, r.Offset(), r.Raw(), "column %q: %s", c.columns[k].GetName(), c.misfit(k, fields[at]))
		}
	}
	return c.row(len(r.Raw()))
}

// misfit says why a value is none of column k.
func (c *converter) misfit(k int, value []byte) string {
	if !utf8.Valid(value) {
		return "the text isn't UTF-8"
	}
	const most = 40
	if len(value) > most {
		value = append(bytes.ToValidUTF8(value[:most:most], nil), "…"...)
	}
	return fmt.Sprintf("%q is no %s", value, c.columns[k].GetType())
}

// json reads an object a line; empty lines are nothing.
func (c *converter) json() error {
	l := NewLines(c.text, c.from(), c.in.MaxRecordBytes)
	values := make([][]byte, len(c.columns))
	for l.Next() {
		line := l.Bytes()
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if !isJSONObject(line) {
			if err := c.reject(0, l.Offset(), line, "the line is no JSON object"); err != nil {
				return err
			}
			continue
		}
		clear(values)
		c.members(line, values)
		if err := c.jsonRecord(l, values); err != nil {
			return err
		}
	}
	return l.Err()
}

// members finds the values of the columns in an object.
func (c *converter) members(line []byte, values [][]byte) {
	next := 0 // most often, members come in the order of the columns
	object(line, func(key, value []byte) {
		name := unquoted(key)
		for i := range c.columns {
			k := (next + i) % len(c.columns)
			if c.columns[k].GetName() == string(name) {
				values[k], next = value, k+1
				return
			}
		}
	})
}

func (c *converter) jsonRecord(l *Lines, values [][]byte) error {
	for k, v := range values {
		if v == nil || string(v) == "null" {
			c.rows.Field(k).AppendNull()
			continue
		}
		if v[0] == '"' {
			v = unquoted(v)
		}
		if !c.set[k](v) {
			return c.reject(k, l.Offset(), l.Bytes(), "member %q: %s", c.columns[k].GetName(), c.misfit(k, v))
		}
	}
	return c.row(len(l.Bytes()))
}
