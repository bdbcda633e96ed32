//go:build cgo

package sql

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// rfc4180 is the dialect of most tests.
func rfc4180() *pb.Csv {
	comma, quote, no := ",", `"`, false
	return &pb.Csv{Delimiter: &comma, Quote: &quote, Escape: &quote, Header: &no}
}

// columns reads "name TYPE" pairs.
func columns(pairs ...string) []*pb.Column {
	list := make([]*pb.Column, len(pairs))
	for i, pair := range pairs {
		name, kind, _ := strings.Cut(pair, " ")
		list[i] = &pb.Column{Name: name, Type: kind}
	}
	return list
}

// textPart is a part that holds text.
func textPart(name string, offset int64, text string) processor.Part {
	return processor.Part{
		Name: name, Offset: offset, Bytes: int64(len(text)), ToRow: -1,
		Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(text)), nil
		},
	}
}

// collector is an output that keeps rows as text.
type collector struct {
	rows   []string
	schema *arrow.Schema
}

func (c *collector) Write(p []byte) (int, error) { return 0, fmt.Errorf("no bytes are written by SQL") }

func (c *collector) WriteRecords(batch arrow.RecordBatch) error {
	c.schema = batch.Schema()
	for i := range int(batch.NumRows()) {
		cells := make([]string, batch.NumCols())
		for j, column := range batch.Columns() {
			cells[j] = strings.Clone(column.ValueStr(i))
		}
		c.rows = append(c.rows, strings.Join(cells, "|"))
	}
	return nil
}

// attempt is an attempt that notes what it is told.
type attempt struct {
	processor.Attempt
	lock           sync.Mutex
	records, bytes int64
	bad            []*pb.BadRecord
	allowed        int // bad records that may be skipped
}

func newAttempt(t *testing.T) *attempt {
	a := &attempt{}
	a.Attempt = processor.Attempt{
		Threads: 1, MemoryBytes: 256 << 20,
		Read: func(records, bytes int64) {
			a.lock.Lock()
			defer a.lock.Unlock()
			a.records += records
			a.bytes += bytes
		},
		Skip: func(bad *pb.BadRecord) error {
			a.lock.Lock()
			defer a.lock.Unlock()
			a.bad = append(a.bad, bad)
			if len(a.bad) > a.allowed {
				return processor.Fatal("bad record in %s at %d: %s", bad.File, bad.Offset, bad.Reason)
			}
			return nil
		},
	}
	return a
}

// runQuery runs a query over one batch by a step of its own.
func runQuery(t *testing.T, a *attempt, query string, in processor.Input) ([]string, error) {
	t.Helper()
	step, err := New(&pb.SqlStep{Query: query}, Options{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer step.Close()
	var out collector
	err = step.Run(t.Context(), &a.Attempt, in, &out)
	return out.rows, err
}

// csvInput is CSV of parts.
func csvInput(cols []*pb.Column, parts ...processor.Part) processor.Input {
	return processor.Input{Format: pb.Format_FORMAT_CSV, Csv: rfc4180(), Columns: cols, MaxRecordBytes: 1 << 20, Parts: parts}
}

// jsonInput is JSON lines of parts.
func jsonInput(cols []*pb.Column, parts ...processor.Part) processor.Input {
	return processor.Input{Format: pb.Format_FORMAT_JSON, Columns: cols, MaxRecordBytes: 1 << 20, Parts: parts}
}

// linesInput is text lines of parts.
func linesInput(parts ...processor.Part) processor.Input {
	return processor.Input{Format: pb.Format_FORMAT_LINES, MaxRecordBytes: 1 << 20, Parts: parts}
}

// wantRows compares rows.
func wantRows(t *testing.T, got []string, err error, want ...string) {
	t.Helper()
	if err != nil {
		t.Fatalf("the query failed: %v", err)
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("rows:\n%s\nwant:\n%s", g, w)
	}
}
