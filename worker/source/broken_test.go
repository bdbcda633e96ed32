package source

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	pb "github.com/millrace/millrace/api/millracev1"
)

// A file that is not what its name says is told by its name.
func TestContentBesideItsCompression(t *testing.T) {
	for _, ending := range []string{".gz", ".zst", ".bz2"} {
		path := write(t, filepath.Join(t.TempDir(), "x.csv"+ending), "no compressed data\n")
		_, _, err := plan(t, files(path))
		if class(err) != pb.OutcomeClass_OUTCOME_CLASS_FATAL || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "after 0 bytes") {
			t.Errorf("%s: got %v", ending, err)
		}
	}
}

func TestUTF16WithoutAMark(t *testing.T) {
	for _, text := range []string{"\x00k\x00,\x00v\x00\n\x00x\x00,\x001\x00\n", "k\x00,\x00v\x00\n\x00x\x00,\x001\x00\n\x00"} {
		path := write(t, filepath.Join(t.TempDir(), "x.csv"), text)
		_, _, err := plan(t, files(path))
		if class(err) != pb.OutcomeClass_OUTCOME_CLASS_FATAL || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "UTF-16") {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

// Names travel in messages that hold text only.
func TestNamesThatAreNoText(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "bad\xff.txt"), "x\n")
	for _, entry := range []string{dir, filepath.Join(dir, "*")} {
		_, err := listed(t, entry)
		var p *Problem
		if !errors.As(err, &p) || p.Kind != Unsupported || !strings.Contains(err.Error(), `bad\xff.txt`) {
			t.Errorf("%s: got %v", entry, err)
		}
	}
}

// Arrow data whose offsets lie would be read out of its bounds.
func TestArrowOffsetsOutOfBounds(t *testing.T) {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues([]string{"MARKER", "b", "c"}, nil)
	column := b.NewArray()
	defer column.Release()
	schema := arrow.NewSchema([]arrow.Field{{Name: "s", Type: arrow.BinaryTypes.String}}, nil)
	batch := array.NewRecordBatch(schema, []arrow.Array{column}, 3)
	defer batch.Release()
	var buf bytes.Buffer
	w := ipc.NewWriter(&buf, ipc.WithSchema(schema))
	if err := errors.Join(w.Write(batch), w.Close()); err != nil {
		t.Fatal(err)
	}
	data := buf.Bytes()
	offsets := bytes.Index(data, []byte("\x00\x00\x00\x00\x06\x00\x00\x00\x07\x00\x00\x00\x08\x00\x00\x00"))
	data[offsets+4] = 0xff
	path := write(t, filepath.Join(t.TempDir(), "x.arrows"), string(data))
	fragments, s := planned(t, files(path))
	var last error
	for _, err := range reader(files(path), s).Parts(wholes(fragments))[0].Records(t.Context()) {
		last = err
	}
	if class(last) != pb.OutcomeClass_OUTCOME_CLASS_FATAL || !strings.Contains(last.Error(), path) {
		t.Errorf("got %v", last)
	}
}
