package format

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	pb "github.com/millrace/millrace/api/millracev1"
)

// people is rows of a name and a number; name 2 is null.
func people(from, to int) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, Schema([]*pb.Column{{Name: "name", Type: "VARCHAR"}, {Name: "n", Type: "BIGINT"}}))
	for i := from; i < to; i++ {
		if i == 2 {
			b.Field(0).AppendNull()
		} else {
			b.Field(0).(*array.StringBuilder).Append(fmt.Sprintf("name %d", i))
		}
		b.Field(1).(*array.Int64Builder).Append(int64(i * 100))
	}
	return b.NewRecordBatch()
}

func drawn(t *testing.T, o TableOptions, batches ...arrow.RecordBatch) string {
	t.Helper()
	var b strings.Builder
	e := NewTable(&b, batches[0].Schema(), o)
	for _, batch := range batches {
		if err := e.Write(batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return "\n" + b.String()
}

func TestTable(t *testing.T) {
	if got, want := drawn(t, TableOptions{}, people(0, 3)), `
┌────────┬─────┐
│ name   │ n   │
├────────┼─────┤
│ name 0 │   0 │
│ name 1 │ 100 │
│ NULL   │ 200 │
└────────┴─────┘
3 rows
`; got != want {
		t.Errorf("got %s", got)
	}
	if got, want := drawn(t, TableOptions{}, people(5, 5)), `
┌──────┬───┐
│ name │ n │
├──────┼───┤
└──────┴───┘
0 rows
`; got != want {
		t.Errorf("got %s", got)
	}
}

func TestTableShowsBothEnds(t *testing.T) {
	want := `
┌───────────┬────────┐
│ name      │ n      │
├───────────┼────────┤
│ name 0    │      0 │
│ name 1    │    100 │
│ ·         │ ·      │
│ name 1232 │ 123200 │
│ name 1233 │ 123300 │
└───────────┴────────┘
1,234 rows (4 shown)
`
	for _, size := range []int{1, 2, 3, 7, 1234} {
		var batches []arrow.RecordBatch
		for i := 0; i < 1234; i += size {
			batches = append(batches, people(i, min(i+size, 1234)))
		}
		if got := drawn(t, TableOptions{MaxRows: 4}, batches...); got != want {
			t.Errorf("batches of %d: got %s", size, got)
		}
	}
}

func TestTableFits(t *testing.T) {
	var columns []*pb.Column
	for i := range 9 {
		columns = append(columns, &pb.Column{Name: fmt.Sprintf("column%d", i), Type: "VARCHAR"})
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, Schema(columns))
	for i := range columns {
		b.Field(i).(*array.StringBuilder).Append(strings.Repeat("日本", i*4) + "\x1b[31m\nx")
	}
	batch := b.NewRecordBatch()
	for _, width := range []int{40, 60, 80, 200} {
		for line := range strings.Lines(drawn(t, TableOptions{Width: width}, batch)) {
			if n := cellsOf(line); n > width {
				t.Errorf("width %d: %d cells: %s", width, n, line)
			}
			if strings.Contains(line, "\x1b") {
				t.Errorf("an escape reaches the terminal: %q", line)
			}
		}
	}
}

func cellsOf(line string) int {
	n := 0
	for _, r := range strings.TrimSuffix(line, "\n") {
		if n++; r >= 0x3000 && r < 0xa000 {
			n++
		}
	}
	return n
}
