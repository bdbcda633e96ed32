package function

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
	"github.com/millrace/millrace/worker/source"
)

const (
	mapPhase     = pb.FunctionPhase_FUNCTION_PHASE_MAP
	combinePhase = pb.FunctionPhase_FUNCTION_PHASE_COMBINE
	reducePhase  = pb.FunctionPhase_FUNCTION_PHASE_REDUCE

	retryable = pb.OutcomeClass_OUTCOME_CLASS_RETRYABLE
	fatal     = pb.OutcomeClass_OUTCOME_CLASS_FATAL
)

// sink is an output that keeps what it is given.
type sink struct {
	text    strings.Builder
	batches []arrow.RecordBatch
	fail    error
}

func (s *sink) Write(p []byte) (int, error) {
	if s.fail != nil {
		return 0, s.fail
	}
	return s.text.Write(p)
}

func (s *sink) WriteRecords(batch arrow.RecordBatch) error {
	// What is written may share memory that its writer uses again.
	s.batches = append(s.batches, copied(batch))
	return s.fail
}

// rows shows records, a line each.
func (s *sink) rows() []string {
	var rows []string
	for _, b := range s.batches {
		for row := range int(b.NumRows()) {
			rows = append(rows, rowText(b, row))
		}
	}
	return rows
}

func (s *sink) part() processor.Part {
	return processor.Part{Records: func(context.Context) processor.Records {
		return func(yield func(arrow.RecordBatch, error) bool) {
			for _, b := range s.batches {
				if !yield(b, nil) {
					return
				}
			}
		}
	}}
}

// attempt notes what a function says of itself.
type attempt struct {
	processor.Attempt
	mu             sync.Mutex
	records, bytes int64
	status         []string
	counters       map[string]int64
	bad            []*pb.BadRecord
	maySkip        int
}

func newAttempt(t testing.TB) *attempt {
	a := &attempt{counters: map[string]int64{}}
	locked := func(f func()) { a.mu.Lock(); defer a.mu.Unlock(); f() }
	a.Attempt = processor.Attempt{
		JobID: "job-1", Stage: "count", Batch: 7, Number: 2, Position: 100, EndPosition: 200,
		Threads: 2, MemoryBytes: 64 << 20, TempDir: func() (string, error) { return t.TempDir(), nil },
		Read:   func(records, bytes int64) { locked(func() { a.records, a.bytes = a.records+records, a.bytes+bytes }) },
		Status: func(text string) { locked(func() { a.status = append(a.status, text) }) },
		Count:  func(name string, delta int64) { locked(func() { a.counters[name] += delta }) },
		Skip: func(bad *pb.BadRecord) (err error) {
			locked(func() {
				if a.bad = append(a.bad, bad); len(a.bad) > a.maySkip {
					err = processor.Fatal("bad record: %s", bad.GetReason())
				}
			})
			return err
		},
	}
	return a
}

func (a *attempt) counted() map[string]int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.counters)
}

func texts(parts ...string) processor.Input {
	in := processor.Input{Format: pb.Format_FORMAT_LINES, MaxRecordBytes: 1 << 24}
	for _, text := range parts {
		in.Parts = append(in.Parts, processor.Part{Bytes: int64(len(text)), Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(text)), nil
		}})
	}
	return in
}

// inFile is an input of one whole file, as the source reads it.
func inFile(t *testing.T, name, content string) processor.Input {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	src := &pb.Source{Files: []string{path}}
	fragments, err := source.List(t.Context(), src, source.Options{})
	if err != nil {
		t.Fatal(err)
	}
	sniffed, err := source.Sniff(t.Context(), src, fragments, source.Options{})
	if err != nil {
		t.Fatal(err)
	}
	plan := &pb.Plan{Format: sniffed.Format, Csv: sniffed.Csv, Columns: sniffed.Columns}
	return source.NewReader(src, plan, source.Options{}).Input([]*pb.Split{{To: fragments[0].GetExtent(), Source: fragments[0]}})
}

func stepOf(t testing.TB, f Function, p pb.FunctionPhase) processor.Step {
	t.Helper()
	r, err := NewRegistry(f)
	if err != nil {
		t.Fatal(err)
	}
	return New(&pb.FunctionStep{Name: f.Name(), Phase: p}, r)
}

// run runs a phase of a function.
func run(t testing.TB, f Function, p pb.FunctionPhase, in processor.Input) (*sink, *attempt, error) {
	t.Helper()
	out, a := &sink{}, newAttempt(t)
	err := stepOf(t, f, p).Run(t.Context(), &a.Attempt, in, out)
	return out, a, err
}

// reduced runs all phases of a function with keys over inputs of a batch each.
func reduced(t testing.TB, f Function, batches ...processor.Input) []string {
	t.Helper()
	combine := processor.Input{Format: pb.Format_FORMAT_ARROW}
	reduce := processor.Input{Format: pb.Format_FORMAT_ARROW}
	for i, in := range batches {
		out, _, err := run(t, f, mapPhase, in)
		if err != nil {
			t.Fatal(err)
		}
		if i < 2 { // the first two are merged first
			combine.Parts = append(combine.Parts, out.part())
			continue
		}
		reduce.Parts = append(reduce.Parts, out.part())
	}
	merged, _, err := run(t, f, combinePhase, combine)
	if err != nil {
		t.Fatal(err)
	}
	reduce.Parts = append([]processor.Part{merged.part()}, reduce.Parts...)
	out, _, err := run(t, f, reducePhase, reduce)
	if err != nil {
		t.Fatal(err)
	}
	return out.rows()
}

func failure(t *testing.T, err error, class pb.OutcomeClass) *pb.Failure {
	t.Helper()
	var f *processor.Failure
	if !errors.As(err, &f) {
		t.Fatalf("want a failure of class %v, got %v", class, err)
	}
	if f.Class != class {
		t.Fatalf("class is %v, want %v: %v", f.Class, class, err)
	}
	return f.Detail
}
