package ledger_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txt with what the ledger does now")

// TestGolden acts out the scripts in testdata: lines that begin with a time
// are what happens, lines that begin with > are what the ledger does about it.
func TestGolden(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := act(t, string(want))
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			} else if !bytes.Equal(got, want) {
				t.Errorf("the ledger behaves otherwise than %s says; see the difference after go test -update. Now:\n%s", path, got)
			}
		})
	}
}

// act plays a script, and returns it with what the ledger does.
func act(t *testing.T, script string) []byte {
	p := newPlay(t)
	var out bytes.Buffer
	for line := range strings.Lines(script) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, ">") {
			continue
		}
		out.WriteString(line + "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		for _, said := range p.play(line) {
			out.WriteString(">  " + said + "\n")
		}
	}
	return out.Bytes()
}
