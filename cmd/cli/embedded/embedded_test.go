package embedded

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor/function"
)

func TestFolderLeavesNothingBehind(t *testing.T) {
	parent := t.TempDir()
	folder, err := MakeFolder(parent)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder.Path, "x"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := folder.Remove(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(parent); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFolderRemovesWhatTheDeadLeft(t *testing.T) {
	parent := t.TempDir()
	living, err := MakeFolder(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer living.Remove()
	dead := filepath.Join(parent, livePrefix+"dead")
	if err := os.MkdirAll(filepath.Join(dead, "spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(parent, newPrefix+"fresh") // another process is about to lock it
	if err := os.Mkdir(fresh, 0o700); err != nil {
		t.Fatal(err)
	}
	folder, err := MakeFolder(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Remove()
	for path, want := range map[string]bool{dead: false, fresh: true, living.Path: true, folder.Path: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: there %v, want %v", path, err == nil, want)
		}
	}
}

func TestGroupMemoryIsWhatTheTightestGroupLeaves(t *testing.T) {
	root := t.TempDir()
	inner := filepath.Join(root, "a", "b")
	if err := os.MkdirAll(inner, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		filepath.Join(root, "self"): "0::/a/b\n",
		inner + "/memory.max":       "max\n", inner + "/memory.current": "5\n",
		root + "/a/memory.max": "1000\n", root + "/a/memory.current": "400\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := groupMemory(filepath.Join(root, "self"), root); got != 600 {
		t.Errorf("%d bytes, want 600", got)
	}
}

func TestDefaultMemoryIsBounded(t *testing.T) {
	if m := DefaultMemory(); m < minDefaultMemory || m > maxDefaultMemory {
		t.Errorf("%d bytes", m)
	}
}

func TestClusterRunsAJobAndEnds(t *testing.T) {
	functions, err := function.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := Start(Config{Slots: 2, MemoryBytes: minDefaultMemory, Folder: t.TempDir(), Functions: functions})
	if err != nil {
		t.Fatal(err)
	}
	job, err := cluster.Client.Submit(t.Context(), &pb.JobSpec{
		Source: &pb.Source{Range: &pb.IntegerRange{To: 10}},
		Stages: []*pb.Stage{{Processor: &pb.Stage_Command{Command: "cat"}}},
		Batch:  &pb.Batching{Batches: 2},
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	result, err := cluster.Client.Result(t.Context(), job.GetId())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(result); err != nil || string(got) != "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n" {
		t.Errorf("%q, %v", got, err)
	}
	if err := cluster.Close(); err != nil {
		t.Error(err)
	}
	if !errors.Is(context.Cause(cluster.Alive()), errClosed) {
		t.Errorf("ended by %v", context.Cause(cluster.Alive()))
	}
	if _, err := cluster.Client.Get(t.Context(), job.GetId()); err == nil {
		t.Error("it answers still")
	}
}

func TestWrongConfigIsRefused(t *testing.T) {
	if _, err := Start(Config{Slots: 0, Folder: t.TempDir()}); err == nil {
		t.Error("no slots, no memory, and no error")
	}
}
