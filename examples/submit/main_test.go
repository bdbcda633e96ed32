package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/api"
	"github.com/millrace/millrace/cmd/cli/embedded"
)

// client leads to a coordinator with a worker in this process.
func client(t *testing.T) *api.Client {
	t.Helper()
	cluster, err := embedded.Start(embedded.Config{Slots: 2, MemoryBytes: 256 << 20, Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	return cluster.Client
}

func TestCount(t *testing.T) {
	var out strings.Builder
	files := []string{filepath.Join("..", "wordcount", "mill.txt"), filepath.Join("..", "wordcount", "sluice.txt")}
	if err := count(t.Context(), client(t), files, &out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "12\n15\nwords: 2 batches\n" {
		t.Errorf("%q", got)
	}
}

func TestCountTellsWhyNot(t *testing.T) {
	var out strings.Builder
	err := count(t.Context(), client(t), []string{"no such file"}, &out)
	if err == nil || api.CodeOf(err) != api.Failed || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("%v", err)
	}
}

func TestRunNeedsACoordinator(t *testing.T) {
	err := run(context.Background(), "127.0.0.1:1", []string{"a"}, &strings.Builder{})
	if err == nil || api.CodeOf(err) != api.Unavailable {
		t.Errorf("%v", err)
	}
}
