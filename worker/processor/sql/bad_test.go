//go:build cgo

package sql

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	pb "github.com/millrace/millrace/api/millracev1"
)

// badCase is text with bad records, told by what follows `<<` in their lines.
type badCase struct {
	name  string
	lines []string // a line that begins with "!" is bad; the mark is removed
	want  []string // reasons, in order, or parts of them
}

func (c badCase) text() (text string, offsets []int64) {
	for _, line := range c.lines {
		if rest, ok := strings.CutPrefix(line, "!"); ok {
			offsets = append(offsets, int64(len(text)))
			line = rest
		}
		text += line
	}
	return text, offsets
}

var badCSV = []badCase{
	{"wrong type", []string{"a,1\n", "!b,x\n", "c,3\n"}, []string{"Could not convert string \"x\""}},
	{"out of range", []string{"a,1\n", "!b,99999999999999999999\n"}, []string{"Could not convert"}},
	{"ragged", []string{"a,1\n", "!b,2,3\n", "!short\n", "c,3\n"}, []string{"Found: 3", "Found: 1"}},
	{"far too wide", []string{"a,1\n", "!" + strings.Repeat("b,", 30000) + "\n", "c,3\n"}, []string{"Found: 30001"}},
	{"open quote", []string{"a,1\n", "\"multi\nline\",2\n", "!\"open,3\n", "c,4\n", "d,5\n"}, []string{"no end"}},
	{"text after quote", []string{"!\"clo\"sed,1\n", "a,2\n"}, []string{"quote"}},
	{"invalid UTF-8", []string{"a,1\n", "!b\xff\xfe,2\n", "\n", "\n", "!\xff,3\n", "é,4\n"}, []string{"UTF-8", "UTF-8"}},
	{"carriage return", []string{"a,1\n", "!b\rc,2\n", "\"d\re\",3\n"}, []string{"carriage return"}},
	{"too long", []string{"a,1\n", "!" + strings.Repeat("x", 70000) + ",2\n", "b,3\n"}, []string{"longer than 65536"}},
	{"several of all", []string{"!a,x\n", "a,1\r\n", "!b\xff,2\n", "!\"q\"q,1\r\n", "c,2\n", "!d,\"9\n", "e,7\n", "!f,9,9\n"},
		[]string{"convert", "UTF-8", "quote", "no end", "Found: 3"}},
}

var badJSON = []badCase{
	{"syntax", []string{"{\"s\":\"a\",\"n\":1}\n", "!{\"s\":\"b\",\n", "{\"s\":\"c\",\"n\":3}\n"}, []string{"unexpected"}},
	{"wrong type", []string{"{\"n\":1}\n", "!{\"n\":\"x\"}\n", "!{\"n\":[1]}\n", "\n", "{\"n\":3}"}, []string{"\"x\"", "[1]"}},
	{"not an object", []string{"![1]\n", "{\"n\":1}\n", "!3\n"}, []string{"Expected OBJECT", "Expected OBJECT"}},
	{"two in a line", []string{"{\"n\":1}\n", "!{\"n\":1} {\"n\":2}\n", "{\"n\":2}\n"}, []string{"unexpected content"}},
	{"invalid UTF-8", []string{"{\"n\":1}\n", "!{\"n\":1,\"s\":\"\xff\"}\n"}, []string{"UTF-8"}},
	{"NUL", []string{"{\"n\":1}\n", "!{\"s\":\"a\x00b\"}\n"}, []string{"control character"}},
	{"too long", []string{"{\"n\":1}\n", "!{\"s\":\"" + strings.Repeat("x", 70000) + "\"}\n", "{\"n\":2}\n"}, []string{"longer than 65536"}},
}

func TestBadCSV(t *testing.T)  { testBad(t, badCSV, pb.Format_FORMAT_CSV) }
func TestBadJSON(t *testing.T) { testBad(t, badJSON, pb.Format_FORMAT_JSON) }

// testBad runs each case twice: over the text with its bad records, which must
// all be told with their places, and over the text without them, which must
// have the same answer.
func testBad(t *testing.T, cases []badCase, format pb.Format) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			text, offsets := c.text()
			in := csvInput(columns("s VARCHAR", "n BIGINT"), textPart("first", 7, "\n"), textPart("file", 1000, text))
			in.Format, in.MaxRecordBytes = format, 65536
			a := newAttempt(t)
			a.allowed = 100
			got, err := runQuery(t, a, "SELECT s, n FROM batch", in)
			good := slices.DeleteFunc(slices.Clone(c.lines), func(l string) bool { return strings.HasPrefix(l, "!") })
			in.Parts = in.Parts[1:]
			in.Parts[0] = textPart("good", 0, strings.Join(good, ""))
			clean := newAttempt(t)
			want, wantErr := runQuery(t, clean, "SELECT s, n FROM batch", in)
			if wantErr != nil {
				t.Fatalf("the good records: %v", wantErr)
			}
			wantRows(t, got, err, want...)
			checkBad(t, a.bad, offsets, c.want)
			if a.records != clean.records {
				t.Errorf("%d records were counted, want %d", a.records, clean.records)
			}
			a = newAttempt(t)
			in.Parts[0] = textPart("file", 0, text)
			if _, err := runQuery(t, a, "SELECT s, n FROM batch", in); err == nil || !strings.HasPrefix(err.Error(), "bad record in file at") {
				t.Errorf("where none may be left out: %v", err)
			}
		})
	}
}

func checkBad(t *testing.T, bad []*pb.BadRecord, offsets []int64, reasons []string) {
	t.Helper()
	if len(bad) != len(reasons) || len(offsets) != len(reasons) {
		t.Fatalf("%d bad records were told, want %d: %v", len(bad), len(reasons), bad)
	}
	for i, b := range bad {
		if b.File != "file" || b.Offset != 1000+offsets[i] || !strings.Contains(b.Reason, reasons[i]) {
			t.Errorf("bad record %v, want one at %d with %q", b, 1000+offsets[i], reasons[i])
		}
	}
}

func TestBadLine(t *testing.T) {
	a := newAttempt(t)
	a.allowed = 1
	rows, err := runQuery(t, a, "SELECT line FROM batch", linesInput(textPart("file", 1000, "a\nb\xff\nc")))
	wantRows(t, rows, err, "a", "c")
	checkBad(t, a.bad, []int64{2}, []string{"UTF-8"})
	if a.records != 2 {
		t.Errorf("%d records were counted, want 2", a.records)
	}
}

// A value that is not of the sniffed type far into a file is told with its
// place, and rows that went out before are not written again.
func TestBadFarIn(t *testing.T) {
	var text strings.Builder
	const rows, at = 300_000, 299_990
	offset := 0
	for i := range rows {
		if i == at {
			offset = text.Len()
			text.WriteString("oops,x\n")
			continue
		}
		fmt.Fprintf(&text, "k%d,%d\n", i, i)
	}
	a := newAttempt(t)
	a.allowed = 1
	got, err := runQuery(t, a, "SELECT n FROM batch", csvInput(columns("s VARCHAR", "n BIGINT"), textPart("file", 1000, text.String())))
	if err != nil || len(got) != rows-1 {
		t.Fatalf("%d rows, %v", len(got), err)
	}
	for i, row := range got {
		want := i
		if i >= at {
			want++
		}
		if row != fmt.Sprint(want) {
			t.Fatalf("row %d is %s, want %d", i, row, want)
		}
	}
	checkBad(t, a.bad, []int64{int64(offset)}, []string{"convert"})
}

// A query that does not look at a column does not care what is in it.
func TestBadColumnUnused(t *testing.T) {
	rows, err := runQuery(t, newAttempt(t), "SELECT s FROM batch", csvInput(columns("s VARCHAR", "n BIGINT"), textPart("f", 0, "a,x\nb,1\n")))
	wantRows(t, rows, err, "a", "b")
}

// A failure of the query itself blames no record.
func TestQueryFailsOnData(t *testing.T) {
	a := newAttempt(t)
	a.allowed = 10
	_, err := runQuery(t, a, "SELECT CAST(s AS INTEGER) FROM batch", csvInput(columns("s VARCHAR"), textPart("f", 0, "1\nx\n")))
	if err == nil || !strings.Contains(err.Error(), "Could not convert string 'x'") || len(a.bad) != 0 {
		t.Errorf("%v, bad %v", err, a.bad)
	}
}

// Random text with bad records has the answer of its good ones.
func TestBadRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	good := []string{"a,1\n", "\"x\ny\",2\n", "\"q\"\"q\",3\n", ",\n", "b,4\r\n", "5\" pipe,5\n", "\n"}
	bad := []string{"b,x\n", "a,b,c\n", "z\n", "\xff,1\n", "\"q\"z,1\n", "x\ry,1\n"}
	for range 12 {
		var all, clean strings.Builder
		n := 0
		for range 40 {
			if random.IntN(5) == 0 {
				all.WriteString(bad[random.IntN(len(bad))])
				n++
				continue
			}
			line := good[random.IntN(len(good))]
			all.WriteString(line)
			clean.WriteString(line)
		}
		a := newAttempt(t)
		a.allowed = 100
		cols := columns("s VARCHAR", "n BIGINT")
		got, err := runQuery(t, a, "SELECT s, n FROM batch", csvInput(cols, textPart("f", 0, all.String())))
		want, wantErr := runQuery(t, newAttempt(t), "SELECT s, n FROM batch", csvInput(cols, textPart("f", 0, clean.String())))
		if wantErr != nil {
			t.Fatalf("%q: %v", clean.String(), wantErr)
		}
		if err != nil || !slices.Equal(got, want) || len(a.bad) != n {
			t.Fatalf("%q:\n%q, want\n%q; %d bad, want %d; %v", all.String(), got, want, len(a.bad), n, err)
		}
	}
}
