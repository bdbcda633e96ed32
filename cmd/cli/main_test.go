package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/worker"
)

// actAsMillrace makes the test's own binary a millrace with a few functions: the
// command line is tested as real processes, and nothing has to be built for it.
const actAsMillrace = "MILLRACE_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(actAsMillrace) != "" {
		Main(
			worker.Map("upper", func(line string, emit func(string)) error {
				emit(strings.ToUpper(line))
				return nil
			}),
			worker.Keyed("words", func(line string, emit func(string, int64)) error {
				for word := range strings.FieldsSeq(line) {
					emit(word, 1)
				}
				return nil
			}, func(a, b int64) int64 { return a + b }),
			worker.Map("forever", func(string, func(string)) error {
				if err := os.WriteFile("running", []byte("running\n"), 0o600); err != nil {
					return err
				}
				select {}
			}),
			worker.Map("panics", func(string, func(string)) error { panic("oh no") }),
		)
	}
	os.Exit(m.Run())
}

// patience bounds a process that hangs; it is never waited for otherwise.
const patience = 60 * time.Second

// world is a folder to run processes in.
type world struct {
	*testing.T
	dir  string
	temp string
}

// place makes a world with files. When the test ends, no process may have left
// anything in the folder for temporary files.
func place(t *testing.T, files map[string]string) *world {
	t.Helper()
	w := &world{t, t.TempDir(), t.TempDir()}
	for name, text := range files {
		path := filepath.Join(w.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		left, err := os.ReadDir(w.temp)
		if err != nil || len(left) > 0 {
			t.Errorf("left among the temporary files: %v %v", left, err)
		}
	})
	return w
}

// command is a process that has not been started.
func (w *world) command(args ...string) *exec.Cmd {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.Cleanup(cancel)
	self, err := os.Executable()
	if err != nil {
		w.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), actAsMillrace+"=1", "TMPDIR="+w.temp, "XDG_CONFIG_HOME="+filepath.Join(w.dir, "config"))
	return cmd
}

// outcome is what a process left.
type outcome struct {
	stdout, stderr string
	status         int
}

// run runs a process to its end, with text on its standard input.
func (w *world) run(stdin string, args ...string) outcome {
	w.Helper()
	cmd := w.command(args...)
	cmd.Stdin = io.MultiReader(strings.NewReader(stdin)) // a pipe, not a file
	return w.finish(cmd)
}

func (w *world) finish(cmd *exec.Cmd) outcome {
	w.Helper()
	var stdout, stderr bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &stdout
	}
	cmd.Stderr = &stderr
	return w.judge(cmd, cmd.Run(), &stdout, &stderr)
}

func (w *world) judge(cmd *exec.Cmd, err error, stdout, stderr *bytes.Buffer) outcome {
	w.Helper()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.Fatalf("%v: %v", cmd.Args[1:], err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// want checks an outcome: the status, all of standard output, and what must be
// said on standard error.
func (w *world) want(got outcome, status int, stdout string, said ...string) {
	w.Helper()
	if got.status != status || got.stdout != stdout {
		w.Errorf("status %d, want %d; output:\n%s\nwant:\n%s\nerrors:\n%s", got.status, status, got.stdout, stdout, got.stderr)
	}
	for _, text := range said {
		if !strings.Contains(got.stderr, text) {
			w.Errorf("%q is not said in:\n%s", text, got.stderr)
		}
	}
}
