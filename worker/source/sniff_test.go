package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/format"
)

// sniffed writes files and sniffs them; it returns the format, the delimiter,
// whether there is a header, and the columns, in one line.
func sniffed(t *testing.T, src *pb.Source, contents ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(contents); i += 2 {
		src.Files = append(src.Files, write(t, filepath.Join(dir, contents[i]), contents[i+1]))
	}
	_, s, err := plan(t, src)
	if err != nil {
		return "", err
	}
	var names []string
	for _, c := range s.Columns {
		names = append(names, c.Name)
	}
	out := FormatName(s.Format)
	if s.Csv != nil {
		out += " " + s.Csv.GetDelimiter() + s.Csv.GetQuote() + s.Csv.GetEscape()
		if s.Csv.GetHeader() {
			out += " header"
		}
	}
	return out + " " + strings.Join(names, ","), nil
}

func TestSniff(t *testing.T) {
	for _, c := range []struct {
		want     string
		contents []string
	}{
		{"CSV ,\"\" header id,name", []string{"a.csv", "id,name\n1,x\n"}},
		{"CSV ;\"\" column0,column1", []string{"a.csv", "Hamburg;12.0\nBulawayo;8.9\n"}},
		{"CSV ;\"\" header a,b", []string{"a.csv", "a;b\n1,5;2,5\n3,5;4\n"}},
		{"CSV \t\"\" header a,b", []string{"a.tsv", "a\tb\n1\t2\n"}},
		{"CSV |\"\" header a,b", []string{"a.psv", "a|b\n1|2\n"}},
		{"CSV ,\"\" header a,b", []string{"a.tsv", "a,b\n1,2\n"}},
		{"CSV ,\"\" header a", []string{"a.csv", "a\n1\n2\n"}},
		{"CSV ,\"\" column0", []string{"a.csv", "1\n2\n"}},
		{"CSV ,\"\" header name,city", []string{"a.csv", "name,city\nBob,Paris\n"}},
		{"CSV ,\"\" column0,column1", []string{"a.csv", "yes,no\nno,yes\nyes,no\n"}},
		{"CSV ,\"\" column0,column1", []string{"a.csv", "2020-01-02,x\n2020-01-03,y\n"}},
		{"CSV ,\"\" header a,a_1,A_2,column3,a_1_1", []string{"a.csv", "a,a,A,,a_1\n1,2,3,4,5\n"}},
		{"CSV ,\"\" header a,b", []string{"a.csv", "", "b.csv", "a,b\n", "c.csv", "a,b\n1,2\n"}},
		{"CSV ,\"\" header a,b", []string{"a.csv", "a,b\n"}},
		{"CSV ,\"\" header a,b", []string{"a.csv", "\ufeffa,b\r\n1,2\r\n"}},
		{"CSV ,\"\" ", []string{"a.csv", ""}},
		{"CSV ,\"\" header a,with \"quotes\"", []string{"a.csv", "a,\"with \"\"quotes\"\"\"\n1,\"x\ny\"\n"}},
		{"CSV ,\"\\ header a,b", []string{"a.csv", "a,b\n1,\"say \\\"x, y\\\" \"\n2,\"\\\",\\\"\"\n"}},
		{"JSON ", []string{"a.jsonl", "{\"a\":1}\n", "b.ndjson", ""}},
		{"JSON ", []string{"a.unknown", "{\"a\":1}\n{}"}},
		{"text lines line,file,offset", []string{"a.unknown", "{not json}\n"}},
		{"text lines line,file,offset", []string{"a.log", "{\"a\":1}\n"}},
		{"text lines line,file,offset", []string{"noname", ""}},
	} {
		if got, err := sniffed(t, &pb.Source{}, c.contents...); got != c.want || err != nil {
			t.Errorf("%q:\n got %q, %v\nwant %q", c.contents, got, err, c.want)
		}
	}
}

func TestSniffAsTold(t *testing.T) {
	src := &pb.Source{Format: pb.Format_FORMAT_CSV, Csv: &pb.Csv{Delimiter: new(":"), Quote: new("'"), Header: new(false)}}
	if got, err := sniffed(t, src, "x.log", "a:b\nc:d\n"); got != "CSV :'' column0,column1" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	src = &pb.Source{Format: pb.Format_FORMAT_LINES, Compression: pb.Compression_COMPRESSION_NONE}
	if got, err := sniffed(t, src, "x.csv", "a,b\n", "y.json", "{}"); got != "text lines line,file,offset" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestSniffConflicts(t *testing.T) {
	for want, contents := range map[string][]string{
		"a.csv: is CSV, but":     {"a.csv", "a,b\n", "b.json", "{}"},
		"different columns":      {"a.csv", "a,b\n1,2\n", "b.csv", "a,c\n1,2\n"},
		`"c" is in one only`:     {"a.csv", "a,b\n1,2\n", "b.csv", "a,b,c\n1,2,3\n"},
		"has 2 columns, but":     {"a.csv", "1,2\n3,4\n", "b.csv", "1,2,3\n4,5,6\n"},
		"can't be read as Parqu": {"a.parquet", "PAR1 is not enough PAR1", "b.parquet", ""},
		"can't be read as Arrow": {"a.arrow", "ARROW1\x00\x00 is not enough ARROW1"},
	} {
		_, err := sniffed(t, &pb.Source{}, contents...)
		var p *Problem
		if !errors.As(err, &p) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), contents[0]) {
			t.Errorf("%q: got %v", want, err)
		}
		if p != nil && p.Kind == Conflict && !strings.Contains(err.Error(), contents[2]) {
			t.Errorf("%v: the other file isn't named", err)
		}
	}
}

// TestHeadersOfAllFilesAreCompared has the one other header far from any
// sample.
func TestHeadersOfAllFilesAreCompared(t *testing.T) {
	dir := t.TempDir()
	for i := range 200 {
		text := "a,b\n1,2\n"
		if i == 77 {
			text = "a,x\n1,2\n"
		}
		write(t, filepath.Join(dir, strings.Repeat("f", i+1)+".csv"), text)
	}
	_, _, err := plan(t, files(dir))
	var p *Problem
	if !errors.As(err, &p) || filepath.Base(p.Other) != strings.Repeat("f", 78)+".csv" {
		t.Fatalf("got %v", err)
	}
}

func TestNoteOnJSONDocuments(t *testing.T) {
	for text, want := range map[string]int{"[{\"a\":1}]": 1, "\ufeff{\n \"a\": 1\n}\n": 1, "{\"a\":1}\n": 0, "": 0} {
		_, s := planned(t, files(write(t, filepath.Join(t.TempDir(), "x.json"), text)))
		if len(s.Notes) != want {
			t.Errorf("%q: %v", text, s.Notes)
		}
	}
}

func TestSample(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.csv"), "id,v\n1,\"x\ny\"\n2,z")
	write(t, filepath.Join(dir, "b.csv"), "id,v\n")
	write(t, filepath.Join(dir, "c.csv"), "id,v\n"+strings.Repeat("3,\"long\nlong\"\n", 10_000))
	fragments, s := planned(t, files(dir))
	got, err := Sample(t.Context(), files(dir), s, fragments, 5000, Options{})
	if err != nil || len(got) > 5000 || len(got) < 1000 {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if !bytes.HasPrefix(got, []byte("1,\"x\ny\"\n2,z\n3,\"long\nlong\"\n")) || !bytes.HasSuffix(got, []byte("3,\"long\nlong\"\n")) {
		t.Fatalf("got %q", got)
	}
}

func TestSniffNeverPanics(t *testing.T) {
	for _, text := range []string{"\"", "\x00", "\n", "\r", ",", "{", "\"\n\"", "\xff", "BZh", "\x1f", "PAR1", "ARROW1", "\xff\xff\xff\xff\x00\x00\x00\x00"} {
		for _, name := range []string{"a.csv", "a", "a.json", "a.parquet", "a.arrow", "a.txt.gz", "a.arrows.zst", "a.csv.bz2"} {
			sniffed(t, &pb.Source{}, name, text)
		}
	}
}

func FuzzSniff(f *testing.F) {
	f.Add("a.csv", "a,b\n1,\"2\n\"\n")
	f.Add("a.arrow", "ARROW1\x00\x00\xff\xff\xff\xffARROW1")
	f.Add("x", "PAR1\x00\x00\x00\x00PAR1")
	f.Fuzz(func(t *testing.T, name, text string) {
		ext := filepath.Ext(name)
		if strings.ContainsAny(ext, "/\x00") || len(ext) > 20 {
			t.Skip()
		}
		src := files(write(t, filepath.Join(t.TempDir(), "x"+ext), text))
		fragments, s, err := plan(t, src)
		if err != nil {
			return
		}
		if _, err := Sample(t.Context(), src, s, fragments, 100, Options{}); err != nil && class(err) == 0 {
			t.Fatal(err)
		}
	})
}

func TestSpectrum(t *testing.T) {
	paths, _ := filepath.Glob("../../../shared/data/csv-spectrum/csvs/*.csv")
	if len(paths) == 0 {
		t.Skip("NO ../shared/data/csv-spectrum HERE: awkward CSV files of others are not tried")
	}
	for _, path := range paths {
		src := files(path)
		src.Csv = &pb.Csv{Header: new(true)}
		fragments, s := planned(t, src)
		text, err := readPart(t, reader(src, s).Parts(wholes(fragments))[0])
		if err != nil {
			t.Fatal(err)
		}
		var got []map[string]string
		c := format.NewCSV(strings.NewReader(text), format.NewDialect(s.Csv), 0, 1<<20)
		for c.Next() {
			record := map[string]string{}
			for i, f := range c.Fields() {
				record[s.Columns[i].Name] = string(f)
			}
			got = append(got, record)
		}
		checkSpectrum(t, path, got)
	}
}

func checkSpectrum(t *testing.T, path string, got []map[string]string) {
	wanted, err := os.ReadFile(filepath.Join("../../../shared/data/csv-spectrum/json", strings.TrimSuffix(filepath.Base(path), ".csv")+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if wanted[0] != '[' { // not the content of its CSV file, but an example of it
		if len(got) == 0 || len(got[0]) != 4 {
			t.Errorf("%s: got %v", path, got)
		}
		return
	}
	var want []map[string]string
	if err := json.Unmarshal(wanted, &want); err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	if text, _ := os.ReadFile(path); !bytes.Contains(text, []byte("\r")) {
		b = bytes.ReplaceAll(b, []byte(`\r\n`), []byte(`\n`)) // some copies came without carriage returns
	}
	if !bytes.Equal(a, b) {
		t.Errorf("%s:\n got %s\nwant %s", path, a, b)
	}
}

// numbers is an Arrow file of record batches of some sizes, holding the
// numbers from 0.
func numbers(t *testing.T, stream bool, sizes ...int) string {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil)
	var b bytes.Buffer
	var w interface {
		Write(arrow.RecordBatch) error
		Close() error
	}
	if stream {
		w = ipc.NewWriter(&b, ipc.WithSchema(schema))
	} else {
		var err error
		if w, err = ipc.NewFileWriter(&b, ipc.WithSchema(schema)); err != nil {
			t.Fatal(err)
		}
	}
	n := int64(0)
	for _, size := range sizes {
		rows := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		for range size {
			rows.Field(0).(*array.Int64Builder).Append(n)
			n++
		}
		if err := w.Write(rows.NewRecordBatch()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestArrow(t *testing.T) {
	dir := t.TempDir()
	src := files(
		write(t, filepath.Join(dir, "a.arrow"), numbers(t, false, 3, 0, 4, 2)),
		write(t, filepath.Join(dir, "b.arrows"), numbers(t, true, 2, 2)),
		write(t, filepath.Join(dir, "c.arrows.gz"), string(compressions[".gz"](numbers(t, true, 5)))),
	)
	fragments, s := planned(t, src)
	if f := fragments[0]; f.Extent != 9 || len(f.Cuts) != 2 || f.Cuts[0] != 3 || f.Cuts[1] != 7 || f.Unit != pb.Unit_UNIT_ROWS {
		t.Errorf("got %v", f)
	}
	if !fragments[1].Whole || !fragments[2].Whole || s.Columns[0].Type != "BIGINT" {
		t.Errorf("got %v, %v", fragments, s)
	}
	splits := append(cutAt(fragments[0], []int{2, 3, 8}), wholes(fragments)[1:]...)
	checkNumbers(t, reader(src, s), splits, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 0, 1, 2, 3, 4})
}

func TestTruncatedArrow(t *testing.T) {
	stream := numbers(t, true, 100, 100)
	for _, n := range []int{len(stream) / 2, len(stream) - 100} {
		path := write(t, filepath.Join(t.TempDir(), "x.arrows"), stream[:n])
		fragments, s := planned(t, files(path))
		var last error
		for _, err := range reader(files(path), s).Parts(wholes(fragments))[0].Records(t.Context()) {
			last = err
		}
		if class(last) != pb.OutcomeClass_OUTCOME_CLASS_FATAL || !strings.Contains(last.Error(), path) {
			t.Errorf("%d of %d bytes: got %v", n, len(stream), last)
		}
	}
}

func checkNumbers(t *testing.T, r *Reader, splits []*pb.Split, want []int64) {
	t.Helper()
	var got []int64
	for _, p := range r.Parts(splits) {
		for b, err := range p.Records(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, b.Column(0).(*array.Int64).Int64Values()...)
		}
	}
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	if !bytes.Equal(a, b) {
		t.Errorf("got %s, want %s", a, b)
	}
}

func TestParquet(t *testing.T) {
	paths, _ := filepath.Glob("../../../shared/data/parquet/*.parquet")
	if len(paths) == 0 {
		t.Skip("NO ../shared/data/parquet HERE: Parquet files of others are not tried")
	}
	for _, path := range paths {
		src := files(path)
		fragments, s := planned(t, src)
		f := fragments[0]
		var rows int64
		for _, p := range reader(src, s).Parts(cutAt(f, []int{1, 5, 77})) {
			n := p.ToRow - p.FromRow
			for b, err := range p.Records(t.Context()) {
				if err != nil {
					t.Errorf("%s: %v", path, err)
					break
				}
				rows += b.NumRows()
				n -= b.NumRows()
			}
			if p.ToRow >= 0 && n != 0 {
				t.Errorf("%s: rows %d to %d: %d are missing", path, p.FromRow, p.ToRow, n)
			}
		}
		if rows != f.Records && !strings.Contains(path, "corrupt") {
			t.Errorf("%s: %d rows of %d", path, rows, f.Records)
		}
	}
}

func TestTruncatedParquet(t *testing.T) {
	data, err := os.ReadFile("../../../shared/data/parquet/alltypes_plain.parquet")
	if err != nil {
		t.Skip("NO ../shared/data/parquet HERE:", err)
	}
	path := write(t, filepath.Join(t.TempDir(), "x.parquet"), string(data[:len(data)/2]))
	_, _, err = plan(t, files(path))
	var p *Problem
	if !errors.As(err, &p) || p.Kind != Malformed || !strings.Contains(err.Error(), path) {
		t.Fatalf("got %v", err)
	}
}
