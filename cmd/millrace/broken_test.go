//go:build unix

package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// damage is a way to break a file.
type damage struct {
	name string
	do   func(data string) string
}

var (
	cutOff  = damage{"cut off", func(d string) string { return d[:len(d)/2] }}
	startOf = damage{"only its start", func(d string) string { return d[:7] }}
	flipped = damage{"damaged", func(d string) string {
		b := []byte(d)
		for i := range 200 {
			b[len(b)/2+i] ^= 0x5a
		}
		return string(b)
	}}
	lastBytes = damage{"a wrong end", func(d string) string {
		b := []byte(d)
		for i := range 12 {
			b[len(b)-1-i] ^= 0xff
		}
		return string(b)
	}}
	somethingElse = damage{"something else", func(string) string { return "k,v\nthis is no such file at all\n" }}
)

// rows is CSV that no compression makes small.
func rows(n int) string {
	var b strings.Builder
	b.WriteString("k,v\n")
	for i, x := 0, uint64(1); i < n; i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		fmt.Fprintf(&b, "k%x,%d\n", x, i)
	}
	return b.String()
}

// A file that is broken is never read as if it ended there.
func TestBrokenCompression(t *testing.T) {
	for ending, compress := range map[string]func(*testing.T, string) string{".gz": gzipped, ".zst": zstandard, ".bz2": bzipped} {
		for _, damage := range []damage{cutOff, startOf, flipped, lastBytes, somethingElse} {
			t.Run(damage.name+" "+ending, func(t *testing.T) {
				w := parallel(t, nil)
				w.write("good.csv", "k,v\nx,1\n")
				w.write("bad.csv"+ending, damage.do(compress(t, rows(60_000))))
				name := map[string]string{".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2"}[ending]
				said := []string{w.path("bad.csv" + ending), name, "bytes of content"}
				w.fails(w.run("run", "--command", "wc -l", "--output", "out", "good.csv", "bad.csv"+ending), said...)
				if hasSQL {
					w.fails(w.run("run", "--sql", "SELECT count(*) FROM (SELECT k, v FROM input)", "--output", "out", "good.csv", "bad.csv"+ending), said...)
				}
				if left := w.list("out"); len(left) > 0 {
					t.Errorf("left in the output: %v", left)
				}
			})
		}
	}
}

// bzipped needs a program: there is no compressor in Go.
func bzipped(t *testing.T, text string) string {
	t.Helper()
	path, err := exec.LookPath("bzip2")
	if err != nil {
		t.Skip("SKIPPED: no program bzip2 to make a file with")
	}
	cmd := exec.Command(path, "-c")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestBrokenTables(t *testing.T) {
	needSQL(t)
	for _, format := range []string{"parquet", "arrow"} {
		for _, damage := range []damage{cutOff, startOf, lastBytes, somethingElse, flipped} {
			t.Run(damage.name+" "+format, func(t *testing.T) {
				if format == "arrow" && damage.name == lastBytes.name {
					t.Skip("a stream of Arrow may end with any of two marks, or none")
				}
				w := parallel(t, map[string]string{"rows.csv": rows(20_000)})
				w.convert("rows.csv", "good."+format)
				bad := "bad." + format
				w.write(bad, damage.do(w.read("good."+format)))
				if format == "arrow" && damage.name == flipped.name {
					w.write(bad, brokenOffsets(t, w.read("good.arrow")))
				}
				for _, args := range [][]string{
					{"--sql", "SELECT max(k), max(v) FROM input"}, {"--sql", "SELECT * FROM input"}, {"--command", "wc -l"},
				} {
					w.fails(w.run(append(append([]string{"run", "--output", "out"}, args...), "good."+format, bad)...), bad)
				}
				if left := w.list("out"); len(left) > 0 {
					t.Errorf("left in the output: %v", left)
				}
			})
		}
	}
}

// brokenOffsets makes the offsets of a column of strings lie.
func brokenOffsets(t *testing.T, data string) string {
	t.Helper()
	const first = "\x00\x00\x00\x00\x09\x00\x00\x00" // the first of them is k40822041
	at := strings.Index(data, first)
	if at < 0 {
		t.Fatal("no offsets where they are expected")
	}
	return data[:at+4] + "\xff\xff\xff\x7f" + data[at+8:]
}

func TestEmptyTables(t *testing.T) {
	w := parallel(t, map[string]string{"a.parquet": "", "a.arrow": ""})
	w.fails(w.run("run", "--command", "cat", "a.parquet"), "a.parquet: is empty, and so no Parquet file")
	w.fails(w.run("run", "--command", "cat", "a.arrow"), "a.arrow: is empty, and so no Arrow file")
}

const shared = "../../../shared/data"

// sharedData is a folder of other projects' files.
func sharedData(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(shared, name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Skipf("SKIPPED: no shared data: %v", err)
	}
	return path
}

// What other programs wrote is read by SQL and by commands alike.
func TestParquetOfOthers(t *testing.T) {
	needSQL(t)
	folder := sharedData(t, "parquet")
	for file, rows := range map[string]int{
		"alltypes_dictionary": 2, "alltypes_plain": 8, "alltypes_plain.snappy": 2, "byte_stream_split.zstd": 300,
		"delta_binary_packed": 200, "delta_encoding_optional_column": 100, "int32_with_null_pages": 1000,
		"list_columns": 3, "nested_structs.rust": 1,
	} {
		t.Run(file, func(t *testing.T) {
			w := parallel(t, nil)
			path := filepath.Join(folder, file+".parquet")
			w.done(w.run("run", "-q", "--sql", "SELECT count(*) AS n FROM (SELECT * FROM input)", path), fmt.Sprintf("n\n%d\n", rows))
			w.done(w.run("run", "-q", "--command", "sh -c 'tail -n +2 | wc -l'", "--command-format", "csv", path), fmt.Sprintf("%d\n", rows))
		})
	}
}

// A page that does not match its own checksum is not passed on.
func TestParquetWithAWrongChecksum(t *testing.T) {
	needSQL(t)
	path := filepath.Join(sharedData(t, "parquet"), "datapage_v1-corrupt-checksum.parquet")
	w := parallel(t, nil)
	for _, args := range [][]string{{"--sql", "SELECT sum(a) AS s FROM input"}, {"--command", "wc -l"}} {
		w.fails(w.run(append([]string{"run", path}, args...)...), path, `page of column "a" at byte 4`, "checksum")
	}
}
