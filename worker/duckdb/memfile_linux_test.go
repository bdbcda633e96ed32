//go:build cgo

package duckdb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMemFileOnDisk(t *testing.T) {
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	over := Overflow{MemoryBytes: 1 << 20, Path: filepath.Join(folder, "it's text"), MaxBytes: 8 << 20}
	mem, err := NewMemFile(over)
	if err != nil {
		t.Fatal(err)
	}
	db := openLocked(t, Options{AllowedPaths: mem.Paths()})
	for _, size := range []int{1000, 5 << 20, 3 << 20, 10, 2 << 20} {
		if err := mem.Reset(); err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat("123456789\n", size/10)
		if _, err := mem.ReadFrom(strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		if err := mem.Seal(); err != nil || string(mem.Bytes()) != text {
			t.Fatalf("the text is not what was put there: %v", err)
		}
		if onDisk := mem.Path() == over.Path; onDisk != (size > over.MemoryBytes) {
			t.Errorf("%d bytes lie in %s", size, mem.Path())
		}
		mem.Forget()
		rows, err := db.Rows(t.Context(), "SELECT count(*), sum(n)::BIGINT FROM read_csv("+QuoteString(mem.Path())+
			", auto_detect = false, columns = {'n': 'BIGINT'})")
		if want := fmt.Sprintf("%d %d", size/10, size/10*123456789); err != nil || strings.Join(rows[0], " ") != want {
			t.Errorf("%v, %v, want %s", rows, err, want)
		}
	}
	if err := mem.Reset(); err != nil {
		t.Fatal(err)
	}
	if _, err := mem.ReadFrom(strings.NewReader(strings.Repeat("x", 9<<20))); !errors.Is(err, ErrTooMuchText) {
		t.Errorf("more than may lie on disk: %v", err)
	}
	if err := mem.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("%v were left: %v", left, err)
	}
}
