//go:build unix

package main_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// busy starts a job whose program holds the pipe "life" open for as long as it
// or a child of it lives, and waits until it does.
func (w *world) busy(args ...string) (cmd *exec.Cmd, life *os.File, stderr *bytes.Buffer) {
	w.Helper()
	w.fifo("life")
	cmd, stderr = w.command(args...), &bytes.Buffer{}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	life, err := os.Open(w.path("life"))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { life.Close() })
	if _, err := io.ReadFull(life, make([]byte, len("ready\n"))); err != nil {
		w.Fatal(err)
	}
	return cmd, life, stderr
}

// lives is a program that never ends by itself, with a child.
const lives = "exec 7>life; echo ready >&7; sleep 1003 & sleep 1004"

func (w *world) signal(cmd *exec.Cmd, signal os.Signal) {
	w.Helper()
	if err := cmd.Process.Signal(signal); err != nil {
		w.Fatal(err)
	}
}

// A process that is killed takes its programs with it, and the next one cleans
// up after it.
func TestKilled(t *testing.T) {
	w := parallel(t, map[string]string{"a.txt": "a\n"})
	cmd, life, _ := w.busy("run", "--shell", "--command", lives, "--output", "out", "a.txt")
	w.signal(cmd, syscall.SIGKILL)
	if _, err := io.ReadAll(life); err != nil { // ends when all that held it have
		t.Error(err)
	}
	cmd.Wait() // it was killed, and says so
	if left, err := os.ReadDir(w.temp); err != nil || len(left) != 1 {
		t.Errorf("left by the dead: %v %v", left, err)
	}
	w.done(w.run("run", "-q", "--command", "cat", "--output", "out2", "a.txt"), "")
}

func TestInterrupted(t *testing.T) {
	for signal, status := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		t.Run(signal.String(), func(t *testing.T) {
			w := parallel(t, map[string]string{"a.txt": "a\n"})
			cmd, life, stderr := w.busy("run", "--shell", "--command", lives, "--output", "out", "a.txt")
			w.signal(cmd, signal)
			w.want(ended(cmd, stderr), status, "")
			if text, err := io.ReadAll(life); err != nil || len(text) > 0 {
				t.Errorf("%q, %v", text, err)
			}
			if !strings.Contains(stderr.String(), "interrupted") {
				t.Errorf("said: %s", stderr)
			}
			if left := w.list("out"); len(left) > 0 {
				t.Errorf("left in the output: %v", left)
			}
		})
	}
}

// The second signal ends what the first can't: a function that is deaf.
func TestInterruptedTwice(t *testing.T) {
	w := parallel(t, map[string]string{"a.txt": "a\n", "b.txt": "b\n"})
	w.program = functions
	cmd := w.command("run", "--log", "debug", "--function", "deaf", "a.txt")
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.until(out, "job planned", func() {
		w.signal(cmd, syscall.SIGINT)
		w.signal(cmd, syscall.SIGTERM)
	})
	if status := ended(cmd, &bytes.Buffer{}).status; status != 130 && status != 143 {
		t.Errorf("status %d", status)
	}
	w.done(w.run("run", "-q", "--function", "silent", "a.txt"), "") // cleans up
}

// Whoever reads may have enough: that is no failure, and nothing goes on.
func TestHead(t *testing.T) {
	w := parallel(t, map[string]string{"a.txt": strings.Repeat("line\n", 1<<20), "b.txt": "b\n"})
	for _, args := range [][]string{
		{"--command", "cat", "a.txt", "a.txt", "b.txt"},
		{"--shell", "--command", "yes | head -c 200000000", "a.txt", "b.txt"},
		{"--sql", "SELECT line FROM input", "a.txt"},
	} {
		if args[0] == "--sql" && !hasSQL {
			continue
		}
		cmd := w.command(append([]string{"run"}, args...)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReaderSize(out, 16).ReadString('\n'); err != nil || strings.TrimSpace(line) == "" {
			t.Errorf("%q, %v", line, err)
		}
		out.Close()
		w.done(ended(cmd, &stderr), "")
		if stderr.Len() > 0 {
			t.Errorf("%v: said %s", args, &stderr)
		}
	}
}
