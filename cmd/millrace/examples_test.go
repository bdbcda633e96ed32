//go:build unix

package main_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// atRoot makes a world whose processes run in the repository, as its examples
// are told to.
func atRoot(t *testing.T) *world {
	t.Helper()
	w := parallel(t, nil)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	w.dir = root
	return w
}

func TestExampleWordcount(t *testing.T) {
	w := atRoot(t)
	texts, err := filepath.Glob("../../examples/wordcount/*.txt")
	if err != nil || len(texts) == 0 {
		t.Fatalf("no texts: %v", err)
	}
	counts, each := map[string]int{}, ""
	for _, path := range texts {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Fields(string(data))
		for _, word := range words {
			counts[word]++
		}
		each += fmt.Sprintln(len(words))
	}
	w.done(w.run("run", "-q", "examples/wordcount/job.yaml"), each)

	var lines []string
	for word, n := range counts {
		lines = append(lines, fmt.Sprintf("%s,%d\n", csvField(word), n))
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(key(a), key(b)) })
	w.program = wordcount
	got := w.run("run", "-q", "--function", "words", "--output-format", "csv", "examples/wordcount/*.txt")
	w.done(got, "key,value\n"+strings.Join(lines, ""))
}

func csvField(text string) string {
	if strings.ContainsAny(text, ",\"") {
		return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
	}
	return text
}

// key is the word of a line of CSV.
func key(line string) string {
	return strings.ReplaceAll(strings.Trim(line[:strings.LastIndexByte(line, ',')], `"`), `""`, `"`)
}

func TestExampleLogs(t *testing.T) {
	needSQL(t)
	w := atRoot(t)
	w.done(w.run("run", "-q", "examples/logs/job.yaml"),
		"status,requests,bytes\n200,3,30720\n201,1,77\n304,1,0\n404,1,312\n500,1,98\n")
}

func TestExampleBillionRows(t *testing.T) {
	needSQL(t)
	folder := sharedData(t, "1brc")
	job, err := filepath.Abs("../../examples/1brc/job.yaml")
	if err != nil {
		t.Fatal(err)
	}
	samples, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil || len(samples) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, sample := range samples {
		t.Run(filepath.Base(sample), func(t *testing.T) {
			w := parallel(t, nil)
			for _, suffix := range []string{".txt", ".out"} {
				data, err := os.ReadFile(strings.TrimSuffix(sample, ".txt") + suffix)
				if err != nil {
					t.Fatal(err)
				}
				w.write("measurements"+suffix, string(data))
			}
			want := strings.TrimRight(w.read("measurements.out"), "\n") + "\n"
			w.done(w.run("run", "-q", job), want)
			w.done(w.run("run", "-q", "--batch-bytes", "2KiB", job), want)
		})
	}
}

func TestExampleClassic(t *testing.T) {
	if testing.Short() {
		t.Skip("takes its ten seconds")
	}
	w := atRoot(t)
	stats := filepath.Join(t.TempDir(), "stats.json")
	var want strings.Builder
	for i := range 10_000 {
		fmt.Fprintln(&want, i)
	}
	started := time.Now()
	w.done(w.run("run", "--slots", "2", "--stats", stats, "examples/classic/job.yaml"), want.String(),
		"10 batches, 10,000 records", "batch size 1,000 records")
	if took := time.Since(started); took < 10*time.Second { // 5 s of delay, 10 batches of 1 s on 2 slots
		t.Errorf("it took %v", took)
	}
	data, err := os.ReadFile(stats)
	if err != nil {
		t.Fatal(err)
	}
	var s statistics
	if err := json.Unmarshal(data, &s); err != nil || s.Batches != 10 || s.RecordsIn != 10_000 || s.ProcessingSpeed > 1000 {
		t.Errorf("%v: %s", err, data)
	}
}

func TestExampleGradient(t *testing.T) {
	w := atRoot(t)
	w.program = gradient
	got := w.run("run", "-q", "--output-format", "json", "examples/gradient/job.yaml")
	again := w.run("run", "-q", "--output-format", "json", "examples/gradient/job.yaml")
	w.done(again, got.stdout) // to the bit
	models := objects(t, got.stdout)
	if len(models) != 1 {
		t.Fatalf("%+v", got)
	}
	a, b := number(t, models[0]["slope"]), number(t, models[0]["intercept"])
	slope, intercept := leastSquares(t, "../../examples/gradient/points.csv")
	if math.Abs(a-slope) > 0.05 || math.Abs(b-intercept) > 0.05 {
		t.Errorf("y = %.3f x + %.3f, not %.3f x + %.3f", a, b, slope, intercept)
	}
	if n := number(t, models[0]["points"]); n != 400 {
		t.Errorf("%v points", n)
	}
}

func number(t *testing.T, v any) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(fmt.Sprint(v), 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// leastSquares is the line that fits points best.
func leastSquares(t *testing.T, path string) (slope, intercept float64) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var n, sx, sy, sxx, sxy float64
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n")[1:] {
		first, second, _ := strings.Cut(line, ",")
		x, y := number(t, first), number(t, second)
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	slope = (n*sxy - sx*sy) / (n*sxx - sx*sx)
	return slope, (sy - slope*sx) / n
}

func TestExampleBackup(t *testing.T) {
	for _, program := range []string{"gzip", "sha256sum"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIPPED: %v", err)
		}
	}
	w := atRoot(t)
	folder := filepath.Join(t.TempDir(), "copies")
	w.env = []string{"BACKUP_FOLDER=" + folder}
	var want strings.Builder
	files := 0
	err := filepath.WalkDir(w.path("examples"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(&want, "%x  %s\n", sha256.Sum256(data), path)
		files++
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.done(w.run("run", "-q", "examples/backup/job.yaml"), want.String())
	copies := 0
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		copies++
		got, err := exec.Command("gzip", "-dc", path).Output()
		if err != nil {
			return err
		}
		original, err := os.ReadFile(strings.TrimSuffix(strings.TrimPrefix(path, folder), ".gz"))
		if string(got) != string(original) {
			t.Errorf("%s differs", path)
		}
		return err
	})
	if err != nil || copies != files {
		t.Errorf("%d copies of %d files: %v", copies, files, err)
	}
}

func TestExamplePython(t *testing.T) {
	if err := exec.Command("python3", "-c", "import pyarrow").Run(); err != nil {
		t.Skipf("SKIPPED: no Python with pyarrow: %v", err)
	}
	w := atRoot(t)
	args := []string{"run", "-q", "--warm", "--command", "python3 examples/python/lengths.py", "--output-format", "csv", "examples/wordcount/*.txt"}
	got := w.run(args...)
	var want strings.Builder
	want.WriteString("line,file,offset,length\n")
	texts, err := filepath.Glob(w.path("examples/wordcount/*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range texts {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		offset := 0
		for line := range strings.Lines(string(data)) {
			text := strings.TrimSuffix(line, "\n")
			fmt.Fprintf(&want, "%s,%s,%d,%d\n", csvField(text), path, offset, len([]rune(text)))
			offset += len(line)
		}
	}
	w.done(got, want.String())
}

// The program in the README is the one in the examples.
func TestReadmeShowsTheExamples(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```(go|python)\n(.*?)```").FindAllSubmatch(readme, -1)
	if len(blocks) < 2 {
		t.Fatalf("%d programs in the README", len(blocks))
	}
	for _, block := range blocks {
		path := map[string]string{"go": "../../examples/wordcount/main.go", "python": "../../examples/python/lengths.py"}[string(block[1])]
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		blank := regexp.MustCompile(`\n\n+`)
		if !strings.HasSuffix(blank.ReplaceAllString(string(file), "\n"), blank.ReplaceAllString(string(block[2]), "\n")) {
			t.Errorf("%s is not as the README shows it", path)
		}
	}
}

// The commands that the README names do what it says.
func TestReadmeCommands(t *testing.T) {
	needSQL(t)
	w := parallel(t, map[string]string{
		"logs/a.csv": "status,bytes\n200,10\n404,2000000\n", "logs/b.csv.gz": gzipped(t, "status,bytes\n200,30\n"),
		"books/a.txt": "one two\n", "books/deep/b.txt": "three\n",
	})
	w.done(w.run("run", "-q", "--sql", "SELECT status, count(*) FROM input GROUP BY status ORDER BY status", "logs/a.csv", "logs/*.csv.gz"),
		"status,count_star()\n200,2\n404,1\n")
	w.done(w.run("run", "-q", "--command", "wc -w", "books/**/*.txt"), "2\n1\n")
	w.done(w.run("run", "-q", "--sql", "SELECT * FROM input WHERE bytes > 1e6", "--output-format", "parquet", "--output", "out", "logs/*.csv"), "")
	w.done(w.run("run", "-q", "--sql", "SELECT * FROM input", "out/*.parquet"), "status,bytes\n404,2000000\n")
	w.done(w.run("run", "-q", "--command", "wc -w", "-"), "0\n")

	source := filepath.Join(goroot(t), "src", "strings", "*.go")
	got := w.run("run", "-q", "--sql", "SELECT regexp_extract(line, '^(func|type|var|const)') AS kind, count(*) AS n FROM input GROUP BY kind ORDER BY n DESC", source)
	want := kinds(t, source)
	for kind, n := range want {
		if !strings.Contains(got.stdout, fmt.Sprintf("\n%s,%d\n", kind, n)) {
			t.Errorf("%s %d times is not in:\n%s%s", kind, n, got.stdout, got.stderr)
		}
	}
}

func goroot(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// kinds counts declarations as the README's first query does.
func kinds(t *testing.T, pattern string) map[string]int {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	counts := map[string]int{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			for _, kind := range []string{"func", "type", "var", "const"} {
				if strings.HasPrefix(line, kind) {
					counts[kind]++
				}
			}
		}
	}
	return counts
}
