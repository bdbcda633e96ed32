package attempt

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// stepFunc is a step made of a function.
type stepFunc func(ctx context.Context, in processor.Input, out processor.Output) error

func (f stepFunc) Run(ctx context.Context, _ *processor.Attempt, in processor.Input, out processor.Output) error {
	return f(ctx, in, out)
}

func (stepFunc) Close() error { return nil }

// gathered is an output kept in memory.
type gathered struct {
	bytes.Buffer
	rows int64
}

func (g *gathered) WriteRecords(batch arrow.RecordBatch) error {
	g.rows += batch.NumRows()
	return nil
}

func write(text string, times int) stepFunc {
	return func(_ context.Context, _ processor.Input, out processor.Output) error {
		for range times {
			if _, err := io.WriteString(out, text); err != nil {
				return err
			}
		}
		return nil
	}
}

// upper copies its input in capitals, a few bytes at a time.
var upper stepFunc = func(ctx context.Context, in processor.Input, out processor.Output) error {
	for _, part := range in.Parts {
		r, err := part.Open(ctx)
		if err != nil {
			return err
		}
		for buffer := make([]byte, 3); ; {
			n, err := r.Read(buffer)
			if _, err := out.Write(bytes.ToUpper(buffer[:n])); err != nil {
				return err
			}
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

func failing(err error) stepFunc {
	return func(context.Context, processor.Input, processor.Output) error { return err }
}

func runSteps(t *testing.T, steps ...stepFunc) (*gathered, error) {
	t.Helper()
	links := make([]link, len(steps))
	for i, step := range steps {
		links[i] = link{step: step, format: pb.Format_FORMAT_LINES}
	}
	out := &gathered{}
	return out, run(t.Context(), &processor.Attempt{}, links, processor.Input{}, out)
}

func TestEachStepReadsTheOneBefore(t *testing.T) {
	out, err := runSteps(t, write("grain\n", 1000), upper, upper)
	if want := strings.Repeat("GRAIN\n", 1000); err != nil || out.String() != want {
		t.Errorf("got %d bytes, %v; want %d", out.Len(), err, len(want))
	}
}

func TestAStepThatWantsNoMoreIsNoError(t *testing.T) {
	head := func(ctx context.Context, in processor.Input, out processor.Output) error {
		r, err := in.Parts[0].Open(ctx)
		if err != nil {
			return err
		}
		_, err = io.CopyN(out, r, 4)
		return err
	}
	out, err := runSteps(t, write("grain\n", 1000), head)
	if err != nil || out.String() != "grai" {
		t.Errorf("got %q, %v", out.String(), err)
	}
}

func TestTheFirstErrorIsTold(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	partly := func(ctx context.Context, in processor.Input, out processor.Output) error {
		if err := write("x", 3)(ctx, in, out); err != nil {
			return err
		}
		return first
	}
	for name, test := range map[string]struct {
		steps []stepFunc
		want  error
	}{
		"before it wrote":         {[]stepFunc{failing(first), upper}, first},
		"after it wrote":          {[]stepFunc{partly, upper}, first},
		"the later one":           {[]stepFunc{write("x", 1000), failing(second)}, second},
		"the middle one":          {[]stepFunc{write("x", 1000), failing(second), upper}, second},
		"the last, and the first": {[]stepFunc{write("x", 1000), upper, failing(second)}, second},
	} {
		if _, err := runSteps(t, test.steps...); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

// A step that is stopped because the next one failed says that it was cancelled:
// that must not hide the failure.
func TestAFailureIsNotHiddenByWhatItStopped(t *testing.T) {
	full := errors.New("the disk is full")
	stopped := stepFunc(func(ctx context.Context, _ processor.Input, out processor.Output) error {
		if _, err := io.WriteString(out, "a"); err != nil {
			return err
		}
		<-ctx.Done()
		return errors.Join(context.Cause(ctx), processor.Fail(pb.OutcomeClass_OUTCOME_CLASS_CANCELLED, "stopped"))
	})
	fails := stepFunc(func(context.Context, processor.Input, processor.Output) error { return full })
	err := run(t.Context(), &processor.Attempt{}, []link{{step: stopped}, {step: fails}}, processor.Input{}, &gathered{})
	var failure *processor.Failure
	if !errors.Is(err, full) || errors.As(err, &failure) {
		t.Errorf("%v, want that %v", err, full)
	}
}

func TestAPanicIsAFailureWithItsStack(t *testing.T) {
	for _, steps := range [][]stepFunc{
		{func(context.Context, processor.Input, processor.Output) error { panic("broken wheel") }},
		{func(context.Context, processor.Input, processor.Output) error { panic("broken wheel") }, upper},
		{write("x", 10), func(context.Context, processor.Input, processor.Output) error { panic("broken wheel") }},
	} {
		_, err := runSteps(t, steps...)
		var failure *processor.Failure
		if !errors.As(err, &failure) || !strings.Contains(failure.Error(), "broken wheel") ||
			!strings.Contains(failure.Detail.GetDetail(), "chain_test.go") {
			t.Errorf("%d steps: %v; want a failure with the stack", len(steps), err)
		}
	}
}

func TestRecordsPassAsRecords(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil)
	numbers := func(_ context.Context, _ processor.Input, out processor.Output) error {
		for range 5 {
			b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
			b.Field(0).(*array.Int64Builder).AppendValues([]int64{1, 2, 3}, nil)
			if err := out.WriteRecords(b.NewRecordBatch()); err != nil {
				return err
			}
		}
		return nil
	}
	pass := func(ctx context.Context, in processor.Input, out processor.Output) error {
		if in.Format != pb.Format_FORMAT_ARROW {
			t.Errorf("the next step's input is %s", in.Format)
		}
		return concat{}.Run(ctx, nil, in, out)
	}
	if out, err := runSteps(t, numbers, pass, pass); err != nil || out.rows != 15 {
		t.Errorf("%d rows, %v; want 15", out.rows, err)
	}
}

func TestNothingWrittenIsNoParts(t *testing.T) {
	seen := -1
	count := func(_ context.Context, in processor.Input, _ processor.Output) error {
		seen = len(in.Parts)
		return nil
	}
	if _, err := runSteps(t, write("", 3), count); err != nil || seen != 0 {
		t.Errorf("%d parts, %v; want none", seen, err)
	}
}

func TestACancelledChainEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	endless := func(ctx context.Context, _ processor.Input, out processor.Output) error {
		for ctx.Err() == nil {
			if _, err := io.WriteString(out, "x"); err != nil {
				return err
			}
		}
		return ctx.Err()
	}
	stop := func(ctx context.Context, in processor.Input, _ processor.Output) error {
		r, _ := in.Parts[0].Open(ctx)
		r.Read(make([]byte, 1))
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	links := []link{{step: stepFunc(endless)}, {step: stepFunc(stop)}}
	if err := run(ctx, &processor.Attempt{}, links, processor.Input{}, &gathered{}); !errors.Is(err, context.Canceled) {
		t.Errorf("run = %v, want cancelled", err)
	}
}

func TestTapCountsRecords(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "a": 1, "a\n": 1, "a\nb": 2, "a\n\n": 2} {
		counted := &tap{Output: &gathered{}}
		io.WriteString(counted, text)
		if counted.total() != want {
			t.Errorf("%q has %d records, want %d", text, counted.total(), want)
		}
	}
}
