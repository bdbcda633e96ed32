package sink_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
	"github.com/millrace/millrace/worker/roots"
	"github.com/millrace/millrace/worker/sink"
)

// planned is a sink with the marker that planning left, and its folder.
func planned(t *testing.T, overwrite bool) (*sink.Folder, string, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out")
	marker, err := marked(path, "", overwrite).Mark()
	if err != nil {
		t.Fatal(err)
	}
	return marked(path, marker, overwrite), path, marker
}

func marked(path, marker string, overwrite bool) *sink.Folder {
	files := &pb.FileSink{Folder: path, Overwrite: overwrite}
	return sink.In(nil, &pb.JobContext{
		JobId: "job", Spec: &pb.JobSpec{Sink: &pb.Sink{Files: files}},
		Plan: &pb.Plan{ResultFormat: pb.Format_FORMAT_CSV, SinkMarker: marker},
	})
}

func isGone(err error) bool { return is(err, pb.OutcomeClass_OUTCOME_CLASS_INPUT_GONE) }

func isUnable(err error) bool { return is(err, pb.OutcomeClass_OUTCOME_CLASS_UNABLE) }

func is(err error, class pb.OutcomeClass) bool {
	var failure *processor.Failure
	return errors.As(err, &failure) && failure.Class == class
}

func TestMarkerIsSeen(t *testing.T) {
	f, path, marker := planned(t, false)
	refs := []*pb.OutputRef{write(t, f, "0-1", "a\n")}
	if err := f.Check(); err != nil {
		t.Errorf("a job that is planned again: %v", err)
	}
	if again, err := marked(path, "", false).Mark(); err != nil || again != marker {
		t.Errorf("marked again: %q, %v; want %q", again, err, marker)
	}
	for range 2 { // the answer to the first commit was lost
		if err := f.Commit(refs); err != nil {
			t.Fatal(err)
		}
	}
	if got := visible(t, path); len(got) != 2 {
		t.Errorf("the folder holds %q", got)
	}
	if _, err := f.Begin(1, "w", "0-2"); !isUnable(err) {
		t.Errorf("an attempt after the commit: %v", err)
	}
}

// A worker that has another folder by the same name writes nothing there.
func TestMarkerIsNotSeen(t *testing.T) {
	for name, prepare := range map[string]func(path string){
		"no folder":            func(string) {},
		"a folder":             func(path string) { os.MkdirAll(path, 0o755) },
		"another marker":       func(path string) { marked(path, "", false).Mark() },
		"an old result":        func(path string) { os.MkdirAll(path, 0o755); os.WriteFile(path+"/_SUCCESS", nil, 0o644) },
		"an old, other result": func(path string) { os.MkdirAll(path, 0o755); os.WriteFile(path+"/part-00000.csv", nil, 0o644) },
	} {
		path := filepath.Join(t.TempDir(), "out")
		prepare(path)
		before := visible(t, path)
		f := marked(path, "what-was-planned", true)
		if _, err := f.Begin(1, "w", "0-1"); !isUnable(err) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "share") {
			t.Errorf("%s: begin: %v", name, err)
		}
		winner := []*pb.OutputRef{{Path: path + "/_millrace-job/0-1.csv", Bytes: 2}}
		if err := f.Commit(winner); !isGone(err) {
			t.Errorf("%s: commit: %v", name, err)
		}
		if after := visible(t, path); len(after) != len(before) {
			t.Errorf("%s: the folder holds %q", name, after)
		}
	}
}

func TestManyMarkAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	said := make([]string, 16)
	var all sync.WaitGroup
	for i := range said {
		all.Go(func() {
			marker, err := marked(path, "", false).Mark()
			if err != nil {
				t.Error(err)
			}
			said[i] = marker
		})
	}
	all.Wait()
	for _, s := range said {
		if s != said[0] || s == "" {
			t.Fatalf("the markers differ: %q", said)
		}
	}
	if err := marked(path, said[0], false).Discard(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there, with %q", visible(t, path))
	}
}

func TestFolderOutsideOfRoots(t *testing.T) {
	base := t.TempDir()
	if err := errors.Join(os.Mkdir(base+"/root", 0o755), os.Mkdir(base+"/far", 0o755), os.Symlink("../far", base+"/root/link")); err != nil {
		t.Fatal(err)
	}
	r, err := roots.Open([]string{base + "/root"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for folder, class := range map[string]pb.OutcomeClass{
		base + "/far/out":         pb.OutcomeClass_OUTCOME_CLASS_INPUT_GONE,
		base + "/root/link/out":   pb.OutcomeClass_OUTCOME_CLASS_INPUT_GONE,
		base + "/root/../far/out": pb.OutcomeClass_OUTCOME_CLASS_INPUT_GONE,
		"out":                     pb.OutcomeClass_OUTCOME_CLASS_FATAL,
	} {
		f := sink.In(r, &pb.JobContext{JobId: "job", Spec: &pb.JobSpec{Sink: &pb.Sink{Files: &pb.FileSink{Folder: folder}}}})
		_, marked := f.Mark()
		for what, err := range map[string]error{"check": f.Check(), "mark": marked} {
			var failure *processor.Failure
			if !errors.As(err, &failure) || failure.Class != class || !strings.Contains(err.Error(), folder) {
				t.Errorf("%s %s: %v", what, folder, err)
			}
		}
	}
	if got := visible(t, base+"/far"); len(got) > 0 {
		t.Errorf("outside lie %q", got)
	}
	f := sink.In(r, &pb.JobContext{JobId: "job", Spec: &pb.JobSpec{Sink: &pb.Sink{Files: &pb.FileSink{Folder: base + "/root/out"}}}})
	if _, err := f.Mark(); err != nil {
		t.Fatal(err)
	}
	refs := []*pb.OutputRef{write(t, f, "0-1", "a\n")}
	if err := f.Commit(refs); err != nil {
		t.Fatal(err)
	}
	if got := visible(t, base+"/root/out"); len(got) != 2 {
		t.Errorf("the folder holds %q", got)
	}
}
