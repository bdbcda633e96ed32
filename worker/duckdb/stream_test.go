//go:build cgo

package duckdb

import (
	"fmt"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

func TestScan(t *testing.T) {
	db, err := Open(Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	schema := arrow.NewSchema([]arrow.Field{{Name: "line", Type: arrow.BinaryTypes.String},
		{Name: "file", Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}},
		{Name: "offset", Type: arrow.PrimitiveTypes.Int64}}, nil)
	records := func(yield func(arrow.RecordBatch, error) bool) {
		for i := range 200 {
			b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
			for j := range 10000 {
				b.Field(0).(*array.StringBuilder).Append(fmt.Sprintf("line %d of %d", j, i))
				b.Field(1).(*array.BinaryDictionaryBuilder).AppendString("filename")
				b.Field(2).(*array.Int64Builder).Append(int64(j))
			}
			r := b.NewRecordBatch()
			ok := yield(r, nil)
			r.Release()
			b.Release()
			if !ok {
				return
			}
		}
	}
	for _, q := range []string{"SELECT sum(\"offset\") FROM batch", "SELECT max(line), count(*) FROM batch WHERE \"offset\" = 5", "SELECT count(*) FROM batch",
		"SELECT file, count(*) FROM batch GROUP BY ALL", "SELECT * FROM batch LIMIT 3", "FROM batch a JOIN batch b USING (line)", "DESCRIBE batch", "SELECT count(*) FROM batch ORDER BY ALL",
		"EXPLAIN SELECT count(*) FROM batch WHERE line='x'"} {
		s, err := NewStream(t.Context(), records)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Attach(s); err != nil {
			t.Fatal(err)
		}
		if err := db.Exec(t.Context(), "CREATE OR REPLACE TEMP VIEW batch AS FROM millrace_stream()"); err != nil {
			t.Fatal(err)
		}
		fmt.Println(db.Reads(q))
		start := time.Now()
		rows, err := db.Rows(t.Context(), q)
		if len(rows) > 20 {
			rows = rows[:20]
		}
		fmt.Printf("%s: %q %v %v\n", q, rows, err, time.Since(start))
		s.Close()
		fmt.Println("stream", s.Err())
	}
}
