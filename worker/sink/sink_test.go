package sink_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
	"github.com/millrace/millrace/worker/sink"
)

// in is a sink of files without a marker.
func in(files *pb.FileSink) *sink.Folder {
	return sink.In(nil, &pb.JobContext{JobId: "job", Spec: &pb.JobSpec{Sink: &pb.Sink{Files: files}}, Plan: &pb.Plan{ResultFormat: pb.Format_FORMAT_CSV}})
}

func checkEmpty(files *pb.FileSink) error { return in(files).Check() }

func folder(t *testing.T, overwrite bool) (*sink.Folder, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out")
	return in(&pb.FileSink{Folder: path, Overwrite: overwrite}), path
}

func write(t *testing.T, f *sink.Folder, attempt, text string) *pb.OutputRef {
	t.Helper()
	w, err := f.Begin(1, "w", attempt)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	ref, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func visible(t *testing.T, path string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, _ := os.ReadDir(path)
	for _, entry := range entries {
		data, _ := os.ReadFile(filepath.Join(path, entry.Name()))
		files[entry.Name()] = string(data)
	}
	return files
}

func TestCommitShowsOnlyWinners(t *testing.T) {
	f, path := folder(t, false)
	write(t, f, "0-1", "lost\n")
	first, second := write(t, f, "0-2", "a\n"), write(t, f, "7-1", "b\nc")
	for name := range visible(t, path) {
		if filepath.Ext(name) == ".csv" || name == sink.SuccessMark {
			t.Errorf("%s is visible before the commit", name)
		}
	}
	if err := f.Commit([]*pb.OutputRef{first, second}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"part-00000.csv": "a\n", "part-00001.csv": "b\nc", sink.SuccessMark: ""}
	if got := visible(t, path); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("folder = %q, want %q", got, want)
	}
}

// A commit that stopped after any number of its moves ends right when done again.
func TestCommitAgain(t *testing.T) {
	for moved := range 3 {
		f, path := folder(t, true)
		os.MkdirAll(path, 0o755)
		os.WriteFile(filepath.Join(path, "old.txt"), []byte("old"), 0o644)
		refs := []*pb.OutputRef{write(t, f, "0-1", "a\n"), write(t, f, "1-1", "b\n")}
		for i, ref := range refs[:moved] {
			if err := os.Rename(ref.GetPath(), filepath.Join(path, fmt.Sprintf("part-%05d.csv", i))); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := f.Commit(refs); err != nil {
				t.Fatalf("after %d moves: %v", moved, err)
			}
		}
		want := map[string]string{"part-00000.csv": "a\n", "part-00001.csv": "b\n", sink.SuccessMark: ""}
		if got := visible(t, path); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("after %d moves: folder = %q, want %q", moved, got, want)
		}
	}
}

func TestCommitSaysWhatIsGone(t *testing.T) {
	f, _ := folder(t, false)
	ref := write(t, f, "0-1", "a\n")
	os.Remove(ref.GetPath())
	var failure *processor.Failure
	if err := f.Commit([]*pb.OutputRef{ref}); !errors.As(err, &failure) ||
		failure.Class != pb.OutcomeClass_OUTCOME_CLASS_INPUT_GONE {
		t.Errorf("commit of a lost file = %v, want INPUT_GONE", err)
	}
}

func TestEmptyOutputMakesNoFile(t *testing.T) {
	f, path := folder(t, false)
	w, err := f.Begin(1, "w", "0-1")
	if err != nil {
		t.Fatal(err)
	}
	if ref, err := w.Finish(); ref != nil || err != nil {
		t.Fatalf("Finish = %v, %v; want nothing", ref, err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("the folder was made for nothing")
	}
}

func TestDiscardLeavesNothing(t *testing.T) {
	f, path := folder(t, false)
	write(t, f, "0-1", "a\n")
	if err := f.Discard(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("the folder that the job made is still there")
	}
}

func TestCheckEmpty(t *testing.T) {
	dir := t.TempDir()
	if err := checkEmpty(&pb.FileSink{Folder: filepath.Join(dir, "none")}); err != nil {
		t.Errorf("a folder that is not there: %v", err)
	}
	os.WriteFile(filepath.Join(dir, "x"), nil, 0o644)
	if err := checkEmpty(&pb.FileSink{Folder: dir}); err == nil {
		t.Error("a folder with a file was taken")
	}
	if err := checkEmpty(&pb.FileSink{Folder: dir, Overwrite: true}); err != nil {
		t.Errorf("overwrite: %v", err)
	}
}

func TestDiscardTouchesNothingOfTheUsers(t *testing.T) {
	dir := t.TempDir()
	file, empty := filepath.Join(dir, "file"), filepath.Join(dir, "empty")
	if err := errors.Join(os.WriteFile(file, []byte("dear"), 0o644), os.Mkdir(empty, 0o755)); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(empty, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, empty, link} {
		f := in(&pb.FileSink{Folder: path})
		if err := f.Discard(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if path != file {
			write(t, f, "0-1", "a\n")
			if err := f.Discard(); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("%s was removed", path)
		}
	}
}

func TestCheckFolderThatIsAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, overwrite := range []bool{false, true} {
		if err := checkEmpty(&pb.FileSink{Folder: file, Overwrite: overwrite}); err == nil {
			t.Errorf("overwrite %t: a file was taken for a folder", overwrite)
		}
	}
}

func TestCheckInputs(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "in"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("in", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	input := []*pb.Fragment{{Path: filepath.Join(dir, "in", "a.csv")}}
	for folder, fine := range map[string]bool{"in": false, "link": false, ".": false, "i": true, "in/b": true} {
		err := in(&pb.FileSink{Folder: filepath.Join(dir, folder), Overwrite: true}).CheckInputs(input)
		if (err == nil) != fine {
			t.Errorf("%s: %v", folder, err)
		}
	}
}
