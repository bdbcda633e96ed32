//go:build unix

package main_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zstandard(t *testing.T, text string) string {
	t.Helper()
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true))
	if err != nil {
		t.Fatal(err)
	}
	return string(z.EncodeAll([]byte(text), nil))
}

// convert writes the records of a file into another of the format that its name
// says.
func (w *world) convert(from, to string) {
	w.Helper()
	format := to[strings.LastIndexByte(to, '.')+1:]
	out, err := os.Create(w.path(to))
	if err != nil {
		w.Fatal(err)
	}
	defer out.Close()
	cmd := w.command("run", "-q", "--sql", "SELECT * FROM input", "--output-format", format, from)
	cmd.Stdout = out
	w.done(w.finish(cmd), "")
}

// statistics is what --stats writes, as far as it is looked at.
type statistics struct {
	State           string           `json:"state"`
	RecordsIn       int64            `json:"records_in"`
	RecordsOut      int64            `json:"records_out"`
	RecordsSkipped  int64            `json:"records_skipped"`
	Retries         int64            `json:"retries"`
	PeakMemory      int64            `json:"peak_memory_bytes"`
	Counters        map[string]int64 `json:"counters"`
	Batches         int64            `json:"batches"`
	ProcessingSpeed float64          `json:"processing_speed_records_per_second"`
}

func (w *world) stats(name string) statistics {
	w.Helper()
	var s statistics
	if err := json.Unmarshal([]byte(w.read(name)), &s); err != nil {
		w.Fatal(err)
	}
	return s
}

// until reads to the end, and acts once a line holds some words. It returns all
// that it read.
func (w *world) until(in io.Reader, words string, act func()) string {
	w.Helper()
	var all strings.Builder
	acted := false
	for r := bufio.NewReader(in); ; {
		line, err := r.ReadString('\n')
		all.WriteString(line)
		if !acted && strings.Contains(line, words) {
			acted = true
			act()
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) {
				w.Error(err)
			}
			break
		}
	}
	if !acted {
		w.Errorf("%q was never said in:\n%s", words, all.String())
	}
	return all.String()
}
