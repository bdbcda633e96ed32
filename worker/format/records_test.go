package format

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// part is a part of text.
func part(name string, offset int64, text string) processor.Part {
	return processor.Part{Name: name, Offset: offset, Bytes: int64(len(text)), Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(text)), nil
	}}
}

func input(f pb.Format, columns string, parts ...processor.Part) processor.Input {
	in := processor.Input{Format: f, MaxRecordBytes: 1 << 20, Parts: parts}
	if f == pb.Format_FORMAT_CSV {
		in.Csv = &pb.Csv{Delimiter: new(","), Quote: new(`"`), Escape: new(`"`), Header: new(true)}
	}
	for c := range strings.SplitSeq(columns, ",") {
		if name, kind, ok := strings.Cut(c, " "); ok {
			in.Columns = append(in.Columns, &pb.Column{Name: name, Type: kind})
		}
	}
	return in
}

// rows are the records of an input as CSV, and its bad records.
func rows(t *testing.T, in processor.Input, columns []*pb.Column) (string, []string, error) {
	t.Helper()
	var b strings.Builder
	var bad []string
	skip := func(r *pb.BadRecord) error {
		bad = append(bad, fmt.Sprintf("%s@%d %q: %s", r.File, r.Offset, r.Record, r.Reason))
		return nil
	}
	for _, p := range in.Parts {
		for batch, err := range ToRecords(t.Context(), in, p, columns, skip) {
			if err != nil {
				return b.String(), bad, err
			}
			b.WriteString(encodedAs(t, pb.Format_FORMAT_CSV, EncoderOptions{}, batch))
		}
	}
	return b.String(), bad, nil
}

func TestToRecords(t *testing.T) {
	for _, c := range []struct {
		in   processor.Input
		want string
		bad  []string
	}{
		{input(pb.Format_FORMAT_LINES, "", part("f", 10, "a\r\n\nx,\"\xff\nb")),
			"a,f,10\n\"\",f,13\nb,f,19\n", []string{`f@14 "x,\"�": the line isn't UTF-8`}},
		{input(pb.Format_FORMAT_CSV, "a BIGINT,b VARCHAR", part("f", 4, "1,x\n2,\"y\nz\",,\n\n3,\n")),
			"1,x\n2,\"y\nz\"\n3,\n", nil},
		{input(pb.Format_FORMAT_CSV, "a BIGINT,b DATE", part("f", 4, "1,2020-01-02\nx,2020-01-02\n2,never\n3\n4,5,6\n7,1999-12-31\n8,\"open\n")),
			"1,2020-01-02\n7,1999-12-31\n", []string{
				`f@17 "x,2020-01-02": column "a": "x" is no BIGINT`, `f@30 "2,never": column "b": "never" is no DATE`,
				`f@38 "3": it has 1 fields, not 2`, `f@40 "4,5,6": it has 3 fields, not 2`, `f@59 "8,\"open": a quote is never closed`}},
		{input(pb.Format_FORMAT_JSON, "a BIGINT,b VARCHAR,c DOUBLE", part("f", 0, `{"a":1,"b":"x","c":2}`+"\n"+` {"c":1e3, "b" : {"n":["}",1]}, "z":0, "a":null}`+"\n\n{broken\n[1]\n"+`{"a":"7","b":"q\"\u00e9"}`+"\n"+`{"a":1.5}`)),
			"1,x,2.0\n,\"{\"\"n\"\":[\"\"}\"\",1]}\",1000.0\n7,\"q\"\"é\",\n", []string{
				`f@72 "{broken": the line is no JSON object`, `f@80 "[1]": the line is no JSON object`, `f@110 "{\"a\":1.5}": member "a": "1.5" is no BIGINT`}},
	} {
		got, bad, err := rows(t, c.in, nil)
		if got != c.want || !slices.Equal(bad, c.bad) || err != nil {
			t.Errorf("got %q, %q, %v\nwant %q, %q", got, bad, err, c.want, c.bad)
		}
	}
}

func TestToRecordsOfSomeColumns(t *testing.T) {
	in := input(pb.Format_FORMAT_CSV, "a BIGINT,b VARCHAR,c BOOLEAN", part("f", 0, "1,x,true\n2,y,f\n"))
	if got, bad, err := rows(t, in, []*pb.Column{{Name: "c", Type: "BOOLEAN"}, {Name: "a", Type: "VARCHAR"}}); got != "true,1\nfalse,2\n" || bad != nil || err != nil {
		t.Errorf("got %q, %q, %v", got, bad, err)
	}
	in = input(pb.Format_FORMAT_LINES, "", part("f", 7, "x\ny\n"))
	if got, _, err := rows(t, in, []*pb.Column{{Name: "offset", Type: "BIGINT"}}); got != "7\n9\n" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestBadRecordWithoutSkips(t *testing.T) {
	in := input(pb.Format_FORMAT_CSV, "a BIGINT", part("some/file", 100, "1\n2\nx\n"))
	var failure *processor.Failure
	for _, err := range ToRecords(t.Context(), in, in.Parts[0], nil, nil) {
		errors.As(err, &failure)
	}
	if failure == nil || failure.Class != pb.OutcomeClass_OUTCOME_CLASS_FATAL || len(failure.Detail.BadRecords) != 1 ||
		failure.Error() != `some/file: bad record at byte 104: column "a": "x" is no BIGINT` {
		t.Errorf("got %v", failure)
	}
}

func TestManyRecordsInBatches(t *testing.T) {
	text := strings.Repeat("1\nx\n", 10_000)
	in := input(pb.Format_FORMAT_CSV, "a BIGINT", part("f", 0, text))
	got, bad, err := rows(t, in, nil)
	if got != strings.Repeat("1\n", 10_000) || len(bad) != 10_000 || err != nil {
		t.Errorf("%d good, %d bad, %v", len(got)/2, len(bad), err)
	}
	for _, err := range ToRecords(t.Context(), in, in.Parts[0], nil, func(*pb.BadRecord) error { return nil }) {
		if err != nil {
			t.Error(err)
		}
		break // no leak, and no second batch
	}
}

func TestTooLongNamesTheFile(t *testing.T) {
	for _, f := range []pb.Format{pb.Format_FORMAT_LINES, pb.Format_FORMAT_CSV, pb.Format_FORMAT_JSON} {
		in := input(f, "a VARCHAR", part("some/file", 5, "{}\n"+strings.Repeat("x", 3<<20)))
		_, _, err := rows(t, in, []*pb.Column{{Name: "a", Type: "VARCHAR"}})
		if err == nil || !strings.Contains(err.Error(), "some/file: the record at byte 8 is longer than 1048576 bytes") {
			t.Errorf("%v: got %v", f, err)
		}
	}
}

func FuzzToRecords(f *testing.F) {
	f.Add(`{"a":1,"b":[{"c":"}"}]}`, "1,2020-01-01,x")
	f.Add(`{"a" : "\u00e9\"" , "b":{}}`, "\"\n\",,")
	f.Fuzz(func(t *testing.T, json, csv string) {
		columns := "a BIGINT,b VARCHAR,c TIMESTAMP,d DECIMAL(9,3)"
		for _, in := range []processor.Input{
			input(pb.Format_FORMAT_JSON, columns, part("", 0, json)), input(pb.Format_FORMAT_CSV, columns, part("", 0, csv)),
			input(pb.Format_FORMAT_LINES, "", part("", 0, csv)),
		} {
			if _, _, err := rows(t, in, nil); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func textOf(t *testing.T, in processor.Input, want pb.Format, header bool) string {
	t.Helper()
	r, err := Text(t.Context(), in, want, header, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestText(t *testing.T) {
	csv := input(pb.Format_FORMAT_CSV, "a BIGINT,b c VARCHAR", part("f", 0, "1,\"x\"\n2,y"), part("g", 0, "3,z\n"))
	csv.Columns[1].Name = "b,c"
	lines := input(pb.Format_FORMAT_LINES, "", part("f", 0, "x\r\ny"), part("g", 3, "z\n"))
	arrows := input(pb.Format_FORMAT_ARROW, "", recordsPart(people(1, 3)), recordsPart(people(3, 4)))
	for _, c := range []struct {
		in     processor.Input
		want   pb.Format
		header bool
		text   string
	}{
		{csv, pb.Format_FORMAT_CSV, true, "a,\"b,c\"\n1,\"x\"\n2,y\n3,z\n"},
		{csv, pb.Format_FORMAT_CSV, false, "1,\"x\"\n2,y\n3,z\n"},
		{csv, pb.Format_FORMAT_LINES, true, "1,\"x\"\n2,y\n3,z\n"},
		{csv, pb.Format_FORMAT_JSON, false, "{\"a\":1,\"b,c\":\"x\"}\n{\"a\":2,\"b,c\":\"y\"}\n{\"a\":3,\"b,c\":\"z\"}\n"},
		{lines, pb.Format_FORMAT_LINES, false, "x\r\ny\nz\n"},
		{lines, pb.Format_FORMAT_CSV, true, "line,file,offset\nx,f,0\ny,f,3\nz,g,3\n"},
		{arrows, pb.Format_FORMAT_CSV, true, "name,n\nname 1,100\n,200\nname 3,300\n"},
		{arrows, pb.Format_FORMAT_JSON, true, "{\"name\":\"name 1\",\"n\":100}\n{\"name\":null,\"n\":200}\n{\"name\":\"name 3\",\"n\":300}\n"},
		{input(pb.Format_FORMAT_ARROW, "a BIGINT"), pb.Format_FORMAT_CSV, true, "a\n"},
	} {
		if got := textOf(t, c.in, c.want, c.header); got != c.text {
			t.Errorf("%v to %v: got %q, want %q", c.in.Format, c.want, got, c.text)
		}
	}
}

func recordsPart(batch arrow.RecordBatch) processor.Part {
	return processor.Part{Records: func(context.Context) processor.Records {
		return func(yield func(arrow.RecordBatch, error) bool) { yield(batch, nil) }
	}}
}

// output gathers what a step writes.
type output struct{ bytes.Buffer }

func (o *output) WriteRecords(arrow.RecordBatch) error { return errors.New("not bytes") }

func TestEncodeStep(t *testing.T) {
	arrows := input(pb.Format_FORMAT_ARROW, "name VARCHAR,n BIGINT", recordsPart(people(1, 3)))
	bare := func(f pb.Format, text string) processor.Input { return input(f, "", part("", 0, text)) }
	for _, c := range []struct {
		in   processor.Input
		step *pb.EncodeStep
		want string
		read int64
	}{
		{arrows, &pb.EncodeStep{Format: pb.Format_FORMAT_CSV, Header: true}, "name,n\nname 1,100\n,200\n", 2},
		{arrows, &pb.EncodeStep{Format: pb.Format_FORMAT_LINES}, "name 1\t100\n\t200\n", 2},
		{bare(pb.Format_FORMAT_LINES, "a\nb"), &pb.EncodeStep{Format: pb.Format_FORMAT_LINES}, "a\nb\n", 2},
		{bare(pb.Format_FORMAT_CSV, "1,\"x\ny\"\n"), &pb.EncodeStep{Format: pb.Format_FORMAT_CSV}, "1,\"x\ny\"\n", 1},
		{bare(pb.Format_FORMAT_CSV, "1,x\n"), &pb.EncodeStep{Format: pb.Format_FORMAT_CSV, Header: true}, "column0,column1\n1,x\n", 1},
		{bare(pb.Format_FORMAT_CSV, "1,x\n"), &pb.EncodeStep{Format: pb.Format_FORMAT_JSON}, "{\"column0\":\"1\",\"column1\":\"x\"}\n", 1},
		{bare(pb.Format_FORMAT_JSON, "{\"a\":1}\n{\"b\":[2],\"a\":2.5}\n"), &pb.EncodeStep{Format: pb.Format_FORMAT_CSV, Header: true}, "a,b\n1.0,\n2.5,[2]\n", 2},
		{bare(pb.Format_FORMAT_LINES, "a\n"), &pb.EncodeStep{Format: pb.Format_FORMAT_JSON}, "{\"line\":\"a\",\"file\":\"\",\"offset\":0}\n", 1},
	} {
		var out output
		var read int64
		a := &processor.Attempt{Read: func(records, _ int64) { read += records }}
		step := NewEncodeStep(c.step)
		if err := step.Run(t.Context(), a, c.in, &out); err != nil || out.String() != c.want || read != c.read {
			t.Errorf("%v: got %q, %d records, %v, want %q", c.step, out.String(), read, err, c.want)
		}
		if err := step.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestEncodeStepToArrow(t *testing.T) {
	var out output
	in := input(pb.Format_FORMAT_CSV, "a BIGINT", part("", 0, "1\n2\n"))
	if err := NewEncodeStep(&pb.EncodeStep{Format: pb.Format_FORMAT_ARROW}).Run(t.Context(), nil, in, &out); err != nil {
		t.Fatal(err)
	}
	r, err := ipc.NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if !r.Next() || r.RecordBatch().NumRows() != 2 || r.Schema().Field(0).Name != "a" {
		t.Errorf("got %v", r.Schema())
	}
}

func TestTypes(t *testing.T) {
	for _, name := range []string{"BOOLEAN", "TINYINT", "UBIGINT", "DOUBLE", "VARCHAR", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIME", "DECIMAL(10,2)"} {
		if got := TypeName(ArrowType(name)); got != name {
			t.Errorf("%s becomes %s", name, got)
		}
	}
	nested := arrow.StructOf(arrow.Field{Name: "a\"b", Type: arrow.ListOf(arrow.PrimitiveTypes.Int32)}, arrow.Field{Name: "m", Type: arrow.MapOf(arrow.BinaryTypes.String, arrow.BinaryTypes.Binary)})
	if got := TypeName(nested); got != `STRUCT("a""b" INTEGER[], "m" MAP(VARCHAR, BLOB))` {
		t.Errorf("got %s", got)
	}
}
