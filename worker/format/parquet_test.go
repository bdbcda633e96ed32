package format

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"

	pb "github.com/millrace/millrace/api/millracev1"
)

// mixedRows makes records of a column of few values and one of many.
func mixedRows(rows int) arrow.RecordBatch {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "few", Type: arrow.BinaryTypes.String}, {Name: "many", Type: arrow.BinaryTypes.String},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for i := range rows {
		b.Field(0).(*array.StringBuilder).Append(fmt.Sprintf("kind %d", i%100))
		b.Field(1).(*array.StringBuilder).Append(fmt.Sprintf("note %08x", i*2654435761))
	}
	return b.NewRecordBatch()
}

// asParquet writes batch in slices, as results come.
func asParquet(t testing.TB, to io.Writer, batch arrow.RecordBatch, slice int64) {
	t.Helper()
	e, err := NewEncoder(pb.Format_FORMAT_PARQUET, to, batch.Schema(), EncoderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for from := int64(0); from < batch.NumRows(); from += slice {
		if err := e.Write(batch.NewSlice(from, min(from+slice, batch.NumRows()))); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// A column of few values keeps its dictionary; one of many is written plainly
// after a while, which is what writing costs most of its time without.
func TestParquetDictionaries(t *testing.T) {
	var out bytes.Buffer
	batch := mixedRows(50_000)
	defer batch.Release()
	asParquet(t, &out, batch, 2048)
	reader, err := file.NewParquetReader(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if reader.NumRows() != 50_000 {
		t.Errorf("%d rows, want 50000", reader.NumRows())
	}
	for column, plain := range []bool{false, true} {
		if encodings := pageEncodings(t, reader, column); slices.Contains(encodings, parquet.Encodings.Plain) != plain {
			t.Errorf("column %d: pages of %v, some plain: want %t", column, encodings, plain)
		}
	}
}

// pageEncodings are the encodings of a column's data pages, one after the other.
func pageEncodings(t *testing.T, reader *file.Reader, column int) []parquet.Encoding {
	t.Helper()
	pages, err := reader.RowGroup(0).GetColumnPageReader(column)
	if err != nil {
		t.Fatal(err)
	}
	var all []parquet.Encoding
	for pages.Next() {
		if page, ok := pages.Page().(file.DataPage); ok {
			all = append(all, parquet.Encoding(page.Encoding()))
		}
	}
	if err := pages.Err(); err != nil || len(all) == 0 {
		t.Fatalf("%d pages: %v", len(all), err)
	}
	return all
}

func BenchmarkParquet(b *testing.B) {
	batch := mixedRows(200_000)
	defer batch.Release()
	b.SetBytes(200_000 * (7 + 13 + 2*4))
	for b.Loop() {
		asParquet(b, io.Discard, batch, 2048)
	}
}
