//go:build cgo

package sql

import (
	"fmt"
	"os"
	"strings"
	"testing"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// largeRows is more text than an attempt of 48 MiB has in memory.
const largeRows = 2 << 20

// runLarge runs a query over a large text with some bad records in it, which
// must be gone from the disk afterwards.
func runLarge(t *testing.T, a *attempt, in processor.Input, o Options) ([]string, error) {
	t.Helper()
	a.MemoryBytes = 48 << 20
	o.TempDir = t.TempDir()
	step, err := New(&pb.SqlStep{Query: "SELECT count(*), sum(n)::BIGINT, bool_and(s = 'value') FROM batch"}, o)
	if err != nil {
		t.Fatal(err)
	}
	var out collector
	failed := step.Run(t.Context(), &a.Attempt, in, &out)
	if err := step.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(o.TempDir); err != nil || len(left) > 0 {
		t.Errorf("%v were left: %v", left, err)
	}
	return out.rows, failed
}

// largeText is records with bad ones behind the first, in the middle and at the
// end, and the places of those.
func largeText(good, bad string) (text string, places []int64) {
	half := strings.Repeat(good, largeRows/2)
	first := good + bad + half
	return first + bad + half + bad, []int64{int64(len(good)), int64(len(first)), int64(len(first) + len(bad) + len(half))}
}

func TestLargeText(t *testing.T) {
	cols := columns("s VARCHAR", "n BIGINT")
	for _, c := range []struct {
		name, good, bad string
		make            func([]*pb.Column, ...processor.Part) processor.Input
	}{
		{"csv", "value,3\n", "value,x\n", csvInput},
		{"csv with carriage returns", "value,3\r\n", "value,3,4\r\n", csvInput},
		{"csv with both", "\"value\",3\r\nvalue,3\n", "value,3,4\n", csvInput},
		{"json", `{"s":"value","n":3}` + "\n", "[7]\n", jsonInput},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, places := largeText(c.good, c.bad)
			a := newAttempt(t)
			a.allowed = 3
			rows, err := runLarge(t, a, c.make(cols, textPart("file", 100, text)), Options{})
			n := (largeRows + 1) * strings.Count(c.good, "\n")
			wantRows(t, rows, err, fmt.Sprintf("%d|%d|true", n, 3*n))
			if len(a.bad) != len(places) || a.records != int64(n) {
				t.Fatalf("bad records %v; %d were read, want %d", a.bad, a.records, n)
			}
			for i, bad := range a.bad {
				if bad.File != "file" || bad.Offset != places[i]+100 {
					t.Errorf("a bad record at %s %d, want %d", bad.File, bad.Offset, places[i]+100)
				}
			}
		})
	}
}

func TestLargeTextBeyondTheDisksShare(t *testing.T) {
	text, _ := largeText("value,3\n", "")
	part := textPart("file", 0, text)
	for _, told := range []int64{part.Bytes, 10} { // a compressed one is larger than it seems
		part.Bytes = told
		_, err := runLarge(t, newAttempt(t), csvInput(columns("s VARCHAR", "n BIGINT"), part), Options{MaxTempBytes: 1 << 20})
		failure, ok := err.(*processor.Failure)
		if !ok || failure.Class != pb.OutcomeClass_OUTCOME_CLASS_FATAL || !strings.Contains(err.Error(), "Parquet") {
			t.Errorf("a text that is too large: %v", err)
		}
	}
}

func TestLineMeter(t *testing.T) {
	for _, text := range []string{"", "\n", "abc", "abc\n", "abcd", "a\nabcd\nb", "abcd\n", "a\n\nabc\nabc"} {
		for step := 1; step <= len(text)+1; step++ {
			m := lineMeter{limit: 3}
			for from := 0; from < len(text); from += step {
				m.add([]byte(text[from:min(from+step, len(text))]))
			}
			if got, want := m.longest > 3, hasLongLine([]byte(text), 3); got != want {
				t.Errorf("%q by %d: a long line is %v, want %v", text, step, got, want)
			}
		}
	}
}
