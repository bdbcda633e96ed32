//go:build cgo

package sql

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/duckdb"
	"github.com/millrace/millrace/worker/processor"
)

func openDB(t *testing.T) *duckdb.DB {
	t.Helper()
	db, err := duckdb.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// queryPart is a part that holds the answer to a query.
func queryPart(t *testing.T, query string) processor.Part {
	return processor.Part{Name: "part", Bytes: 100, ToRow: -1, Records: func(ctx context.Context) processor.Records {
		return func(yield func(arrow.RecordBatch, error) bool) {
			result, err := openDB(t).Query(ctx, query)
			if err != nil {
				yield(nil, err)
				return
			}
			defer result.Close()
			result.Records()(yield)
		}
	}}
}

func TestArrowParts(t *testing.T) {
	in := processor.Input{
		Format:  pb.Format_FORMAT_ARROW,
		Columns: columns("k UUID", "n HUGEINT"),
		Parts: []processor.Part{
			queryPart(t, "SELECT '00000000-0000-0000-0000-00000000000'||(range % 2) AS k, range::HUGEINT AS n FROM range(5000)"),
			queryPart(t, "SELECT '00000000-0000-0000-0000-000000000001' AS k, range::HUGEINT AS n FROM range(0)"),
			queryPart(t, "SELECT '00000000-0000-0000-0000-000000000001' AS k, 170141183460469231731687303715884105727::HUGEINT - 10000000 AS n"),
		},
	}
	for query, want := range map[string]string{
		"SELECT typeof(k), typeof(n), count(*) FROM batch GROUP BY ALL":                 "UUID|HUGEINT|5001",
		"SELECT right(k::VARCHAR, 1), sum(n)::VARCHAR FROM batch GROUP BY k ORDER BY k": "0|6247500\n1|170141183460469231731687303715880355727",
		"SELECT count(*) FROM batch a JOIN batch b USING (n)":                           "5001",
		"SELECT count(*) FROM batch WHERE n = (SELECT max(n) FROM batch)":               "1",
		"SELECT n::INTEGER FROM batch LIMIT 2":                                          "0\n1",
	} {
		a := newAttempt(t)
		rows, err := runQuery(t, a, query, in)
		wantRows(t, rows, err, want)
		if a.records != 5001 && !strings.Contains(query, "LIMIT") {
			t.Errorf("%s: %d records were counted, want 5001", query, a.records)
		}
	}
	broken := errors.New("broken")
	in.Parts = append(in.Parts, processor.Part{Records: func(context.Context) processor.Records {
		return func(yield func(arrow.RecordBatch, error) bool) { yield(nil, broken) }
	}})
	if _, err := runQuery(t, newAttempt(t), "SELECT count(*) FROM batch", in); !errors.Is(err, broken) {
		t.Errorf("a part that breaks: %v", err)
	}
}

func TestInstanceServesManyStreams(t *testing.T) {
	step, _ := New(&pb.SqlStep{Query: "SELECT sum(n)::BIGINT FROM batch", Columns: columns("n BIGINT")}, Options{})
	defer step.Close()
	for i := range 5 {
		a, out := newAttempt(t), collector{}
		in := processor.Input{Format: pb.Format_FORMAT_ARROW, Parts: []processor.Part{queryPart(t, fmt.Sprintf("SELECT range AS n FROM range(%d)", i+1))}}
		err := step.Run(t.Context(), &a.Attempt, in, &out)
		wantRows(t, out.rows, err, fmt.Sprint(i*(i+1)/2))
	}
}

// writeParquet writes the answer to a query, in row groups of 2048.
func writeParquet(t *testing.T, path, query string) {
	t.Helper()
	if err := openDB(t).Exec(t.Context(), fmt.Sprintf("COPY (%s) TO %s (FORMAT parquet, ROW_GROUP_SIZE 2048)", query, duckdb.QuoteString(path))); err != nil {
		t.Fatal(err)
	}
}

func parquetPart(path string, from, to int64) processor.Part {
	return processor.Part{
		Real: func() (string, error) { return filepath.EvalSymlinks(path) },
		Name: path, FromRow: from, ToRow: to, Whole: from == 0 && to < 0}
}

func TestParquet(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "it's a.parquet"), filepath.Join(dir, "b.parquet")
	writeParquet(t, a, "SELECT range AS n, 'x' AS s FROM range(10000)")
	writeParquet(t, b, "SELECT 'y' AS s, (range + 10000)::INTEGER AS n FROM range(100)")
	link := filepath.Join(dir, "link")
	if err := os.Symlink(b, link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		parts []processor.Part
		want  string
	}{
		{[]processor.Part{parquetPart(a, 0, -1), parquetPart(link, 0, -1)}, "10100|50999 950|2"},
		{[]processor.Part{parquetPart(a, 3000, 5000)}, "2000|7999000|1"},
		{[]processor.Part{parquetPart(a, 9999, -1), parquetPart(b, 0, -1), parquetPart(a, 0, 1)}, "102|1014949|2"},
	} {
		at := newAttempt(t)
		in := processor.Input{Format: pb.Format_FORMAT_PARQUET, Columns: columns("n BIGINT", "s VARCHAR"), Parts: c.parts}
		rows, err := runQuery(t, at, "SELECT count(*), sum(n)::BIGINT, count(DISTINCT s) FROM batch", in)
		wantRows(t, rows, err, strings.ReplaceAll(c.want, " ", ""))
		if count, _, _ := strings.Cut(c.want, "|"); fmt.Sprint(at.records) != count {
			t.Errorf("%d records were counted, want %s", at.records, count)
		}
	}
	in := processor.Input{Format: pb.Format_FORMAT_PARQUET, Columns: columns("n BIGINT"), Parts: []processor.Part{parquetPart(a, 4097, 4099), parquetPart(b, 0, -1)}}
	rows, err := runQuery(t, newAttempt(t), "SELECT n FROM batch LIMIT 3", in)
	wantRows(t, rows, err, "4097", "4098", "10000")
}

func TestParquetGone(t *testing.T) {
	in := processor.Input{Format: pb.Format_FORMAT_PARQUET, Columns: columns("n BIGINT"), Parts: []processor.Part{parquetPart("/nowhere/x.parquet", 0, -1)}}
	_, err := runQuery(t, newAttempt(t), "FROM batch", in)
	if f, ok := errors.AsType[*processor.Failure](err); !ok || f.Class != pb.OutcomeClass_OUTCOME_CLASS_INPUT_GONE {
		t.Errorf("a file that is gone: %v", err)
	}
	broken := filepath.Join(t.TempDir(), "broken.parquet")
	if err := os.WriteFile(broken, []byte("PAR1 this is none PAR1"), 0o600); err != nil {
		t.Fatal(err)
	}
	in.Parts[0] = parquetPart(broken, 0, -1)
	if _, err := runQuery(t, newAttempt(t), "FROM batch", in); !strings.Contains(fatal(err), broken) {
		t.Errorf("a broken file: %v", err)
	}
}

func TestDescribeParquet(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	writeParquet(t, path("a"), "SELECT 1::BIGINT AS n, 'x' AS s")
	writeParquet(t, path("b"), "SELECT 'x' AS s, 1::BIGINT AS n")
	writeParquet(t, path("c"), "SELECT 1::INTEGER AS n, 'x' AS s")
	writeParquet(t, path("d"), "SELECT 1::BIGINT AS n")
	p := openPlanner(t)
	got, err := p.DescribeParquet(t.Context(), []string{path("a"), path("b"), path("a")})
	if err != nil || len(got) != 2 || got[0].Name != "n" || got[1].Type != "VARCHAR" {
		t.Errorf("%v, %v", got, err)
	}
	for other, want := range map[string]string{"c": `"n" is BIGINT in the first and INTEGER`, "d": `only the first has the column "s"`} {
		if _, err := p.DescribeParquet(t.Context(), []string{path("a"), path(other)}); !strings.Contains(fatal(err), want) {
			t.Errorf("%s: %v", other, err)
		}
	}
}

func TestSniffTypes(t *testing.T) {
	p := openPlanner(t)
	for _, c := range []struct {
		name, sample string
		format       pb.Format
		names        []string
		want         string
	}{
		{"csv", "a,1,2.5,2024-01-31,true\n\"b\"\"\",2,3,,\n", pb.Format_FORMAT_CSV, []string{"s", "i", "d", "day", "b"}, "s VARCHAR, i BIGINT, d DOUBLE, day DATE, b BOOLEAN"},
		{"guessed dates stay text", "31/12/2024,1\n01/01/2025,2\n", pb.Format_FORMAT_CSV, []string{"day", "n"}, "day VARCHAR, n BIGINT"},
		{"doubled names", "1,x\n", pb.Format_FORMAT_CSV, []string{"it's", "b"}, "it's BIGINT, b VARCHAR"},
		{"a header is no vote", "", pb.Format_FORMAT_CSV, []string{"a", "b"}, "a VARCHAR, b VARCHAR"},
		{"ragged", "1,2\n1,2,3\n4\n", pb.Format_FORMAT_CSV, []string{"a", "b"}, ""},
		{"json", `{"a":1,"b":{"c":[1.5]},"d":"2024-01-31"}` + "\n" + `{"a":2,"e":null}`, pb.Format_FORMAT_JSON, nil, "a BIGINT, b STRUCT(c DOUBLE[]), d DATE, e JSON"},
		{"bad json", "{\"a\":1}\n{\"a\":\n", pb.Format_FORMAT_JSON, nil, "a BIGINT"},
	} {
		got, err := p.SniffTypes(t.Context(), []byte(c.sample), c.format, rfc4180(), c.names)
		list := make([]string, len(got))
		for i, column := range got {
			list[i] = column.Name + " " + column.Type
		}
		if text := strings.Join(list, ", "); err != nil || c.want != "" && text != c.want || c.want == "" && len(got) != len(c.names) {
			t.Errorf("%s: %s, %v, want %s", c.name, text, err, c.want)
		}
	}
}
