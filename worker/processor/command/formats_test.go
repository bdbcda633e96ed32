package command

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	pb "github.com/millrace/millrace/api/millracev1"
)

const orders = "id,text\n1,\"two\nlines\"\n2,b\n"

func rfc4180(header bool) *pb.Csv {
	delimiter, quote := ",", `"`
	return &pb.Csv{Delimiter: &delimiter, Quote: &quote, Escape: &quote, Header: &header}
}

func TestCSVHasItsHeaderInEveryBatch(t *testing.T) {
	whole := inFile(t, "a.csv", orders, pb.Format_FORMAT_CSV, rfc4180(true))
	a := newAttempt(t)
	var out sink
	if err := step(t, nil, "cat").Run(t.Context(), &a.Attempt, whole, &out); err != nil || out.String() != orders {
		t.Errorf("a whole file: %q, %v", out.String(), err)
	}
	if a.records != 2 {
		t.Errorf("a whole file has %d records, want 2", a.records)
	}
	// A part of a file, as a pipe brings it.
	part := inFile(t, "a.csv", orders, pb.Format_FORMAT_CSV, rfc4180(true))
	part.Parts[0].Whole = false
	a, out = newAttempt(t), sink{}
	if err := step(t, nil, "cat").Run(t.Context(), &a.Attempt, part, &out); err != nil || out.String() != orders {
		t.Errorf("a part of a file: %q, %v", out.String(), err)
	}
	if a.records != 2 {
		t.Errorf("a part of a file has %d records, want 2", a.records)
	}
}

func TestCSVWithoutHeaderHasNone(t *testing.T) {
	in := inFile(t, "a.csv", "1,a\n2,b\n", pb.Format_FORMAT_CSV, rfc4180(false))
	if got, err := run(t, step(t, nil, "cat"), in); err != nil || got != "1,a\n2,b\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestCompressedInputArrivesDecompressed(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte("a\nb\n")); err != nil {
		t.Fatal(err)
	}
	w.Close()
	for _, name := range []string{"a.txt.gz", "no-suffix"} {
		in := inFile(t, name, packed.String(), pb.Format_FORMAT_LINES, nil)
		if got, err := run(t, step(t, nil, "cat"), in); err != nil || got != "a\nb\n" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestRecordsArriveAsText(t *testing.T) {
	got, err := run(t, step(t, nil, "cat"), strs("a", "b,c"))
	if err != nil || got != "line\na\n\"b,c\"\n" {
		t.Errorf("as CSV: %q, %v", got, err)
	}
	got, err = run(t, step(t, &pb.CommandOptions{InputFormat: pb.Format_FORMAT_JSON}, "cat"), strs("a"))
	if err != nil || strings.ReplaceAll(got, " ", "") != `{"line":"a"}`+"\n" {
		t.Errorf("as JSON: %q, %v", got, err)
	}
}

func TestTextArrivesAsRecords(t *testing.T) {
	s := step(t, &pb.CommandOptions{InputFormat: pb.Format_FORMAT_ARROW, OutputFormat: pb.Format_FORMAT_ARROW}, "cat")
	var out sink
	in := inFile(t, "a.txt", "x\ny\n", pb.Format_FORMAT_LINES, nil)
	if err := s.Run(t.Context(), &newAttempt(t).Attempt, in, &out); err != nil {
		t.Fatal(err)
	}
	if len(out.records) != 2 || !strings.HasPrefix(out.records[1], "y|") {
		t.Errorf("got %q", out.records)
	}
}
