package source

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/format"
)

// naive walks CSV text byte by byte, with no automaton: where records start,
// and whether a newline lies in quotes. It knows doubled quotes only.
func naive(text string, delimiter byte) (starts []int64, inside bool) {
	quoted, fieldStart, closed, space := false, true, false, true
	for i := 0; i < len(text); i++ {
		b := text[i]
		switch {
		case quoted && b == '"':
			quoted, closed = false, true
		case quoted:
			inside = inside || b == '\n'
		case b == '\n':
			starts = append(starts, int64(i)+1)
			fieldStart, closed, space = true, false, true
		case b == delimiter:
			fieldStart, closed, space = true, false, true
		case b == '"' && (fieldStart || closed):
			quoted, fieldStart, closed = true, false, false
		case b == ' ' && fieldStart && space:
			space = false // one space at a field's start, no more
		default:
			fieldStart = false
		}
	}
	return starts, inside
}

// awkward draws CSV text of which much is quotes, newlines and delimiters.
func awkward(r *rapid.T) string {
	return rapid.StringMatching(`((a|"|"|,|\n| |"x\ny"|,"|"\n|\r\n){0,60}\n?)`).Draw(r, "text")
}

// TestScanIsTheSameInPieces composes pieces of text in each state.
func TestScanIsTheSameInPieces(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		text := awkward(r)
		dialect := &pb.Csv{}
		if rapid.Bool().Draw(r, "backslash") {
			dialect.Escape = new(`\`)
			text = strings.ReplaceAll(text, "a", `\`)
		}
		checkPieces(r, text, dialect, rapid.IntRange(1, 20).Draw(r, "piece"))
	})
}

func checkPieces(t fataler, text string, dialect *pb.Csv, piece int) {
	x := &indexer{dialect: format.NewDialect(dialect)}
	for start := range format.State(format.States) {
		s, records, inside, first := start, 0, 0, -1
		for at := 0; at < len(text); at += piece {
			c := x.look([]byte(text[at:min(at+piece, len(text))]))[s]
			if first < 0 && c.First >= 0 {
				first = at + c.First
			}
			s, records, inside = c.End, records+c.Records, inside+c.Inside
		}
		got := format.Scanned{End: s, Records: records, First: first, Inside: inside}
		if want := bytewise(x.dialect, start, text); got != want {
			t.Fatalf("%q from state %d in pieces of %d: got %+v, want %+v", text, start, piece, got, want)
		}
	}
}

// bytewise is Scan without any leap.
func bytewise(d *format.Dialect, s format.State, text string) format.Scanned {
	r := format.Scanned{First: -1}
	for i := range len(text) {
		s = d.Step(s, text[i])
		if s == format.RecordStart {
			r.Records++
			if r.First < 0 {
				r.First = i + 1
			}
		} else if text[i] == '\n' {
			r.Inside++
		}
	}
	r.End = s
	return r
}

func FuzzScan(f *testing.F) {
	f.Add("a,\"b\nc\",d\n\"\"\"\n\",5\" pipe\n", uint8(3))
	f.Add("\"a\" \"b\nc\", \"d\ne\",  \"f\ng\n", uint8(1))
	f.Fuzz(func(t *testing.T, text string, piece uint8) {
		checkPieces(t, text, &pb.Csv{}, int(piece)+1)
		checkPieces(t, text, &pb.Csv{Escape: new(`\`)}, int(piece)+1)
		starts, inside := naive(text, ',')
		got := bytewise(format.NewDialect(nil), format.RecordStart, text)
		if got.Records != len(starts) || got.Inside > 0 != inside {
			t.Fatalf("%q: %+v, but %d records, inside %v", text, got, len(starts), inside)
		}
	})
}

// csvFile writes a CSV file that is several chunks long.
func csvFile(t *testing.T, seed uint64, quoted bool, size int) (path, text string) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	var b strings.Builder
	b.WriteString("id,text\n")
	for i := 0; b.Len() < size; i++ {
		switch {
		case quoted && rnd.IntN(3) == 0:
			fmt.Fprintf(&b, "%d,\"%s\n\"\"%s\"\n", i, strings.Repeat("q,", rnd.IntN(200)), strings.Repeat("\n", rnd.IntN(3)))
		case rnd.IntN(5) == 0:
			fmt.Fprintf(&b, "%d,5\" pipe\n", i)
		default:
			fmt.Fprintf(&b, "%d,%s\n", i, strings.Repeat("y", rnd.IntN(100)))
		}
	}
	return write(t, filepath.Join(t.TempDir(), "x.csv"), b.String()), b.String()
}

func TestIndexOfQuotedNewlines(t *testing.T) {
	for seed := range uint64(5) {
		path, text := csvFile(t, seed, true, 300_000)
		src := files(path)
		fragments, s := planned(t, src)
		if err := Index(t.Context(), fragments, IndexRequest{Format: s.Format, Csv: s.Csv}, Options{Threads: 2}); err != nil {
			t.Fatal(err)
		}
		f := fragments[0]
		starts, _ := naive(text, ',')
		if len(f.Cuts) < 60 || f.Whole {
			t.Fatalf("only %d cuts", len(f.Cuts))
		}
		got := ""
		from := int64(0)
		r := reader(src, s)
		for _, c := range append(f.Cuts, f.Extent) {
			if _, found := slices.BinarySearch(starts, c); !found && c != f.Extent || c <= from {
				t.Fatalf("%d is no start of a record", c)
			}
			piece, err := readPart(t, r.Parts([]*pb.Split{{From: from, To: c, Source: f}})[0])
			if err != nil {
				t.Fatal(err)
			}
			got += piece
			from = c
		}
		if got != body(text, true) {
			t.Fatal("the parts aren't the file")
		}
	}
}

func TestIndexWithoutQuotedNewlines(t *testing.T) {
	path, _ := csvFile(t, 1, false, 100_000)
	fragments, s := planned(t, files(path))
	if err := Index(t.Context(), fragments, IndexRequest{Format: s.Format, Csv: s.Csv}, Options{}); err != nil {
		t.Fatal(err)
	}
	if f := fragments[0]; len(f.Cuts) != 0 || f.Whole {
		t.Fatalf("a file that may be cut anywhere has %d cuts", len(f.Cuts))
	}
	if err := Index(t.Context(), fragments, IndexRequest{Format: s.Format, Csv: s.Csv, MinBytes: 1 << 20}, Options{}); err != nil {
		t.Fatal(err)
	}
	if !fragments[0].Whole {
		t.Fatal("a file that wasn't looked at may be cut")
	}
}

func TestIndexByRecords(t *testing.T) {
	for _, every := range []int64{1, 3, 10, 1000, 1 << 40} {
		path, text := csvFile(t, 3, true, 200_000)
		fragments, s := planned(t, files(path))
		if err := Index(t.Context(), fragments, IndexRequest{Format: s.Format, Csv: s.Csv, EveryRecords: every}, Options{Threads: 2}); err != nil {
			t.Fatal(err)
		}
		starts, _ := naive(text, ',')
		starts = starts[:len(starts)-1] // the last is the end
		var want []int64
		for i := every; i < int64(len(starts)); i += every {
			want = append(want, starts[i])
		}
		f := fragments[0]
		if !slices.Equal(f.Cuts, want) || f.Records != int64(len(starts)) || f.Whole != (len(want) == 0) {
			t.Errorf("every %d: %d cuts, %d records, want %d, %d", every, len(f.Cuts), f.Records, len(want), len(starts))
		}
	}
}

func TestIndexCountsLines(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "a": 1, "a\n": 1, "a\nb": 2, "\n": 1, "\ufeffa\nb\n": 2, "\ufeff": 0} {
		for _, compress := range []bool{false, true} {
			name, content := "x.txt", text
			if compress {
				name, content = "x.txt.gz", string(compressions[".gz"](text))
			}
			fragments, s := planned(t, files(write(t, filepath.Join(t.TempDir(), name), content)))
			if err := Index(t.Context(), fragments, IndexRequest{Format: s.Format, EveryRecords: 1}, Options{}); err != nil {
				t.Fatal(err)
			}
			if got := fragments[0].Records; got != want {
				t.Errorf("%q compressed %v: %d records, want %d", text, compress, got, want)
			}
		}
	}
}

func TestIndexOfRows(t *testing.T) {
	f := &pb.Fragment{Unit: pb.Unit_UNIT_RECORDS, Extent: 10}
	arrow := &pb.Fragment{Unit: pb.Unit_UNIT_ROWS, Extent: 20, Cuts: []int64{2, 4, 9, 11, 18}}
	if err := Index(t.Context(), []*pb.Fragment{f, arrow}, IndexRequest{EveryRecords: 4}, Options{}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.Cuts, []int64{4, 8}) || !slices.Equal(arrow.Cuts, []int64{4, 9, 18}) {
		t.Errorf("got %v, %v", f.Cuts, arrow.Cuts)
	}
}

func TestIndexOfAFileThatChanged(t *testing.T) {
	path, _ := csvFile(t, 1, true, 50_000)
	fragments, s := planned(t, files(path))
	if err := os.Truncate(path, 1000); err != nil {
		t.Fatal(err)
	}
	err := Index(t.Context(), fragments, IndexRequest{Format: s.Format, Csv: s.Csv}, Options{})
	if class(err) != pb.OutcomeClass_OUTCOME_CLASS_INPUT_GONE {
		t.Fatalf("got %v", err)
	}
}

func BenchmarkIndex(b *testing.B) {
	for _, c := range []struct{ name, line string }{
		{"plain", "12345,some text that is not quoted,67.5,and more\n"},
		{"quoted", "12345,\"some text, that is quoted\",67.5,\"and\nmore\"\n"},
	} {
		text := strings.Repeat(c.line, (64<<20)/len(c.line))
		path := write(b, filepath.Join(b.TempDir(), "x.csv"), text)
		fragments, s := planned(b, files(path))
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if err := Index(b.Context(), fragments, IndexRequest{Format: s.Format, Csv: s.Csv}, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
