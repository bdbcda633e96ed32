//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
)

func open(t *testing.T) *DB {
	t.Helper()
	db, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func openLocked(t *testing.T, o Options) *DB {
	t.Helper()
	db := open(t)
	if err := db.Lock(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return db
}

func TestRows(t *testing.T) {
	db := open(t)
	rows, err := db.Rows(t.Context(), "SELECT ?, NULL, range FROM range(3000)", "a'b")
	if err != nil || len(rows) != 3000 || strings.Join(rows[2999], "|") != "a'b||2999" {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

func TestErrors(t *testing.T) {
	db := openLocked(t, Options{MemoryBytes: 20 << 20})
	for query, want := range map[string]Error{
		"SELECT\n  a FRM b":                                  {Kind: KindQuery, Line: 2, Column: 9},
		"SELECT nope":                                        {Kind: KindQuery, Line: 1, Column: 8},
		"SELECT CAST('x' AS INTEGER)":                        {Kind: KindData, Line: 1, Column: 8},
		"FROM read_csv('/etc/passwd')":                       {Kind: KindPermission, Line: 1, Column: 6},
		"SELECT CAST(s AS INTEGER) FROM (VALUES ('x')) v(s)": {Kind: KindData, Line: 1, Column: 8},
		"SELECT list(range) FROM range(100000000)":           {Kind: KindMemory},
	} {
		_, err := db.Rows(t.Context(), query)
		e, ok := errors.AsType[*Error](err)
		if !ok {
			t.Fatalf("%s: %v", query, err)
		}
		if e.Kind != want.Kind || e.Line != want.Line || e.Column != want.Column {
			t.Errorf("%s: %v\nkind %s, line %d, column %d", query, err, e.Kind, e.Line, e.Column)
		}
	}
}

func TestInterrupt(t *testing.T) {
	db := openLocked(t, Options{Threads: 2})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result, err := db.Query(ctx, "SELECT range FROM range(100000000000)")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range result.Records() {
		if n++; n == 3 {
			cancel()
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the query ended with %v", err)
		}
	}
	result.Close()
	if rows, err := db.Rows(t.Context(), "SELECT 1"); err != nil || len(rows) != 1 {
		t.Errorf("the next query: %v, %v", rows, err)
	}
}

func TestStreamEnds(t *testing.T) {
	db := openLocked(t, Options{Threads: 2})
	broken := errors.New("broken")
	result, err := db.Query(t.Context(), "SELECT 1 AS n")
	if err != nil {
		t.Fatal(err)
	}
	var one arrow.RecordBatch
	for batch := range result.Records() {
		batch.Retain()
		one = batch
	}
	result.Close()
	defer one.Release()
	stream, err := NewStream(t.Context(), func(yield func(arrow.RecordBatch, error) bool) {
		_ = yield(one, nil) && yield(nil, broken)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Attach(stream); err != nil {
		t.Fatal(err)
	}
	if n, err := db.Reads("SELECT * FROM " + StreamFunction + "() a, " + StreamFunction + "() b"); n != 2 || err != nil {
		t.Errorf("a query that reads twice: %d, %v", n, err)
	}
	_, err = db.Rows(t.Context(), "SELECT sum(n) FROM "+StreamFunction+"()")
	stream.Close()
	if err == nil || !errors.Is(stream.Err(), broken) {
		t.Errorf("a broken stream: %v, %v", err, stream.Err())
	}
}

func TestMemFile(t *testing.T) {
	mem, err := NewMemFile(Overflow{})
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	db := openLocked(t, Options{AllowedPaths: []string{mem.Path()}})
	for _, size := range []int{10, 5 << 20, 1000, 0, 3 << 20} {
		if err := mem.Reset(); err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat("123456789\n", size/10)
		if n, err := mem.ReadFrom(strings.NewReader(text)); err != nil || n != int64(len(text)) {
			t.Fatalf("%d bytes, %v", n, err)
		}
		if err := mem.Seal(); err != nil || string(mem.Bytes()) != text {
			t.Fatalf("the text is not what was put there: %v", err)
		}
		rows, err := db.Rows(t.Context(), "SELECT count(*), coalesce(sum(n), 0)::BIGINT FROM read_csv("+QuoteString(mem.Path())+
			", auto_detect = false, columns = {'n': 'BIGINT'})")
		if want := fmt.Sprintf("%d %d", size/10, size/10*123456789); err != nil || strings.Join(rows[0], " ") != want {
			t.Errorf("%v, %v, want %s", rows, err, want)
		}
	}
}
