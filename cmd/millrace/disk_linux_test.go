package main_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// small mounts a file system that is soon full.
func (w *world) small(name string, bytes int) string {
	w.Helper()
	path := w.path(name)
	if err := os.Mkdir(path, 0o755); err != nil {
		w.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		w.Skipf("SKIPPED: a small file system can't be mounted: %v", err)
	}
	w.Cleanup(func() {
		if left, err := os.ReadDir(path); err != nil || len(left) > 0 {
			w.Errorf("left on the full disk: %v %v", left, err)
		}
		if err := syscall.Unmount(path, 0); err != nil {
			w.Error(err)
		}
	})
	return path
}

const (
	diskBytes = 2 << 20
	muchText  = "yes | head -c 9000000"
)

func TestFullOutputFolder(t *testing.T) {
	for name, args := range map[string][]string{
		"files":     {"--shell", "--command", muchText},
		"one file":  {"--shell", "--command", muchText, "--single"},
		"JSON":      {"--shell", "--command", muchText, "--command-output", "csv", "--output-format", "json"},
		"Parquet":   {"--sql", "SELECT r, hash(r) AS h FROM input, range(1000000) t(r)", "--output-format", "parquet"},
		"many":      {"--sql", "SELECT r FROM input, range(1000000) t(r)", "--output-format", "csv", "--batches", "3"},
		"the mark":  {"--command", "head -c 2097152"},
		"overwrite": {"--shell", "--command", muchText, "--overwrite"},
	} {
		t.Run(name, func(t *testing.T) {
			if args[0] == "--sql" {
				needSQL(t)
			}
			w := parallel(t, map[string]string{"a.csv": "k,v\nx,1\ny,2\nz,3\n"})
			w.write("b.csv", "k,v\n"+strings.Repeat("x,1\n", 600_000))
			w.small("disk", diskBytes)
			got := w.run(append([]string{"run", "--output", "disk/out", "--retries", "1", "a.csv", "b.csv"}, args...)...)
			w.fails(got, "no space left on device", "disk/out")
		})
	}
}

func TestFullSpool(t *testing.T) {
	for name, args := range map[string][]string{
		"results": {"--shell", "--command", muchText},
		"a sort":  {"--max-memory", "64MiB", "--sql", "SELECT r, hash(r) AS h FROM input, range(4000000) t(r) ORDER BY h"},
		"stdin":   {"--command", "wc -c"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "a sort" {
				needSQL(t)
			}
			w := parallel(t, map[string]string{"a.csv": "k,v\nx,1\n"})
			w.env = []string{"TMPDIR=" + w.small("disk", diskBytes)}
			file := "a.csv"
			if name == "stdin" {
				file = "-"
			}
			cmd := w.command(append([]string{"run", "--retries", "1", file}, args...)...)
			if name == "stdin" {
				cmd.Stdin = strings.NewReader(strings.Repeat("x\n", 4<<20))
			}
			got := w.finish(cmd)
			got.stderr = strings.ToLower(got.stderr)
			w.fails(got, "no space left on device", "disk")
		})
	}
}
