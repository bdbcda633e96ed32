package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	pb "github.com/millrace/millrace/api/millracev1"
)

func TestSubmitAndComeBack(t *testing.T) {
	c := ofBooks(t)
	id := c.submit("--name", "count", "--command", "wc -w", "books/**/*.txt")
	c.want(c.ask("watch", id), 0, "", "done in", "3 batches")
	for range 2 { // as often as wanted
		c.want(c.ask("result", id), 0, "3\n1\n3\n")
	}
	if job := c.job(id); job.State != "done" || job.Name != "count" || job.Batches != 3 || !job.Kept || job.BatchesRerun != 0 || job.Expires == nil {
		t.Errorf("%+v", job)
	}
	got := c.ask("get", id)
	for _, said := range []string{"job       " + id + "\n", "state     done\n", "3 done", "kept until"} {
		if !strings.Contains(got.stdout, said) {
			t.Errorf("%q is not said: %+v", said, got)
		}
	}
	if got := c.ask("list"); !strings.Contains(got.stdout, id+"  count") {
		t.Errorf("%+v", got)
	}
	if got := c.ask("explain", id); got.status != 0 || !strings.Contains(got.stdout, "command wc -w") {
		t.Errorf("%+v", got)
	}
	c.want(c.ask("rm", id), 0, id+" removed\n")
	c.want(c.ask("get", id), 1, "", id)
	c.want(c.ask("result", id), 1, "", id)
}

func TestSubmitWithAKeyIsOnce(t *testing.T) {
	c := ofBooks(t)
	args := []string{"--key", "nightly", "--command", "cat", "books/a.txt"}
	if one, other := c.submit(args...), c.submit(args...); one != other {
		t.Errorf("%s and %s", one, other)
	}
	c.want(c.ask("submit", "--key", "nightly", "--command", "wc", "books/a.txt"), 2, "", "nightly")
}

// What a cluster prints, and ends with, is what one process does.
func TestSubmitAndWaitIsRun(t *testing.T) {
	c := ofBooks(t)
	c.write("job.yaml", "source: {range: {to: 100}}\nstages: [{command: wc -l}]\nbatch: {batches: 4}\n")
	for _, args := range [][]string{
		{"--command", "wc -w", "books/**/*.txt"},
		{"--command", "wc -w", "books/deep", "./books/a.txt"},
		{"--function", "upper", "books/a.txt", "books/b.txt"},
		{"--function", "words", "books"},
		{"--function", "words", "--output-format", "json", "books"},
		{"--warm", "--command", "cat", "books/a.txt"},
		{"--shell", "--command", "sort | head -n 1", "books/a.txt"},
		{"job.yaml"},
		{"job.yaml", "--batches", "2"},
		{"--retries", "0", "--shell", "--command", "echo for you >&2; exit 3", "books/a.txt"},
		{"--command", "cat", "nowhere/*.txt"},
		{"--command", "cat"},
		{"--command", "cat", "--output-format", "xml", "books"},
		{"--command", "cat", "--batches", "-1", "books"},
	} {
		want := c.run("", append([]string{"run", "-q"}, args...)...)
		got := c.ask(append([]string{"submit", "--wait", "-q"}, args...)...)
		if got.status != want.status || got.stdout != want.stdout {
			t.Errorf("%v: status %d, want %d; output:\n%s\nwant:\n%s\nerrors:\n%s", args, got.status, want.status, got.stdout, want.stdout, got.stderr)
		}
	}
}

func TestSubmitSQL(t *testing.T) {
	needSQL(t)
	c := ofBooks(t)
	c.write("a.csv", "k,v,d\nx,1,2024-01-31\ny,2,2024-02-01\nx,3,\n")
	const query = "SELECT k, sum(v) AS s, avg(v) AS m, min(d) AS d, sum(v)::HUGEINT * 10^20 AS big FROM input GROUP BY k ORDER BY k"
	for _, more := range [][]string{nil, {"--output-format", "csv"}, {"--output-format", "json"}, {"--output-format", "table"}} {
		args := append([]string{"-q", "--sql", query, "a.csv"}, more...)
		want := c.run("", append([]string{"run"}, args...)...)
		c.want(c.ask(append([]string{"submit", "--wait"}, args...)...), 0, want.stdout)
	}
	id := c.submit("--sql", query, "a.csv") // in no format of its own: in any
	for _, format := range []string{"csv", "json", "table", "parquet"} {
		want := c.run("", "run", "-q", "--sql", query, "a.csv", "--output-format", format)
		got := c.ask("result", id, "--output-format", format)
		if got.status != 0 || format != "parquet" && got.stdout != want.stdout || !strings.HasPrefix(got.stdout, want.stdout[:4]) {
			t.Errorf("%s: %+v, want %+v", format, got, want)
		}
	}
	id = c.submit("--sql", query, "a.csv", "--output-format", "csv")
	c.want(c.ask("result", id, "--output-format", "json"), 1, "", "is csv", "leave --output-format out")
}

func TestSubmitIntoAFolder(t *testing.T) {
	c := ofBooks(t)
	c.want(c.ask("submit", "--wait", "--command", "wc -w", "--output", "out", "books"), 0, "", "3 files, 6 B, in "+filepath.Join(c.dir, "out"))
	if left := c.list("out"); len(left) != 4 || !slices.Contains(left, "_SUCCESS") {
		t.Errorf("files: %v", left)
	}
	c.want(c.ask("submit", "--wait", "--command", "wc -w", "--output", "out", "books"), 1, "", "out")
}

func TestSubmitExplains(t *testing.T) {
	c := ofBooks(t)
	got := c.ask("submit", "--explain", "--command", "wc -w", "books")
	if got.status != 0 || !strings.Contains(got.stdout, "3 files") || !strings.Contains(got.stdout, "command wc -w") {
		t.Errorf("%+v", got)
	}
}

func TestSubmitTakesSmallInputAlong(t *testing.T) {
	c := ofBooks(t)
	c.want(c.askWith("a b\nc\n", "submit", "--wait", "-q", "--batches", "1", "--command", "wc -w", "-"), 0, "3\n")
	c.want(c.askWith("a b\nc", "submit", "--wait", "-q", "--command", "cat", "-"), 0, "a b\nc\n")
	many := strings.Repeat("x\n", 100_000)
	c.want(c.askWith(many, "submit", "--wait", "-q", "--command", "wc -l", "-"), 0, "100000\n")
	c.want(c.askWith(many, "submit", "--wait", "-q", "--batches", "2", "--command", "wc -l", "-"), 0, "50000\n50000\n")
	for stdin, args := range map[string][]string{
		"a,b\n1,2\n":                  {"--format", "csv", "-"},
		"a\n":                         {"books/a.txt", "-"},
		strings.Repeat("x\n", 1<<20):  {"-"},
		"":                            {"-"},
		"PAR1\x00\x00":                {"-"},
		strings.Repeat("y\n", 10_000): {"--compression", "gzip", "-"},
	} {
		got := c.askWith(stdin, append([]string{"submit", "--command", "cat"}, args...)...)
		c.want(got, 2, "", "workers can't read standard input", "Write it to a file", "millrace run")
	}
}

// Who waits no longer leaves the job as it is.
func TestInterruptEndsTheWaiting(t *testing.T) {
	for _, args := range [][]string{{"submit", "--wait", "--function", "nobody", "books/a.txt"}, {"watch"}} {
		c := ofBooks(t)
		if args[0] == "watch" {
			args = append(args, c.submit("--function", "nobody", "books/a.txt"))
		}
		cmd := c.client(args...)
		got := c.interrupted(cmd, "waits: ", syscall.SIGINT)
		c.want(got, 130, "", "lack the processor `function:nobody`", "goes on", "millrace watch", "cancel")
		jobs := c.jobs()
		if len(jobs) != 1 || jobs[0].State != "planning" {
			t.Errorf("%+v", jobs)
		}
		c.want(c.ask("cancel", jobs[0].ID, "--reason", "enough"), 0, jobs[0].ID+" cancelled\n")
		c.want(c.ask("watch", jobs[0].ID), 1, "", "cancelled: enough")
		c.want(c.ask("cancel", jobs[0].ID), 0, jobs[0].ID+" cancelled\n") // again is no harm
	}
}

func TestInterruptCancelsWhereThatIsWanted(t *testing.T) {
	c := ofBooks(t)
	cmd := c.client("submit", "--wait", "--cancel-on-interrupt", "--function", "nobody", "books/a.txt")
	c.want(c.interrupted(cmd, "waits: ", syscall.SIGTERM), 143, "", "interrupted")
	if jobs := c.jobs(); len(jobs) != 1 || jobs[0].State != "cancelled" {
		t.Errorf("%+v", jobs)
	}
}

func TestPauseAndResume(t *testing.T) {
	c := ofBooks(t)
	id := c.submit("--function", "nobody", "books/a.txt")
	c.want(c.ask("pause", id), 0, id+" paused\n")
	if job := c.job(id); !job.Paused {
		t.Errorf("%+v", job)
	}
	c.want(c.ask("resume", id, "none"), 1, id+" planning\n", "none")
}

func TestWatchAsJSON(t *testing.T) {
	c := ofBooks(t)
	id := c.submit("--command", "wc -w", "books")
	got := c.ask("watch", "--json", id)
	lines := strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
	var last jobJSON
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || got.status != 0 || last.State != "done" {
		t.Errorf("%v: %+v", err, got)
	}
	nobody, closed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Close()
	nobody.Close()
	cmd := c.client("watch", "--json", id)
	cmd.Stdout = closed
	if got := c.finish(cmd); got.status != 0 || got.stderr != "" {
		t.Errorf("read by nobody: %+v", got)
	}
	id = c.submit("--retries", "0", "--command", "false", "books/a.txt")
	if got := c.ask("watch", "--json", id); got.status != 1 || !strings.Contains(got.stdout, `"class":"`) {
		t.Errorf("%+v", got)
	}
}

// Who asks for a result before it is there waits for it.
func TestResultIsWaitedFor(t *testing.T) {
	for _, keep := range []string{"1h", "0"} {
		c := ofBooks(t)
		c.fifo("go")
		id := c.submit("--keep", keep, "--shell", "--command", "cat go; cat", "books/a.txt")
		c.until(id, running)
		cmd := c.client("result", id)
		read := make(chan outcome, 1)
		go func() { read <- c.finish(cmd) }()
		c.release("go")
		c.want(<-read, 0, books["books/a.txt"])
	}
}

func TestResultInFiles(t *testing.T) {
	c := ofBooks(t)
	id := c.submit("--command", "cat", "--output", "out", "books")
	c.want(c.ask("watch", "-q", id), 0, "")
	c.want(c.ask("result", id), 1, "", "files")
}

func TestLocations(t *testing.T) {
	c := ofBooks(t)
	id := c.submit("--command", "cat", "books")
	var parts []partJSON
	got := c.ask("result", id, "--locations", "--json")
	if err := json.Unmarshal([]byte(got.stdout), &parts); err != nil || len(parts) == 0 {
		t.Fatalf("%v: %+v", err, got)
	}
	if got := c.ask("result", id, "--locations"); got.status != 0 || !strings.Contains(got.stdout, "RECORDS") {
		t.Errorf("%+v", got)
	}
}

func TestAbsolute(t *testing.T) {
	for _, test := range []struct{ here, path, want string }{
		{"/a/b", "c", "/a/b/c"}, {"/a/b", "./c/../d", "/a/b/d"}, {"/a/b", "..", "/a"},
		{"/a/b", "/c/*.csv", "/c/*.csv"}, {"/a/b", "s3://bucket/x", "s3://bucket/x"}, {"/a/b", "", ""},
		{"/a/b", "c/*.csv", "/a/b/c/*.csv"}, {"/a/b", "./*.csv", "/a/b/*.csv"}, {"/a/b", "**/x.txt", "/a/b/**/x.txt"},
		{"/a[1]", "x", "/a[1]/x"}, {"/a[1]", "*", `/a\[1\]/*`},
	} {
		if got := absolute(test.here, test.path); got != test.want {
			t.Errorf("%s in %s: %s, want %s", test.path, test.here, got, test.want)
		}
	}
}

// Patterns mean the same wherever the client stands.
func TestPatternsInAnOddFolder(t *testing.T) {
	c := ofBooks(t)
	odd := filepath.Join(c.dir, "odd [1]*")
	if err := os.CopyFS(odd, os.DirFS(filepath.Join(c.dir, "books"))); err != nil {
		t.Fatal(err)
	}
	cmd := c.client("submit", "--wait", "-q", "--command", "wc -w", "*.txt", "deep")
	cmd.Dir = odd
	c.want(c.finish(cmd), 0, "3\n1\n3\n")
}

func TestFormOfAResult(t *testing.T) {
	arrow, csv, lines, bytes := pb.Format_FORMAT_ARROW, pb.Format_FORMAT_CSV, pb.Format_FORMAT_LINES, pb.Format_FORMAT_UNSPECIFIED
	for _, test := range []struct {
		made  pb.Format
		asked string
		term  bool
		want  string // empty for an error; "-" for bytes as they are
	}{
		{arrow, "", true, "table"}, {arrow, "", false, "csv"}, {arrow, "parquet", false, "parquet"}, {arrow, "json", true, "json"},
		{csv, "", false, "csv"}, {csv, "", true, "csv"}, {csv, "table", true, "csv"}, {csv, "csv", false, "csv"}, {csv, "json", false, ""},
		{lines, "", false, "-"}, {lines, "lines", false, "lines"}, {lines, "csv", false, ""},
		{bytes, "", true, "-"}, {bytes, "parquet", false, ""},
	} {
		form, err := outputForm{test.asked, test.term}.of(&pb.ResultHeader{Format: test.made})
		got := orElse(form.format, "-")
		if err != nil {
			got = ""
		}
		if got != test.want {
			t.Errorf("%v asked for as %q: %q (%v), want %q", test.made, test.asked, got, err, test.want)
		}
	}
}
