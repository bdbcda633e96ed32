package source

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pb "github.com/millrace/millrace/api/millracev1"
)

// checkPages plans a file and checks the pages of all its splits.
func checkPages(t *testing.T, path string) error {
	t.Helper()
	fragments, _, err := plan(t, files(path))
	if err != nil {
		return err
	}
	var pages Pages
	for _, s := range wholes(fragments) {
		if err := pages.Check(t.Context(), s, Options{}); err != nil {
			return err
		}
	}
	return nil
}

func TestChecksumsOfPages(t *testing.T) {
	paths, err := filepath.Glob("../../../shared/data/parquet/*.parquet")
	if err != nil || len(paths) == 0 {
		t.Skip("SKIPPED: there is no shared data")
	}
	for _, path := range paths {
		err := checkPages(t, path)
		if broken := strings.Contains(path, "corrupt"); !broken && err != nil {
			t.Errorf("%s: %v", path, err)
		} else if broken && (class(err) != pb.OutcomeClass_OUTCOME_CLASS_FATAL ||
			!strings.Contains(err.Error(), filepath.Base(path)) || !strings.Contains(err.Error(), `"a" at byte`)) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A row group that several batches share is read for the first of them only.
func TestPagesAreCheckedOnce(t *testing.T) {
	data, err := os.ReadFile("testdata/checksums.parquet") // of four rows in one group, as pyarrow writes it
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, filepath.Join(t.TempDir(), "n.parquet"), string(data))
	fragments, _ := planned(t, files(path))
	first := &pb.Split{To: 2, Source: fragments[0]}
	second := &pb.Split{From: 2, To: 4, Source: fragments[0]}
	var pages Pages
	if err := pages.Check(t.Context(), first, Options{}); err != nil {
		t.Fatal(err)
	}
	damage(t, path, bytes.Index(data, []byte{3, 0, 0, 0, 0, 0, 0, 0}))
	if err := pages.Check(t.Context(), second, Options{}); err != nil {
		t.Errorf("it was read again: %v", err)
	}
	var fresh Pages
	for range 2 { // what is damaged is not taken for whole later
		err := fresh.Check(t.Context(), second, Options{})
		if class(err) != pb.OutcomeClass_OUTCOME_CLASS_FATAL || !strings.Contains(err.Error(), `"n" at byte`) {
			t.Errorf("damaged: %v", err)
		}
	}
}

// damage changes a byte of a file behind its owner's back.
func damage(t *testing.T, path string, at int) {
	t.Helper()
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[at] ^= 1
	write(t, path, string(data))
	if err := os.Chtimes(path, before.ModTime(), before.ModTime()); err != nil {
		t.Fatal(err)
	}
}

// page is a page with its header, and its checksum where it has one.
func page(data string, checksum bool) []byte {
	field := func(id byte, v int64) []byte { return binary.AppendVarint([]byte{id<<4 | 5}, v) }
	h := slices.Concat(field(1, 0), field(1, int64(len(data))), field(1, int64(len(data))))
	if checksum {
		h = append(h, field(1, int64(int32(crc32.ChecksumIEEE([]byte(data)))))...)
	}
	statistics := []byte{0x18, 3, 'm', 'a', 'x', 0x19, 0x25, 2, 4, 0x11, 0x17, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	return slices.Concat(h, []byte{0x1c}, statistics, []byte{0}, []byte(data))
}

func TestDamagedPages(t *testing.T) {
	first, second := page(strings.Repeat("first", 1000), true), page("second", true)
	chain := slices.Concat(first, second, page("third", false))
	check := func(chain []byte) error { return checkChain(bytes.NewReader(chain), 4, "x") }
	if err := check(chain); err != nil {
		t.Errorf("whole: %v", err)
	}
	for at, want := range map[int]int64{100: 4, len(first) - 1: 4, len(first) + len(second) - 1: 4 + int64(len(first))} {
		damaged := bytes.Clone(chain)
		damaged[at] ^= 1
		var broken *brokenPage
		if err := check(damaged); !errors.As(err, &broken) || broken.at != want {
			t.Errorf("byte %d: got %v, want the page at %d", at, err, want)
		}
	}
	for _, n := range []int{1, 5, 100, len(chain) - 1} {
		if err := check(chain[:n]); err == nil {
			t.Errorf("cut off after %d bytes: no error", n)
		}
	}
}

func FuzzPageHeader(f *testing.F) {
	f.Add([]byte{0x15, 0x00, 0x15, 0x80, 0x01, 0x15, 0x80, 0x01, 0x15, 0x0a, 0x00, 1, 2})
	f.Add([]byte{0x1c, 0x1c, 0x19, 0x5c, 0x00, 0x00, 0x00, 0x00})
	f.Add([]byte{0x18, 0xff, 0xff, 0xff, 0xff, 0x0f, 'x'})
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := readPageHeader(bufio.NewReader(bytes.NewReader(data)))
		if err == nil && h.size < 0 {
			t.Errorf("a size of %d", h.size)
		}
	})
}
