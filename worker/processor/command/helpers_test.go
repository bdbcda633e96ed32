package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

// sink is an output that keeps what it is given.
type sink struct {
	bytes.Buffer
	records []string // rows as JSON
	fail    error
}

func (s *sink) Write(p []byte) (int, error) {
	if s.fail != nil {
		return 0, s.fail
	}
	return s.Buffer.Write(p)
}

func (s *sink) WriteRecords(batch arrow.RecordBatch) error {
	if keys := batch.Schema().Metadata().Keys(); len(keys) > 0 {
		return fmt.Errorf("the schema has metadata of its input: %v", keys)
	}
	for row := range int(batch.NumRows()) {
		var values []string
		for _, c := range batch.Columns() {
			values = append(values, c.ValueStr(row))
		}
		s.records = append(s.records, strings.Join(values, "|"))
	}
	return s.fail
}

// attempt notes what a step says of itself.
type attempt struct {
	processor.Attempt
	mu             sync.Mutex
	records, bytes int64
	status         []string
	counters       map[string]int64
}

func newAttempt(t *testing.T) *attempt {
	a := &attempt{counters: map[string]int64{}}
	a.Attempt = processor.Attempt{
		JobID: "job-1", Stage: "count", Batch: 7, Number: 2, Position: 100, Threads: 1, MemoryBytes: 1 << 26, TempDir: func() (string, error) { return t.TempDir(), nil },
		Read: func(records, bytes int64) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.records, a.bytes = a.records+records, a.bytes+bytes
		},
		Status: func(text string) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.status = append(a.status, text)
		},
		Count: func(name string, delta int64) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.counters[name] += delta
		},
		Skip: func(bad *pb.BadRecord) error { return processor.Fatal("bad record: %s", bad.GetReason()) },
	}
	return a
}

func (a *attempt) counted() map[string]int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.counters)
}

// texts is an input of lines that are in no file.
func texts(parts ...string) processor.Input {
	in := processor.Input{Format: pb.Format_FORMAT_LINES, MaxRecordBytes: 1 << 20}
	for _, text := range parts {
		in.Parts = append(in.Parts, processor.Part{Bytes: int64(len(text)), Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(text)), nil
		}})
	}
	return in
}

// inFile is an input of one whole file with this content, as the source reads
// it.
func inFile(t *testing.T, name, content string, format pb.Format, csv *pb.Csv) processor.Input {
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
	plan := &pb.Plan{Format: format, Csv: csv, Columns: sniffed.Columns}
	f := fragments[0]
	reader := source.NewReader(src, plan, source.Options{})
	return reader.Input([]*pb.Split{{To: f.GetExtent(), Source: f}})
}

// step is a program and its options.
func step(t *testing.T, options *pb.CommandOptions, argv ...string) processor.Step {
	t.Helper()
	s := New(&pb.CommandStep{Argv: argv, Options: options})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// shell is a script with its options.
func shell(t *testing.T, options *pb.CommandOptions, script string) processor.Step {
	t.Helper()
	if options == nil {
		options = &pb.CommandOptions{}
	}
	options.Shell = true
	return step(t, options, script)
}

func run(t *testing.T, s processor.Step, in processor.Input) (string, error) {
	t.Helper()
	var out sink
	err := s.Run(t.Context(), &newAttempt(t).Attempt, in, &out)
	return out.String(), err
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
