package function

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/format"
	"github.com/millrace/millrace/worker/processor"
)

// reader calls each for every record of a batch, in order.
type reader[R any] func(ctx context.Context, e *env, each func(R) error) error

// BadRecord says that a record can't be used: it is skipped and counted where
// the job allows that, and fails the job otherwise.
type BadRecord struct {
	// Reason is what is wrong with it.
	Reason string
}

// Error is the reason.
func (b *BadRecord) Error() string { return b.Reason }

// recordsOf finds how records become values of type R.
func recordsOf[R any]() (reader[R], error) {
	t := reflect.TypeFor[R]()
	switch {
	case t.Kind() == reflect.String:
		return textReader(true, func(line []byte) R {
			s := unsafe.String(unsafe.SliceData(line), len(line))
			return *(*R)(unsafe.Pointer(&s))
		}), nil
	case t == reflect.TypeFor[[]byte]():
		return textReader(false, func(line []byte) R { return *(*R)(unsafe.Pointer(&line)) }), nil
	case t.Kind() == reflect.Struct:
		return structReader[R](t)
	}
	return nil, fmt.Errorf("a record can be a string, []byte or a struct, not %v", t)
}

// textReader reads records as the text that they are; those that are none, as
// JSON. With kept the text stays valid.
func textReader[R any](kept bool, record func(line []byte) R) reader[R] {
	return func(ctx context.Context, e *env, each func(R) error) error {
		l := &lines{env: e, kept: kept, each: func(line []byte) error {
			return e.judge(line, each(record(line)))
		}}
		return e.readText(ctx, l)
	}
}

// judge lets a bad record pass where the job allows it.
func (e *env) judge(record []byte, err error) error {
	var bad *BadRecord
	if err != nil && errors.As(err, &bad) {
		return e.Skip(e.bad(record, bad.Reason))
	}
	return err
}

// readText gives l the batch's records as text.
func (e *env) readText(ctx context.Context, l *lines) error {
	switch e.in.Format {
	case pb.Format_FORMAT_CSV:
		l.split = recordEnd(format.NewDialect(e.in.Csv))
	case pb.Format_FORMAT_PARQUET, pb.Format_FORMAT_ARROW:
		return e.readAsJSON(ctx, l)
	}
	for _, part := range e.in.Parts {
		if err := l.readPart(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// readAsJSON gives l records that aren't text as JSON, part by part.
func (e *env) readAsJSON(ctx context.Context, l *lines) error {
	for _, part := range e.in.Parts {
		one := e.in
		one.Parts = []processor.Part{part}
		text, err := format.Text(ctx, one, pb.Format_FORMAT_JSON, false, e.Skip)
		if err != nil {
			return err
		}
		l.begin(part.Name, -1)
		err = errors.Join(l.consume(ctx, text, part.Bytes), text.Close())
		if err != nil {
			return err
		}
	}
	return nil
}
