package function

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/format"
	"github.com/millrace/millrace/worker/processor"
)

// structReader reads records into structs, by the names of their columns.
func structReader[R any](t reflect.Type) (reader[R], error) {
	columns, err := columnsOf(t)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, e *env, each func(R) error) error {
		if e.in.Format == pb.Format_FORMAT_JSON {
			return readJSON(ctx, e, each)
		}
		rows := rowReader[R]{env: e, columns: columns, each: each}
		for _, part := range e.in.Parts {
			if err := rows.readPart(ctx, part); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// readJSON reads JSON lines as encoding/json does.
func readJSON[R any](ctx context.Context, e *env, each func(R) error) error {
	l := &lines{env: e, each: func(line []byte) error {
		if len(bytes.TrimSpace(line)) == 0 {
			return nil
		}
		var record R
		if err := unmarshal(line, &record); err != nil {
			return e.Skip(e.bad(line, err.Error()))
		}
		return e.judge(line, each(record))
	}}
	return e.readText(ctx, l)
}

// unmarshal refuses also what encoding/json lets pass: null, which leaves a
// record empty, and bytes that are no UTF-8, which it would replace.
func unmarshal(line []byte, record any) error {
	switch {
	case bytes.Equal(bytes.TrimSpace(line), []byte("null")):
		return errors.New("null is no record")
	case !utf8.Valid(line):
		return errors.New("invalid UTF-8")
	}
	return json.Unmarshal(line, record)
}

// rowReader reads records that have columns.
type rowReader[R any] struct {
	env     *env
	columns []column
	each    func(R) error
}

func (r *rowReader[R]) readPart(ctx context.Context, part processor.Part) error {
	e := r.env
	e.at = place{part.Name, -1}
	var records processor.Records
	switch {
	case part.Records != nil:
		e.at.offset = max(part.Offset, part.FromRow)
		records = part.Records(ctx)
	case e.in.Format == pb.Format_FORMAT_CSV && len(e.in.Columns) == 0:
		return processor.Fatal("the function %s reads columns, and those of the CSV that the program before it writes "+
			"have no names: let the program write JSON lines or Arrow (output_format)", e.name)
	default:
		records = format.ToRecords(ctx, e.in, part, r.wanted(e.in), e.Skip)
	}
	for batch, err := range records {
		if err != nil {
			return err
		}
		if err := r.readBatch(batch); err != nil {
			return err
		}
		e.Read(batch.NumRows(), 0)
		if ctx.Err() != nil {
			return ended(ctx)
		}
	}
	e.Read(0, part.Bytes)
	return nil
}

// wanted are the columns of text in the types that the struct wants.
func (r *rowReader[R]) wanted(in processor.Input) []*pb.Column {
	if in.Format != pb.Format_FORMAT_CSV {
		return nil
	}
	wanted := make([]*pb.Column, len(in.Columns))
	for i, c := range in.Columns {
		wanted[i] = &pb.Column{Name: c.GetName(), Type: "VARCHAR"}
		for j := range r.columns {
			if strings.EqualFold(r.columns[j].name, c.GetName()) {
				wanted[i].Type = r.columns[j].duck
			}
		}
	}
	return wanted
}

func (r *rowReader[R]) readBatch(batch arrow.RecordBatch) error {
	fields, err := r.bind(batch)
	if err != nil {
		return err
	}
	var record, empty R
	for row := range int(batch.NumRows()) {
		record = empty
		if err := r.readRow(fields, row, unsafe.Pointer(&record)); err != nil {
			if err = r.env.Skip(r.env.bad([]byte(rowText(batch, row)), err.Error())); err != nil {
				return err
			}
		} else if err := r.judge(batch, row, r.each(record)); err != nil {
			return err
		}
		if r.env.at.offset >= 0 {
			r.env.at.offset++
		}
	}
	return nil
}

func (r *rowReader[R]) judge(batch arrow.RecordBatch, row int, err error) error {
	if err == nil {
		return nil
	}
	return r.env.judge([]byte(rowText(batch, row)), err)
}

// bound is a field and the column that fills it.
type bound struct {
	*column
	set setter
}

func (r *rowReader[R]) readRow(fields []bound, row int, record unsafe.Pointer) error {
	for i := range fields {
		if err := fields[i].set(row, unsafe.Add(record, fields[i].offset)); err != nil {
			return fmt.Errorf("column %s: %w", fields[i].name, err)
		}
	}
	return nil
}

// bind finds the column of each field.
func (r *rowReader[R]) bind(batch arrow.RecordBatch) ([]bound, error) {
	var fields []bound
	for i := range r.columns {
		c := &r.columns[i]
		at := indexOf(batch.Schema(), c.name)
		switch {
		case at >= 0:
			fields = append(fields, bound{c, c.setter(batch.Column(at))})
		case !c.optional:
			return nil, processor.Fatal("function %s: %v wants a column %s, and the input has %s; "+
				"name the column in a tag, or mark it omitempty", r.env.name, reflect.TypeFor[R](), c.name, names(batch.Schema()))
		}
	}
	return fields, nil
}

// indexOf finds a column by its name, exactly or but for case; -1 when there is
// none.
func indexOf(schema *arrow.Schema, name string) int {
	if exact := schema.FieldIndices(name); len(exact) > 0 {
		return exact[0]
	}
	for i, f := range schema.Fields() {
		if strings.EqualFold(f.Name, name) {
			return i
		}
	}
	return -1
}

func names(schema *arrow.Schema) string {
	list := make([]string, schema.NumFields())
	for i, f := range schema.Fields() {
		list[i] = f.Name
	}
	return strings.Join(list, ", ")
}

// rowText shows a row to people.
func rowText(batch arrow.RecordBatch, row int) string {
	values := make([]string, batch.NumCols())
	for i, c := range batch.Columns() {
		values[i] = c.ValueStr(row)
	}
	return strings.Join(values, ",")
}
