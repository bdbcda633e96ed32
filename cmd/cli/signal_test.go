//go:build unix

package cli

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// started starts a job whose program says that it runs, and waits until it does.
// It gives back the process, with the rest of its output and its errors.
func (w *world) started(args ...string) (*exec.Cmd, io.Reader, *bytes.Buffer) {
	w.Helper()
	cmd := w.command(args...)
	stderr := &bytes.Buffer{}
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		w.Fatal(err)
	}
	fifo := filepath.Join(w.dir, "running")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		w.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	// Opening the fifo waits for the program that writes to it.
	signal, err := os.Open(fifo)
	if err != nil {
		w.Fatal(err)
	}
	defer signal.Close()
	if line, err := bufio.NewReader(signal).ReadString('\n'); err != nil || line != "running\n" {
		w.Fatalf("%q, %v", line, err)
	}
	return cmd, stdout, stderr
}

const hangs = "echo running >running; sleep 1000"

func TestInterruptCancels(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		w := place(t, books)
		cmd, _, stderr := w.started("run", "--shell", "--command", hangs, "books/a.txt")
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		got := w.judge(cmd, cmd.Wait(), &bytes.Buffer{}, stderr)
		w.want(got, 128+int(signal), "", "interrupted")
		w.gone("sleep")
	}
}

// A function that never returns can't be ended, but the process can.
func TestTheSecondSignalEndsAtOnce(t *testing.T) {
	w := place(t, books)
	cmd, _, _ := w.started("run", "--function", "forever", "books/a.txt")
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
	}
	cmd.Wait() // its status says how it ended
	if status := cmd.ProcessState.ExitCode(); status != 130 && status != 143 {
		t.Errorf("status %d", status)
	}
	w.run("", "run", "-q", "--command", "cat", "books/a.txt") // cleans up after it
}

// gone checks that no process of this test's is left that runs a command.
func (w *world) gone(command string) {
	w.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		w.Fatal(err)
	}
	for _, cwd := range processes {
		if at, err := os.Readlink(cwd); err == nil && at == w.dir {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(cwd), "cmdline"))
			if !bytes.Contains(line, []byte(command)) {
				continue
			}
			w.Errorf("%s runs still", strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
}

// Whoever reads may stop: that is no error, and nothing goes on.
func TestClosedPipeEndsQuietly(t *testing.T) {
	w := place(t, books)
	cmd := w.command("run", "--shell", "--command", "yes | head -c 100000000", "books")
	stderr := &bytes.Buffer{}
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReaderSize(stdout, 16).ReadString('\n'); err != nil || line != "y\n" {
		t.Fatalf("%q, %v", line, err)
	}
	stdout.Close()
	got := w.judge(cmd, cmd.Wait(), &bytes.Buffer{}, stderr)
	w.want(got, 0, "")
	if got.stderr != "" {
		t.Errorf("said: %s", got.stderr)
	}
	w.gone("yes")
}

func TestFullDiskIsToldOfTheResult(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("no /dev/full: %v", err)
	}
	defer full.Close()
	w := place(t, books)
	cmd := w.command("run", "--command", "cat", "books")
	cmd.Stdout = full
	w.want(w.finish(cmd), 1, "", "write the result", "no space left")
}

// What commands print must arrive, but for who has read enough.
func TestWhatIsPrintedArrives(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("no /dev/full: %v", err)
	}
	defer full.Close()
	nobody, closed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Close()
	nobody.Close()
	w := place(t, books)
	for _, args := range [][]string{{"version"}, {"version", "--json"}, {"schema"}, {"help"}, {"run", "--explain", "--command", "cat", "books"}} {
		cmd := w.command(args...)
		cmd.Stdout = full
		w.want(w.finish(cmd), 1, "", "millrace: ", "no space left")
		cmd = w.command(args...)
		cmd.Stdout = closed
		if got := w.finish(cmd); got.status != 0 || got.stderr != "" {
			t.Errorf("%v, read by nobody: %+v", args, got)
		}
	}
}

// A process that is killed leaves its folder to the next one.
func TestTheNextRunCleansUp(t *testing.T) {
	w := place(t, books)
	cmd, _, _ := w.started("run", "--shell", "--command", hangs, "books/a.txt")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // it was killed, and says so
	if left, err := os.ReadDir(w.temp); err != nil || len(left) != 1 {
		t.Fatalf("left by the dead: %v %v", left, err)
	}
	w.want(w.run("", "run", "-q", "--command", "wc -w", "books/a.txt"), 0, "3\n")
}
