package format

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	pb "github.com/millrace/millrace/api/millracev1"
)

func csvRecords(t *testing.T, in io.Reader, dialect *pb.Csv) (records [][]string, offsets []int64, bad []string) {
	t.Helper()
	c := NewCSV(in, NewDialect(dialect), 0, 1<<20)
	for c.Next() {
		var fields []string
		for _, f := range c.Fields() {
			fields = append(fields, string(f))
		}
		records = append(records, fields)
		offsets = append(offsets, c.Offset())
		if c.Bad() != "" {
			bad = append(bad, c.Bad())
		}
	}
	if c.Err() != nil {
		t.Fatal(c.Err())
	}
	return records, offsets, bad
}

// TestCSV holds what DuckDB makes of awkward records.
func TestCSV(t *testing.T) {
	for _, c := range []struct {
		text string
		want [][]string
	}{
		{"a,b,c\n1,2,3", [][]string{{"a", "b", "c"}, {"1", "2", "3"}}},
		{"a,b\r\n1,\"2\"\r\n", [][]string{{"a", "b"}, {"1", "2"}}},
		{"a,\"x\ny\"\n", [][]string{{"a", "x\ny"}}},
		{"a, \"x\ny\",b\n", [][]string{{"a", "x\ny", "b"}}},
		{" \"q\"  ,x\n \"\n\"", [][]string{{"q", "x"}, {"\n"}}},
		{"  \"q\",x\n", [][]string{{"  \"q\"", "x"}}},
		{"a,  \"x\n", [][]string{{"a", "  \"x"}}},
		{"\"a\" ,b\n", [][]string{{"a", "b"}}},
		{"5\" pipe,\"x\",z\n", [][]string{{"5\" pipe", "x", "z"}}},
		{"\"\"\"x\"\"\",e\n", [][]string{{"\"x\"", "e"}}},
		{"a,\"b\r\nc\",d\r\n", [][]string{{"a", "b\r\nc", "d"}}},
		{"\"a\" \"b\nc\",d\n", [][]string{{"a b\nc", "d"}}},
		{"\"x\"\"y\" \"\nz\",1\n", [][]string{{"x\"y \nz", "1"}}},
		{"a,\"\",\n", [][]string{{"a", "", ""}}},
		{"a\n\nb\n", [][]string{{"a"}, {""}, {"b"}}},
		{",\n", [][]string{{"", ""}}},
		{"", nil},
	} {
		for _, in := range []io.Reader{strings.NewReader(c.text), iotest.OneByteReader(strings.NewReader(c.text))} {
			if got, _, bad := csvRecords(t, in, nil); !reflect.DeepEqual(got, c.want) || bad != nil {
				t.Errorf("%q: got %q %q, want %q", c.text, got, bad, c.want)
			}
		}
	}
}

func TestCSVWithBackslashes(t *testing.T) {
	got, _, bad := csvRecords(t, strings.NewReader("a,\"say \\\"x, y\\\" \\\\ \"\n"), &pb.Csv{Escape: new(`\`)})
	if want := [][]string{{"a", `say "x, y" \ `}}; !reflect.DeepEqual(got, want) || bad != nil {
		t.Errorf("got %q %q", got, bad)
	}
}

func TestCSVOffsets(t *testing.T) {
	_, offsets, _ := csvRecords(t, iotest.HalfReader(strings.NewReader("a\n\"x\ny\",1\r\nlast")), nil)
	if want := []int64{0, 2, 11}; !reflect.DeepEqual(offsets, want) {
		t.Errorf("got %v, want %v", offsets, want)
	}
}

func TestBadCSV(t *testing.T) {
	for text, want := range map[string]string{
		"a\n\"open\nmore\nend": "a quote is never closed",
		"\"a\"x,b\n":           "there is text behind a closing quote",
	} {
		if _, _, bad := csvRecords(t, strings.NewReader(text), nil); len(bad) != 1 || bad[0] != want {
			t.Errorf("%q: got %q", text, bad)
		}
	}
}

func TestTooLong(t *testing.T) {
	text := "short\n" + strings.Repeat("x", 300_000) + "\n"
	l := NewLines(strings.NewReader(text), 100, 1000)
	c := NewCSV(strings.NewReader(text), NewDialect(nil), 100, 1000)
	for what, r := range map[string]interface {
		Next() bool
		Err() error
	}{"lines": l, "csv": c} {
		var long *TooLong
		if !r.Next() || r.Next() || !errors.As(r.Err(), &long) || long.Offset != 106 || long.Limit != 1000 {
			t.Errorf("%s: got %v", what, r.Err())
		}
	}
}

func TestLines(t *testing.T) {
	for text, want := range map[string][]string{
		"": nil, "a": {"a"}, "a\n": {"a"}, "\n": {""}, "a\r\n\r\nb": {"a", "", "b"}, "\ra\n": {"\ra"}, "a\n\nb\n": {"a", "", "b"},
	} {
		for _, in := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.DataErrReader(strings.NewReader(text))} {
			l := NewLines(in, 0, 100)
			var got []string
			for l.Next() {
				got = append(got, string(l.Bytes()))
				if !strings.HasPrefix(text[l.Offset():], string(l.Bytes())) {
					t.Errorf("%q: %q doesn't lie at %d", text, l.Bytes(), l.Offset())
				}
			}
			if !reflect.DeepEqual(got, want) || l.Err() != nil {
				t.Errorf("%q: got %q, %v", text, got, l.Err())
			}
		}
	}
	broken := NewLines(iotest.TimeoutReader(strings.NewReader("a\nb\n")), 0, 100)
	for broken.Next() {
	}
	if broken.Err() != iotest.ErrTimeout {
		t.Errorf("got %v", broken.Err())
	}
}

func TestLongLinesGrowTheBuffer(t *testing.T) {
	want := strings.Repeat("long", 200_000)
	l := NewLines(strings.NewReader("a\n"+want+"\nb\n"), 0, 1<<20)
	var got []string
	for l.Next() {
		got = append(got, string(l.Bytes()))
	}
	if len(got) != 3 || got[1] != want || l.Err() != nil {
		t.Errorf("%d lines, %v", len(got), l.Err())
	}
}

// FuzzCSV compares with the standard library's reader, where that is strict
// and accepts the text.
func FuzzCSV(f *testing.F) {
	f.Add("a,b\n\"c\"\"d\",\"e\nf\"\n")
	f.Add("x,\"\"\r\n\"\n")
	f.Add("a, \"b\nc\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := NewCSV(strings.NewReader(text), NewDialect(nil), 0, 1<<20)
		var all []byte
		var got [][]string
		bad := false
		for c.Next() {
			all = append(all, c.Raw()...)
			bad = bad || c.Bad() != ""
			if c.Empty() {
				continue
			}
			var fields []string
			for _, f := range c.Fields() {
				fields = append(fields, string(f))
			}
			got = append(got, fields)
		}
		if string(all) != text || c.Err() != nil {
			t.Fatalf("the records of %q are %q, %v", text, all, c.Err())
		}
		std := csv.NewReader(strings.NewReader(text))
		std.FieldsPerRecord = -1
		want, err := std.ReadAll()
		if err != nil || strings.Contains(text, "\r") {
			return
		}
		if bad || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %q bad %v, want %q", text, got, bad, want)
		}
	})
}

func BenchmarkLines(b *testing.B) {
	text := bytes.Repeat([]byte("a line of some forty letters, no more..\n"), 100_000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		l := NewLines(bytes.NewReader(text), 0, 1000)
		for l.Next() {
		}
	}
}
