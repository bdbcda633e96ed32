//go:build unix

package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestSourcesThatAreNotThere(t *testing.T) {
	w := parallel(t, map[string]string{"a.txt": "a\n", "hidden/.x": "", "[": "bracket\n"})
	if err := os.Mkdir(w.path("empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nothing", w.path("dangling")); err != nil {
		t.Fatal(err)
	}
	w.fifo("pipe")
	for entry, said := range map[string]string{
		"*.csv":          "*.csv: no file matches",
		"no/**/*.csv":    "no/**/*.csv: no file matches",
		"gone.txt":       "gone.txt: no such file or folder",
		"a.txt/b":        "a.txt/b: no such file or folder",
		"empty":          "empty: the folder holds no files",
		"hidden":         "hidden: the folder holds no files (hidden ones",
		"dangling":       "dangling: is a link to nothing",
		"{a":             "{a: no such file, and not a pattern",
		"/dev/null":      "/dev/null: is neither a file nor a folder",
		w.path("pipe"):   "pipe: is neither a file nor a folder",
		"x\xff":          "not valid UTF-8",
		"nl\nx":          "no such file",
		"a.txt\x01.csv*": "no file matches",
	} {
		got := w.run("run", "--command", "cat", "a.txt", entry)
		status := 1
		if entry == "x\xff" {
			status = 2
		}
		w.want(got, status, "", said)
	}
	w.done(w.run("run", "-q", "--command", "cat", "["), "bracket\n")
}

func TestSourcesWithoutPermission(t *testing.T) {
	w := parallel(t, map[string]string{"open/a.txt": "a\n", "closed/b.txt": "b\n", "c.txt": "c\n"})
	if err := os.Chmod(w.path("closed"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(w.path("c.txt"), 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(w.path("closed"), 0o755)
	run := func(entry string) outcome {
		cmd := w.command("run", "--command", "cat", entry)
		if os.Geteuid() == 0 {
			w.asNobody(cmd)
		}
		return w.finish(cmd)
	}
	w.fails(run("closed"), "closed: can't be read: permission denied")
	w.fails(run("**/*.txt"), "closed: can't be read: permission denied")
	w.fails(run("."), "closed: can't be read: permission denied")
	w.fails(run("c.txt"), "c.txt: can't be read: permission denied")
	w.done(run("open"), "a\n")
}

// asNobody drops root's rights, which no permission binds.
func (w *world) asNobody(cmd *exec.Cmd) {
	const nobody = 65534
	for dir := w.dir; len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			w.Fatal(err)
		}
	}
	if err := os.Chmod(w.temp, 0o777); err != nil {
		w.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: true}}
}

func TestOddTexts(t *testing.T) {
	needSQL(t)
	const mark = "\xef\xbb\xbf"
	for name, c := range map[string]struct{ file, text, want string }{
		"empty CSV":            {"a.csv", "", "column0\n"},
		"empty lines":          {"a.txt", "", "line\n"},
		"empty JSON":           {"a.jsonl", "", "json\n"},
		"header only":          {"a.csv", "k,v\n", "k,v\n"},
		"header without end":   {"a.csv", "k,v", "k,v\n"},
		"CSV without last end": {"a.csv", "k,v\nx,1\ny,2", "k,v\nx,1\ny,2\n"},
		"CSV with CRLF":        {"a.csv", "k,v\r\nx,1\r\ny,2\r\n", "k,v\nx,1\ny,2\n"},
		"CSV with a mark":      {"a.csv", mark + "k,v\nx,1\n", "k,v\nx,1\n"},
		"only a mark":          {"a.csv", mark, "column0\n"},
		"CSV quoted newline":   {"a.csv", "k,v\n\"a\nb\",1\n", "k,v\n\"a\nb\",1\n"},
		"lines with CRLF":      {"a.txt", "a\r\nb\r\nc", "line\na\nb\nc\n"},
		"lines with a mark":    {"a.txt", mark + "a\nb\n", "line\na\nb\n"},
		"blank lines":          {"a.txt", "\n\na\n\n", "line\n\"\"\n\"\"\na\n\"\"\n"},
		"JSON with CRLF":       {"a.jsonl", "{\"a\":1}\r\n{\"a\":2}", "a\n1\n2\n"},
		"JSON with a mark":     {"a.jsonl", mark + "{\"a\":1}\n", "a\n1\n"},
		"JSON blank lines":     {"a.jsonl", "{\"a\":1}\n\n\n{\"a\":2}\n\n", "a\n1\n2\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w := parallel(t, map[string]string{c.file: c.text})
			query := "SELECT * FROM input"
			if c.file == "a.txt" {
				query = "SELECT line FROM input"
			}
			w.done(w.run("run", "-q", "--sql", query, c.file), c.want)
		})
	}
}

func TestUTF16IsRefused(t *testing.T) {
	needSQL(t)
	w := parallel(t, map[string]string{
		"le.csv": "\xff\xfek\x00,\x00v\x00\n\x00", "be.csv": "\xfe\xff\x00k\x00,\x00v\x00\n",
		"bare.csv": "k\x00,\x00v\x00\n\x00x\x00,\x001\x00\n\x00", "le.jsonl": "\xff\xfe{\x00}\x00\n\x00", "le.txt": "\xff\xfea\x00\n\x00",
	})
	for _, file := range []string{"le.csv", "be.csv", "bare.csv", "le.jsonl", "le.txt"} {
		w.fails(w.run("run", "--sql", "SELECT * FROM input", file), file, "UTF-16", "convert it to UTF-8", "iconv")
	}
}

// A file that is not as it was planned is never read as if it were.
func TestFilesThatChange(t *testing.T) {
	long := strings.Repeat("x,1\n", 1000)
	for how, change := range map[string]func(path string) error{
		"grown":     func(path string) error { return appendTo(path, "y,2\n") },
		"truncated": func(path string) error { return os.Truncate(path, 8) },
		"emptied":   func(path string) error { return os.Truncate(path, 0) },
		"deleted":   os.Remove,
		"replaced": func(path string) error {
			if err := os.WriteFile(path+".new", []byte(long), 0o644); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
	} {
		for _, format := range []string{"csv", "csv.gz", "jsonl", "txt"} {
			t.Run(how+" "+format, func(t *testing.T) {
				w := parallel(t, map[string]string{"a.txt": "first\n"})
				w.write("b."+format, long)
				if format == "csv.gz" {
					w.write("b.csv.gz", gzipped(t, long))
				}
				w.fifo("running")
				w.fifo("go")
				w.write("program", "#!/bin/sh\ncase \"$MILLRACE_FILE\" in *a.txt) echo ready >running; cat go;; esac\ncat >/dev/null\n")
				cmd := w.command("run", "--slots", "1", "--retries", "0", "--format", "lines", "--command", "sh program", "a.txt", "b."+format)
				go func() {
					w.heard("running")
					if err := change(w.path("b." + format)); err != nil {
						t.Error(err)
					}
					if err := os.WriteFile(w.path("go"), nil, 0o644); err != nil {
						t.Error(err)
					}
				}()
				w.fails(w.finish(cmd), "b."+format, "run the job again")
			})
		}
	}
}

func appendTo(path, text string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteString(text)
	return err
}

// What DuckDB reads by itself is checked too, before and after.
func TestTablesThatChange(t *testing.T) {
	needSQL(t)
	for _, format := range []string{"csv", "parquet", "arrow"} {
		t.Run(format, func(t *testing.T) {
			w := parallel(t, map[string]string{"rows.csv": "k,v\n" + strings.Repeat("x,1\n", 1000)})
			w.convert("rows.csv", "a."+format)
			cmd := w.command("run", "--log", "info", "--delay", "1s", "--sql", "SELECT sum(v) FROM input", "a."+format)
			out, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			said := w.until(out, "job planned", func() {
				if err := appendTo(w.path("a."+format), "x,1000\n"); err != nil {
					t.Error(err)
				}
			})
			cmd.Wait() // its status says how it ended
			w.fails(outcome{"", said, cmd.ProcessState.ExitCode()}, "a."+format, "changed")
		})
	}
}

func TestOddNames(t *testing.T) {
	w := parallel(t, nil)
	names := []string{
		"#hash", "$dollar", "%41", "'single", "-dash", "a b", "a\nb", "a\"b", "a'b", "a\\b", "a\tb", "br[ack]et", "cur{ly,x}",
		"qu?estion", "semi;colon", "st*r", "ünïcode 日本", "`touch x`", "~",
	}
	slices.Sort(names)
	for _, name := range names {
		w.write("odd/"+name+".txt", name+"\n")
	}
	want := strings.Join(names, "\n") + "\n"
	w.done(w.run("run", "-q", "--command", "cat", "odd"), want)
	w.done(w.run("run", "-q", "--command", "cat", "odd/*.txt"), want)
	var each []string
	for _, name := range names {
		each = append(each, "odd/"+name+".txt")
	}
	w.done(w.run(append([]string{"run", "-q", "--command", "cat"}, each...)...), want)
	w.done(w.run("run", "-q", "--shell", "--command", `cat "$MILLRACE_FILE"`, "odd"), want)
	if hasSQL {
		w.done(w.run("run", "-q", "--output-format", "lines", "--sql", "SELECT line FROM input", "odd"), want)
		w.done(w.run("run", "-q", "--sql", "SELECT count(DISTINCT file) AS n FROM input", "odd"), fmt.Sprintf("n\n%d\n", len(names)))
	}
	w.write("odd/bad\xff.txt", "x\n")
	w.fails(w.run("run", "--command", "cat", "odd"), `bad\xff.txt`, "not UTF-8")
}

func TestDeepFoldersAndLoops(t *testing.T) {
	w := parallel(t, map[string]string{"loop/a/f.txt": "f\n", "loop/b.txt": "b\n"})
	for link, to := range map[string]string{"loop/a/up": "..", "loop/a/self": ".", "loop/me": "me"} {
		if err := os.Symlink(to, w.path(link)); err != nil {
			t.Fatal(err)
		}
	}
	w.done(w.run("run", "-q", "--command", "cat", "loop"), "f\nb\n")
	w.done(w.run("run", "-q", "--command", "cat", "loop/**/*.txt"), "f\nb\n")
	w.fails(w.run("run", "-q", "--command", "cat", "loop/me"), "loop/me")

	deep := filepath.Join("deep", strings.Repeat("folder/", 150))
	w.write(filepath.Join(deep, "x.txt"), "x\n")
	w.done(w.run("run", "-q", "--command", "cat", "deep"), "x\n")
	w.done(w.run("run", "-q", "--command", "cat", "deep/**/*.txt"), "x\n")
}

func TestTinyFiles(t *testing.T) {
	needSQL(t)
	n := 20_000
	switch {
	case os.Getenv("MILLRACE_TEST_LARGE") != "":
		n = 100_000
	case testing.Short():
		n = 2_000
	}
	w := parallel(t, nil)
	for i := range n {
		w.write(fmt.Sprintf("tiny/%d/%06d.csv", i%50, i), fmt.Sprintf("k,v\nx,%d\n", i))
	}
	want := fmt.Sprintf("n,s\n%d,%d\n", n, n*(n-1)/2)
	got := w.run("run", "--stats", "stats.json", "--sql", "SELECT count(*) AS n, sum(v) AS s FROM input", "tiny/*/*.csv")
	w.done(got, want, "done in")
	if peak := w.stats("stats.json").PeakMemory; peak > 1<<30 {
		t.Errorf("%d bytes of memory", peak)
	}
	w.done(w.run("run", "-q", "--batch-files", "500", "--command", "grep -c x", "--output", "out", "tiny"), "")
}

// A large file that is mostly a hole: nothing of it is kept.
func TestOneLargeFile(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	w := parallel(t, nil)
	line := strings.Repeat("\x00", 1<<20-1) + "\n"
	file, err := os.Create(w.path("large.bin"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const lines = 1024
	for i := range int64(lines) {
		if _, err := file.WriteAt([]byte("\n"), i*int64(len(line))+int64(len(line))-1); err != nil {
			t.Fatal(err)
		}
	}
	got := w.run("run", "--format", "lines", "--batch-bytes", "256MiB", "--stats", "stats.json", "--command", "wc -c", "large.bin")
	w.done(got, strings.Repeat("268435456\n", 4))
	if peak := w.stats("stats.json").PeakMemory; peak > 256<<20 {
		t.Errorf("%d bytes of memory", peak)
	}
}
