//go:build unix

package main_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestCommandsThatCantBeSplit(t *testing.T) {
	w := parallel(t, map[string]string{"a.txt": "a\n"})
	w.want(w.run("run", "a.txt", "--command", "echo 'x"), 2, "", "quote that is never closed")
}

func TestCommandsThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		said []string
	}{
		"missing":        {[]string{"--command", "no-such-program -x"}, []string{`"no-such-program" is not on the PATH`, "install it"}},
		"missing path":   {[]string{"--command", "./no/such"}, []string{`"./no/such" is not there`}},
		"no program":     {[]string{"--command", "./a.txt"}, []string{`"./a.txt" can't be run`, "permission denied"}},
		"a folder":       {[]string{"--command", "/tmp"}, []string{`"/tmp" can't be run`, "is a directory"}},
		"no interpreter": {[]string{"--command", "./script"}, []string{"./script", "#!"}},
		"missing in a shell": {[]string{"--shell", "--command", "no-such-program"},
			[]string{"status 127", "a program in it was not found", "no-such-program"}},
		"exit 3": {[]string{"--retries", "0", "--shell", "--command", "echo one >&2; echo two >&2; exit 3"},
			[]string{"exited with status 3: two", "exit status: 3", "  | one\n  | two\n", "a.txt"}},
		"killed":     {[]string{"--retries", "0", "--shell", "--command", "echo last >&2; kill -9 $$"}, []string{"killed by SIGKILL", "signal: SIGKILL", "  | last"}},
		"aborted":    {[]string{"--retries", "0", "--shell", "--command", "kill -ABRT $$"}, []string{"killed by SIGABRT"}},
		"hangs":      {[]string{"--retries", "0", "--timeout", "200ms", "--shell", "--command", "echo last >&2; sleep 1000"}, []string{"longer than the 200ms", "  | last"}},
		"hangs deaf": {[]string{"--retries", "0", "--timeout", "200ms", "--shell", "--command", "trap '' TERM INT HUP; sleep 1000; sleep 1000"}, []string{"longer than the 200ms"}},
		"deadline":   {[]string{"--deadline", "300ms", "--command", "sleep 1000"}, []string{"not done 300ms after its submission"}},
		"no Arrow": {[]string{"--retries", "0", "--command", "echo hi", "--command-output", "arrow", "--output-format", "csv"},
			[]string{"echo hi", "should write an Arrow IPC stream"}},
		"no JSON":       {[]string{"--command", "echo hi", "--command-output", "json", "--output-format", "csv"}, []string{"no JSON object", `"hi"`}},
		"warm and gone": {[]string{"--retries", "0", "--warm", "--command", "true"}, []string{"warm command", "without an answer"}},
		"warm and mute": {[]string{"--retries", "0", "--warm", "--timeout", "200ms", "--command", "sleep 1000"}, []string{"longer than the 200ms"}},
		"odd bytes":     {[]string{"--retries", "0", "--shell", "--command", `printf 'a\377b\000c' >&2; exit 4`}, []string{"status 4"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := parallel(t, map[string]string{"a.txt": "a\n", "script": "echo no line with the interpreter\n"})
			if err := os.Chmod(w.path("script"), 0o755); err != nil {
				t.Fatal(err)
			}
			if name == "no interpreter" {
				w.write("script", "\x01\x02\x03")
			}
			got := w.run(append([]string{"run", "--output", "out", "a.txt"}, c.args...)...)
			w.fails(got, c.said...)
			if strings.Contains(got.stderr, "level=") {
				t.Errorf("it is logged besides:\n%s", got.stderr)
			}
			if left := w.list("out"); len(left) > 0 {
				t.Errorf("left in the output: %v", left)
			}
		})
	}
}

// What fails is tried again as often as was said, and what it wrote is not in
// the result.
func TestCommandsAreTriedAgain(t *testing.T) {
	const flaky = `cat; echo x >>tries; test $(wc -l <tries) -ge 3`
	w := parallel(t, map[string]string{"a.txt": "a\n"})
	w.done(w.run("run", "--shell", "--command", flaky, "--stats", "stats.json", "a.txt"), "a\n", "2 retries")
	if s := w.stats("stats.json"); s.Retries != 2 || s.RecordsIn != 1 || s.RecordsOut != 1 {
		t.Errorf("%+v", s)
	}
	w.write("tries", "")
	w.fails(w.run("run", "--shell", "--command", flaky, "--retries", "1", "--stats", "stats.json", "a.txt"), "exited with status 1")
	if s := w.stats("stats.json"); s.Retries != 1 {
		t.Errorf("%+v", s)
	}
}

// Programs may leave their input unread, or close it.
func TestCommandsThatDoNotListen(t *testing.T) {
	w := parallel(t, map[string]string{"a.txt": strings.Repeat("0123456789\n", 1<<20)})
	w.done(w.run("run", "-q", "--command", "true", "a.txt"), "")
	w.done(w.run("run", "-q", "--command", "head -c 4", "a.txt"), "0123")
	w.done(w.run("run", "-q", "--shell", "--command", "exec <&-; echo closed", "a.txt"), "closed\n")
	w.fails(w.run("run", "-q", "--command", "false", "--retries", "0", "a.txt"), "exited with status 1")
}

// No program that a batch started outlives it, whoever its parent is by then.
func TestCommandsThatLeaveChildren(t *testing.T) {
	for name, shell := range map[string]string{
		"in the background": "sleep 1001 & echo done",
		"quiet":             "sleep 1001 >/dev/null 2>&1 </dev/null & echo done",
		"of a child":        "(sleep 1001 & sleep 1002 &) ; echo done",
		"in a session":      "setsid sleep 1001 >/dev/null 2>&1 </dev/null & echo done",
		"deaf":              "(trap '' TERM HUP INT; sleep 1001; sleep 1002) >/dev/null & echo done",
	} {
		t.Run(name, func(t *testing.T) {
			w := parallel(t, map[string]string{"a.txt": "a\n"})
			if strings.Contains(shell, "setsid") {
				if _, err := exec.LookPath("setsid"); err != nil {
					t.Skip("no program setsid")
				}
			}
			w.done(w.run("run", "-q", "--shell", "--command", shell, "a.txt"), "done\n")
			w.nothingRuns()
		})
	}
}

// Much output is passed on without being held in memory.
func TestCommandsThatSayMuch(t *testing.T) {
	size := 400 << 20
	if testing.Short() {
		size = 100 << 20
	}
	w := parallel(t, map[string]string{"a.txt": "a\n", "b.txt": "b\n"})
	cmd := w.command("run", "--stats", "stats.json", "--shell", "--command", fmt.Sprintf("yes | head -c %d", size/2), "a.txt", "b.txt")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, out)
	if err != nil || n != int64(size) {
		t.Errorf("%d bytes, want %d: %v", n, size, err)
	}
	w.done(ended(cmd, &stderr), "")
	if peak := w.stats("stats.json").PeakMemory; peak > 256<<20 {
		t.Errorf("%d bytes of memory", peak)
	}
	got := w.run("run", "--retries", "0", "--stats", "errors.json", "--shell", "--command", fmt.Sprintf("yes error | head -c %d >&2; exit 1", size/4), "a.txt")
	w.fails(got, "exited with status 1", "  | error")
	if peak := w.stats("errors.json").PeakMemory; peak > 256<<20 || len(got.stderr) > 32<<10 {
		t.Errorf("%d bytes of memory, %d of errors", peak, len(got.stderr))
	}
}

// ended waits for a process, which is then done with stderr too.
func ended(cmd *exec.Cmd, stderr *bytes.Buffer) outcome {
	cmd.Wait() // its status says how it ended
	return outcome{"", stderr.String(), cmd.ProcessState.ExitCode()}
}

func TestFunctionsThatFail(t *testing.T) {
	w := parallel(t, map[string]string{"a.txt": "a\n", "boom.txt": "fine\nboom\n", "stuck.txt": "stuck\n"})
	w.program = functions
	got := w.run("run", "--function", "panics", "--retries", "0", "a.txt", "boom.txt")
	w.want(got, 1, got.stdout, "panicked at", "boom.txt, offset 5: struck boom", "  | goroutine", "main.main")
	w.fails(w.run("run", "--function", "endless", "--retries", "0", "--timeout", "200ms", "--output", "out", "a.txt", "stuck.txt"), "longer than the 200ms", "stuck.txt")
	w.fails(w.run("run", "--function", "deaf", "--retries", "0", "--timeout", "200ms", "--output", "out", "a.txt"), "longer than the 200ms")
	w.fails(w.run("run", "--function", "nobody", "a.txt"), `"nobody"`, "ask, count, deaf, double, endless, panics, same, silent")
	w.done(w.run("run", "-q", "--function", "silent", "a.txt"), "")
	w.done(w.run("run", "-q", "--function", "silent", "--output", "out", "a.txt"), "")
	if left := strings.Join(w.list("out"), " "); left != "_SUCCESS" {
		t.Errorf("out holds %s", left)
	}
}
