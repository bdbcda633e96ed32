//go:build cgo

package duckdb

import (
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	pb "github.com/millrace/millrace/api/millracev1"
)

// lossy are the types whose values plain Arrow can't give back.
var lossy = map[string]bool{"UHUGEINT": true, "TIME WITH TIME ZONE": true, "BIT": true}

// TestTypesCrossArrow takes the least, the greatest and no value of every type
// through Arrow to another instance, and back to their type.
func TestTypesCrossArrow(t *testing.T) {
	from, to := open(t), open(t)
	columns, err := from.Describe(t.Context(), "FROM test_all_types()")
	if err != nil {
		t.Fatal(err)
	}
	for _, column := range columns {
		if !lossy[column.Type] {
			crossing(t, from, to, "SELECT "+QuoteName(column.Name)+" AS c FROM test_all_types()", column.Type)
		}
	}
	crossing(t, from, to, "SELECT '1234567890123456789012345678.0123456789'::DECIMAL(38,10) AS c", "DECIMAL(38,10)")
	crossing(t, from, to, `SELECT '{"a": [1, null]}'::JSON AS c`, "JSON")
}

func crossing(t *testing.T, from, to *DB, query, kind string) {
	t.Helper()
	result, err := from.Query(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	err = to.Load(t.Context(), "x", []*pb.Column{{Name: "c", Type: kind}}, result.Records())
	result.Close()
	if err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	want, err := from.Rows(t.Context(), "SELECT CAST(c AS VARCHAR), typeof(c) FROM ("+query+")")
	if err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	got, err := to.Rows(t.Context(), "SELECT CAST(c AS VARCHAR), typeof(c) FROM x")
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, %v, want %v", kind, got, err, want)
	}
	if err := to.Exec(t.Context(), "DROP TABLE x"); err != nil {
		t.Fatal(err)
	}
}

// TestLargeStream streams more than a batch, on several threads, in order.
func TestLargeStream(t *testing.T) {
	from, to := open(t), openLocked(t, Options{Threads: 2})
	const rows = 100_000
	result, err := from.Query(t.Context(), fmt.Sprintf("SELECT range AS n, 'text ' || range AS s FROM range(%d)", rows))
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	stream, err := NewStream(t.Context(), result.Records())
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if err := to.Attach(stream); err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	answer, err := to.Query(t.Context(), "SELECT s, n FROM "+StreamFunction+"() WHERE n % 2 = 0")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Close()
	for batch, err := range answer.Records() {
		if err != nil {
			t.Fatal(err)
		}
		n = checkEven(t, batch, n)
	}
	if n != rows {
		t.Errorf("the rows ended at %d, want %d", n, rows)
	}
}

// checkEven expects the even numbers from n on.
func checkEven(t *testing.T, batch arrow.RecordBatch, n int64) int64 {
	for i := range int(batch.NumRows()) {
		if s := batch.Column(0).ValueStr(i); s != fmt.Sprintf("text %d", n) || batch.Column(1).ValueStr(i) != fmt.Sprint(n) {
			t.Fatalf("row %q, want the number %d", s, n)
		}
		n += 2
	}
	return n
}
