package source

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// write makes a file below a test's folder.
func write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// planned lists and sniffs a source as a planner does.
func planned(t testing.TB, src *pb.Source) ([]*pb.Fragment, *Sniffed) {
	t.Helper()
	fragments, s, err := plan(t, src)
	if err != nil {
		t.Fatal(err)
	}
	return fragments, s
}

func plan(t testing.TB, src *pb.Source) ([]*pb.Fragment, *Sniffed, error) {
	t.Helper()
	fragments, err := List(t.Context(), src, Options{})
	if err != nil {
		return nil, nil, err
	}
	s, err := Sniff(t.Context(), src, fragments, Options{})
	return fragments, s, err
}

func files(paths ...string) *pb.Source { return &pb.Source{Files: paths} }

func reader(src *pb.Source, s *Sniffed) *Reader {
	return NewReader(src, &pb.Plan{Format: s.Format, Csv: s.Csv, Columns: s.Columns}, Options{})
}

// wholes are splits of whole fragments.
func wholes(fragments []*pb.Fragment) []*pb.Split {
	var splits []*pb.Split
	for i, f := range fragments {
		splits = append(splits, &pb.Split{Fragment: uint32(i), To: f.Extent, Source: f})
	}
	return splits
}

// readPart reads the text of a part.
func readPart(t testing.TB, p processor.Part) (string, error) {
	t.Helper()
	in, err := p.Open(t.Context())
	if err != nil {
		return "", err
	}
	defer in.Close()
	b, err := io.ReadAll(in)
	return string(b), err
}

// class is the class of a failure; unspecified when err is none.
func class(err error) pb.OutcomeClass {
	var f *processor.Failure
	if errors.As(err, &f) {
		return f.Class
	}
	return pb.OutcomeClass_OUTCOME_CLASS_UNSPECIFIED
}
