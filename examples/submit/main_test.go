package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/api"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	files := []string{filepath.Join("..", "wordcount", "mill.txt"), filepath.Join("..", "wordcount", "sluice.txt")}
	if err := run(t.Context(), files, &out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "12\n15\nwords: 2 batches\n" {
		t.Errorf("%q", got)
	}
}

func TestRunTellsWhyNot(t *testing.T) {
	var out strings.Builder
	err := run(t.Context(), []string{"no such file"}, &out)
	if err == nil || api.CodeOf(err) != api.Failed || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("%v", err)
	}
}
