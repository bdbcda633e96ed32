//go:build unix

// These tests run the program as its users do: a real process, over real files,
// most of them broken on purpose. What is checked is the exit status, what is
// said, and that nothing is left behind.
package main_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/millrace/millrace/cmd/cli" // a result is no longer good when the program has changed
)

// The programs that the tests run, built once.
var millrace, functions, wordcount, gradient string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "millrace-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := errors.Join(os.Chmod(dir, 0o755), build(dir)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// build builds the programs. Those with functions need no SQL, and are built
// faster without it.
func build(dir string) error {
	millrace = filepath.Join(dir, "millrace")
	functions, wordcount, gradient = filepath.Join(dir, "functions"), filepath.Join(dir, "wordcount"), filepath.Join(dir, "gradient")
	main := exec.Command("go", "build", "-o", dir, ".")
	others := exec.Command("go", "build", "-o", dir, "./testdata/functions", "../../examples/wordcount", "../../examples/gradient")
	others.Env = append(os.Environ(), "CGO_ENABLED=0")
	for _, cmd := range []*exec.Cmd{main, others} {
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
		}
	}
	return nil
}

// patience bounds a process that hangs; it is never waited for otherwise.
const patience = 90 * time.Second

// world is a folder to run processes in.
type world struct {
	*testing.T
	dir, temp string
	program   string
	env       []string
}

// place makes a world with files. When the test ends, no process of it may run
// any more, and nothing may be left in its folder for temporary files.
func place(t *testing.T, files map[string]string) *world {
	t.Helper()
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, dir: filepath.Join(base, "work"), temp: filepath.Join(base, "temp"), program: millrace}
	if err := errors.Join(os.Mkdir(w.dir, 0o755), os.Mkdir(w.temp, 0o777)); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		w.write(name, text)
	}
	t.Cleanup(func() {
		w.nothingRuns()
		if left, err := os.ReadDir(w.temp); err != nil || len(left) > 0 {
			t.Errorf("left among the temporary files: %v %v", left, err)
		}
	})
	return w
}

// parallel is place for a test that runs beside others.
func parallel(t *testing.T, files map[string]string) *world {
	t.Helper()
	t.Parallel()
	return place(t, files)
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(name, text string) {
	w.Helper()
	if err := os.MkdirAll(filepath.Dir(w.path(name)), 0o755); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(w.path(name), []byte(text), 0o644); err != nil {
		w.Fatal(err)
	}
}

func (w *world) read(name string) string {
	w.Helper()
	data, err := os.ReadFile(w.path(name))
	if err != nil {
		w.Fatal(err)
	}
	return string(data)
}

// list names what is in a folder; nothing when there is none.
func (w *world) list(folder string) []string {
	entries, _ := os.ReadDir(w.path(folder))
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// command is a process that has not been started.
func (w *world) command(args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, w.program, args...)
	cmd.Dir = w.dir
	cmd.Env = append(append(os.Environ(), "TMPDIR="+w.temp), w.env...)
	return cmd
}

// outcome is what a process left.
type outcome struct {
	stdout, stderr string
	status         int
}

// run runs a process to its end.
func (w *world) run(args ...string) outcome {
	w.Helper()
	return w.finish(w.command(args...))
}

func (w *world) finish(cmd *exec.Cmd) outcome {
	w.Helper()
	var stdout, stderr bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &stdout
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &stderr
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.Fatalf("%q: %v", cmd.Args[1:], err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// done checks that a run succeeded with just this output.
func (w *world) done(got outcome, stdout string, said ...string) {
	w.Helper()
	w.want(got, 0, stdout, said...)
}

// fails checks that a run failed without any output, and what it said.
func (w *world) fails(got outcome, said ...string) {
	w.Helper()
	w.want(got, 1, "", said...)
}

func (w *world) want(got outcome, status int, stdout string, said ...string) {
	w.Helper()
	if got.status != status || got.stdout != stdout {
		w.Errorf("status %d, want %d; output:\n%.2000q\nwant:\n%.2000q\nerrors:\n%.4000s", got.status, status, got.stdout, stdout, got.stderr)
	}
	for _, text := range said {
		if !strings.Contains(got.stderr, text) {
			w.Errorf("%q is not said in:\n%.4000s", text, got.stderr)
		}
	}
	for _, text := range []string{"goroutine ", "panic:", "nil pointer", "stage :"} {
		if status != 0 && strings.Contains(firstLine(got.stderr), text) {
			w.Errorf("%q is said in:\n%.4000s", text, got.stderr)
		}
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// nothingRuns checks that no process is left of those that this world started,
// and they in turn: its folder for temporary files is in their environment.
func (w *world) nothingRuns() {
	w.Helper()
	processes, _ := filepath.Glob("/proc/[0-9]*/environ") // none where there is no /proc
	for _, path := range processes {
		if env, err := os.ReadFile(path); err == nil && bytes.Contains(env, []byte("TMPDIR="+w.temp+"\x00")) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
			w.Errorf("still runs: %s", strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
}

// fifo makes a named pipe. Opening it waits for the other side.
func (w *world) fifo(name string) {
	w.Helper()
	if err := syscall.Mkfifo(w.path(name), 0o666); err != nil {
		w.Fatal(err)
	}
}

// heard waits until a program has said "ready" into a named pipe.
func (w *world) heard(name string) {
	w.Helper()
	file, err := os.Open(w.path(name))
	if err != nil {
		w.Fatal(err)
	}
	defer file.Close()
	if text, err := io.ReadAll(file); err != nil || string(text) != "ready\n" {
		w.Fatalf("%s: %q, %v", name, text, err)
	}
}

// needSQL skips a test where the build has no SQL.
func needSQL(t *testing.T) {
	t.Helper()
	if !hasSQL {
		t.Skip("this build has no SQL")
	}
}
