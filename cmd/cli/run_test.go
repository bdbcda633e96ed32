package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/worker/duckdb"
)

// needSQL skips a test where the build has no SQL.
func needSQL(t *testing.T) {
	t.Helper()
	if !duckdb.Built {
		t.Skip("this build has no SQL")
	}
}

var books = map[string]string{
	"books/a.txt": "one two\nthree\n", "books/b.txt": "four\n", "books/deep/c.txt": "five six seven\n",
}

func TestCommandForEachFileInOrder(t *testing.T) {
	w := place(t, books)
	w.want(w.run("", "run", "--command", "wc -w", "books/**/*.txt"), 0, "3\n1\n3\n", "done in", "3 batches")
	w.want(w.run("", "run", "--quiet", "--command", "wc -w", "books/deep", "books/a.txt"), 0, "3\n3\n")
}

func TestQuietIsQuiet(t *testing.T) {
	w := place(t, books)
	if got := w.run("", "run", "-q", "--command", "cat", "books"); got.stderr != "" {
		t.Errorf("said: %s", got.stderr)
	}
}

func TestFunctions(t *testing.T) {
	w := place(t, books)
	w.want(w.run("", "run", "-q", "--function", "upper", "books/a.txt", "books/b.txt"), 0, "ONE TWO\nTHREE\nFOUR\n")
	got := w.run("", "run", "-q", "--function", "words", "--output-format", "csv", "books")
	w.want(got, 0, "key,value\nfive,1\nfour,1\none,1\nseven,1\nsix,1\nthree,1\ntwo,1\n")
	w.want(w.run("", "run", "--function", "panics", "books/a.txt", "--retries", "0"), 1, "", "the job failed", "oh no", "  | ")
	w.want(w.run("", "run", "--function", "nobody", "books/a.txt"), 1, "", "nobody", "forever, panics, upper, words")
}

func TestSQLWritesWhatWasAskedFor(t *testing.T) {
	needSQL(t)
	w := place(t, map[string]string{"a.csv": "k,v\nx,1\ny,2\n", "b.csv": "k,v\nx,3\n"})
	const query = "SELECT k, sum(v) AS total FROM input GROUP BY k ORDER BY k"
	run := func(more ...string) outcome {
		return w.run("", append([]string{"run", "-q", "--sql", query, "a.csv", "b.csv"}, more...)...)
	}
	w.want(run(), 0, "k,total\nx,4\ny,2\n")
	w.want(run("--output-format", "csv"), 0, "k,total\nx,4\ny,2\n")
	if got := run("--output-format", "json"); got.status != 0 || !strings.HasPrefix(got.stdout, `{"k":"x","total":`) {
		t.Errorf("json: %+v", got)
	}
	if got := run("--output-format", "parquet").stdout; !strings.HasPrefix(got, "PAR1") || !strings.HasSuffix(got, "PAR1") {
		t.Errorf("parquet: %q", got)
	}
	if got := run("--output-format", "table").stdout; !strings.Contains(got, "total") || strings.Count(got, "\n") < 4 {
		t.Errorf("table: %q", got)
	}
	if got := run("--output-format", "arrow"); got.status != 0 || len(got.stdout) == 0 {
		t.Errorf("arrow: %+v", got)
	}
}

func TestSQLThatIsNotBuilt(t *testing.T) {
	if duckdb.Built {
		t.Skip("this build has SQL")
	}
	w := place(t, books)
	w.want(w.run("", "run", "--sql", "SELECT 1 FROM input", "books"), 1, "", "no SQL", "cgo")
}

func TestSQLThatIsRefused(t *testing.T) {
	needSQL(t)
	w := place(t, map[string]string{"a.csv": "k,v\nx,1\n"})
	w.want(w.run("", "run", "--sql", "SELECT nope FROM input", "a.csv"), 1, "", "nope")
	w.want(w.run("", "run", "--sql", "SELECT 1 FROM input; SELECT 2 FROM input", "a.csv"), 1, "", "the job failed")
}

func TestEmptyResultsHaveTheirColumns(t *testing.T) {
	needSQL(t)
	w := place(t, map[string]string{"a.csv": "k,v\nx,1\n"})
	const query = "SELECT k, v FROM input WHERE v > 5"
	w.want(w.run("", "run", "-q", "--sql", query, "a.csv"), 0, "k,v\n")
	if got := w.run("", "run", "-q", "--sql", query, "--output-format", "parquet", "a.csv").stdout; !strings.HasPrefix(got, "PAR1") {
		t.Errorf("parquet: %q", got)
	}
}

func TestBadRecordsAreShown(t *testing.T) {
	needSQL(t)
	w := place(t, map[string]string{"a.csv": "k,v\n" + strings.Repeat("x,1\n", 1_000_000) + "x,lots\nx,1\n"})
	const query = "SELECT sum(v) AS s FROM input"
	w.want(w.run("", "run", "--sql", query, "a.csv", "--batches", "4"), 1, "", "a.csv at 4000004", "lots", "--skip-bad-records")
	w.want(w.run("", "run", "--sql", query, "a.csv", "--skip-bad-records", "5"), 0, "s\n1000001\n", "1 bad record was left out", "a.csv at 4000004")
}

func TestStandardInput(t *testing.T) {
	w := place(t, books)
	w.want(w.run("a b\nc\n", "run", "-q", "--command", "wc -w", "-"), 0, "3\n")
	w.want(w.run("a b\nc\n", "run", "-q", "--command", "wc -w", "books/b.txt", "-"), 0, "1\n3\n")

	file, err := os.Open(filepath.Join(w.dir, "books/a.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := w.command("run", "-q", "--command", "sh -c 'echo $MILLRACE_FILE'", "-")
	cmd.Stdin = file
	if got := w.finish(cmd); filepath.Base(strings.TrimSpace(got.stdout)) != "a.txt" {
		t.Errorf("a redirected file is not read where it lies: %+v", got)
	}
}

// What is piped in has no name, and its columns are missed where it is taken for
// lines.
func TestStandardInputHasNoName(t *testing.T) {
	needSQL(t)
	w := place(t, nil)
	w.want(w.run("a,b\n1,2\n", "run", "--sql", "SELECT sum(a) AS s FROM input", "-"), 1, "", "--format csv")
	w.want(w.run("a,b\n1,2\n", "run", "-q", "--sql", "SELECT sum(a) AS s FROM input", "--format", "csv", "-"), 0, "s\n1\n")
}

func TestJobFile(t *testing.T) {
	w := place(t, map[string]string{
		"job.yaml":  "source: {range: {to: 100}}\nstages: [{command: wc -l}]\nbatch: {batches: 4}\n",
		"stdin.yml": "source: {stdin: true}\nstages: [{command: wc -l}, {command: cat, exchange: collect}]\n",
		"bad.json":  `{"source": {"files": "x"}, "stages": [{"comand": "cat"}]}`,
	})
	w.want(w.run("", "run", "-q", "job.yaml"), 0, "25\n25\n25\n25\n")
	w.want(w.run("", "run", "-q", "job.yaml", "--batches", "2"), 0, "50\n50\n")
	w.want(w.run("1\n2\n", "run", "-q", "stdin.yml"), 0, "2\n")
	w.want(w.run("", "run", "bad.json"), 2, "", "bad.json:1:22", `did you mean "command"?`)
	w.want(w.run("", "check", "bad.json"), 2, "", "bad.json:1:22")
	w.want(w.run("", "check", "job.yaml", "stdin.yml"), 0, "")
}

func TestFailuresSayWhatAndWhere(t *testing.T) {
	w := place(t, books)
	w.want(w.run("", "run", "--retries", "0", "--shell", "--command", "echo for you >&2; exit 3", "books/a.txt"),
		1, "", "the job failed", "exit status: 3", "  | for you")
	w.want(w.run("", "run", "--command", "cat", "nowhere/*.txt"), 1, "", "nowhere/*.txt")
	w.want(w.run("", "run", "--command", "no-such-program-here", "books/a.txt"), 1, "", "no-such-program-here")
	w.want(w.run("", "run", "-q", "--command", "grep four", "--ok-exit", "0,1", "books"), 0, "four\n")
}

func TestCommandLinesThatAreWrong(t *testing.T) {
	w := place(t, books)
	for _, args := range [][]string{
		{"run"}, {"run", "--sql", "x"}, {"run", "--nope"}, {"nope"}, {"check"}, {"check", "nowhere.yaml"},
		{"run", "--command", "cat", "--slots", "0", "books"}, {"run", "--sql", "x", "--log", "loud", "books"},
		{"run", "--sql", "x", "--output-format", "xml", "books"}, {"run", "nowhere.yaml"},
		{"bench", "leases", "--batches", "0"},
	} {
		if got := w.run("", args...); got.status != 2 || got.stdout != "" || got.stderr == "" {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

func TestOutputFolder(t *testing.T) {
	w := place(t, books)
	run := func(more ...string) outcome {
		return w.run("", append([]string{"run", "--command", "wc -w", "--output", "out", "books"}, more...)...)
	}
	w.want(run(), 0, "", "3 files, 6 B, in out\ndone in")
	if left := w.list("out"); len(left) != 4 || !slices.Contains(left, "_SUCCESS") {
		t.Errorf("files: %v", left)
	}
	w.want(run(), 1, "", "out")
	w.want(run("--overwrite", "--single"), 0, "", "1 file, 6 B, in out\n")
	if left := w.list("out"); len(left) != 2 || !slices.Contains(left, "_SUCCESS") {
		t.Errorf("files: %v", left)
	}
	got := run("--overwrite", "--json")
	var s summary
	if err := json.Unmarshal([]byte(got.stdout), &s); err != nil || s.State != "done" || s.Batches != 3 || s.Output != "out" || s.OutputFiles != 3 {
		t.Errorf("%v: %+v", err, got)
	}
}

// list names what is in a folder.
func (w *world) list(folder string) []string {
	w.Helper()
	entries, err := os.ReadDir(filepath.Join(w.dir, folder))
	if err != nil {
		w.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestStats(t *testing.T) {
	w := place(t, books)
	got := w.run("", "run", "--command", "cat", "--stats", "stats.json", "books")
	line := regexp.MustCompile(`(?m)^done in \S+: 3 batches, 4 records, 34 B, 0 retries, batch size 1 record, ` +
		`processing speed \S+ records/s, delay time \S+, peak memory \S+ MB$`)
	if !line.MatchString(got.stderr) {
		t.Errorf("summary: %s", got.stderr)
	}
	data, err := os.ReadFile(filepath.Join(w.dir, "stats.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s summary
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	if s.Batches != 3 || s.RecordsIn != 4 || s.BytesIn != 34 || s.PeakMemory == 0 || s.BatchSize <= 1 || s.Elapsed == 0 {
		t.Errorf("%s", data)
	}
}

func TestExplain(t *testing.T) {
	w := place(t, books)
	got := w.run("", "run", "--explain", "--command", "wc -w", "books")
	if got.status != 0 || !strings.Contains(got.stdout, "3 files") || !strings.Contains(got.stdout, "command wc -w") || got.stderr != "" {
		t.Errorf("%+v", got)
	}
	got = w.run("", "run", "--explain", "--json", "--command", "wc -w", "books")
	var plan struct{ Plan struct{ Stages []any } }
	if err := json.Unmarshal([]byte(got.stdout), &plan); err != nil || len(plan.Plan.Stages) != 1 {
		t.Errorf("%v: %+v", err, got)
	}
}

func TestExplainSQL(t *testing.T) {
	needSQL(t)
	w := place(t, map[string]string{"a.csv": "k,v\nx,1\n"})
	got := w.run("", "run", "--explain", "--sql", "SELECT k, avg(v) AS m FROM input GROUP BY k", "a.csv")
	for _, said := range []string{"1 file", "header true", "columns: k VARCHAR, v BIGINT", "stage 2", "collects all outputs", "needs: sql"} {
		if !strings.Contains(got.stdout, said) {
			t.Errorf("%q is not said in:\n%s%s", said, got.stdout, got.stderr)
		}
	}
}

func TestBenchLeases(t *testing.T) {
	w := place(t, nil)
	got := w.run("", "bench", "leases", "--embedded", "--batches", "500", "--json")
	if !strings.Contains(got.stdout, `"leases_per_s": `) {
		t.Errorf("keys: %s", got.stdout)
	}
	var figures leaseFigures
	if err := json.Unmarshal([]byte(got.stdout), &figures); err != nil || figures.Leases != 500 || figures.Rate <= 0 {
		t.Errorf("%v: %+v", err, got)
	}
}

func TestVersionAndSchema(t *testing.T) {
	w := place(t, nil)
	var v versionInfo
	if got := w.run("", "version", "--json"); json.Unmarshal([]byte(got.stdout), &v) != nil || v.Version == "" {
		t.Errorf("%+v", got)
	}
	if got := w.run("", "schema"); !json.Valid([]byte(got.stdout)) {
		t.Errorf("%+v", got)
	}
}

// A warm program's answers have columns that nobody knows beforehand: the header
// is made of the first.
func TestWarmProgramsMakeTables(t *testing.T) {
	w := place(t, books)
	for _, more := range [][]string{nil, {"--output-format", "csv"}} {
		got := w.run("", append([]string{"run", "-q", "--warm", "--command", "cat", "books/a.txt", "books/b.txt"}, more...)...)
		lines := strings.Split(got.stdout, "\n")
		if got.status != 0 || len(lines) != 5 || lines[0] != "line,file,offset" || !strings.HasPrefix(lines[3], "four,") {
			t.Errorf("%v: %+v", more, got)
		}
	}
}

// A warm program that has nothing to say names no columns: there is no header.
func TestWarmProgramsWithoutAnswer(t *testing.T) {
	w := place(t, map[string]string{"none.txt": ""})
	w.want(w.run("", "run", "-q", "--warm", "--command", "cat", "none.txt"), 0, "")
}
