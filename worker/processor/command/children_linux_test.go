package command

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// patience is how long a process may take to go: far longer than it ever does.
const patience = 20_000 // milliseconds

// watched is a process that should end.
type watched struct{ pid, fd int }

// watch holds on to a process, so that its number can't become another's.
func watch(t *testing.T, text string) watched {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return watched{pid, -1}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return watched{pid, fd}
}

// gone fails the test when the process does not end.
func (w watched) gone(t *testing.T, what string) {
	t.Helper()
	if w.fd < 0 {
		return
	}
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}, patience)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n == 0 || err != nil {
			t.Errorf("%s (process %d) still runs: %v", what, w.pid, err)
			_ = unix.Kill(w.pid, unix.SIGKILL)
		}
		return
	}
}

var members = []string{"the child", "the grandchild", "the child in a session of its own"}

func TestChildrenLeftBehindAreKilled(t *testing.T) {
	var left []watched
	dir := t.TempDir()
	s := New(&pb.CommandStep{Argv: []string{family + `until [ -e "$DIR/go" ]; do sleep 0.01; done`},
		Options: &pb.CommandOptions{Shell: true, Env: map[string]string{"DIR": dir}}})
	defer s.Close()
	out := &lineSink{line: func(line string) {
		if left = append(left, watch(t, line)); len(left) == len(members) {
			if err := os.WriteFile(dir+"/go", nil, 0o600); err != nil {
				t.Error(err)
			}
		}
	}}
	if err := s.Run(t.Context(), &newAttempt(t).Attempt, texts(""), out); err != nil {
		t.Fatal(err)
	}
	for i, w := range left {
		w.gone(t, members[i])
	}
}

func TestCancelKillsEverything(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("out of time")
	var left []watched
	out := &lineSink{line: func(line string) {
		if left = append(left, watch(t, line)); len(left) == len(members) {
			cancel(stop)
		}
	}}
	err := shell(t, nil, "echo some words >&2;"+family+"wait").Run(ctx, &newAttempt(t).Attempt, texts(""), out)
	if !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	if f := failure(t, err, pb.OutcomeClass_OUTCOME_CLASS_CANCELLED); f.GetDetail() != "some words\n" {
		t.Errorf("its last words are %q", f.GetDetail())
	}
	for i, w := range left {
		w.gone(t, members[i])
	}
}

func TestTimeoutKillsAProgramThatIgnoresSignals(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := shell(t, nil, `trap '' TERM INT HUP; while :; do sleep 1; done`).Run(ctx, &newAttempt(t).Attempt, texts(""), &sink{})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestABlockedInputEndsWithItsProgram(t *testing.T) {
	reader, writer := io.Pipe()
	defer writer.Close()
	in := processor.Input{Format: pb.Format_FORMAT_LINES, Parts: []processor.Part{{
		Open: func(ctx context.Context) (io.ReadCloser, error) {
			context.AfterFunc(ctx, func() { reader.CloseWithError(ctx.Err()) })
			return reader, nil
		},
	}}}
	if got, err := run(t, shell(t, nil, "echo done"), in); err != nil || got != "done\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestNothingOutlivesAWorkerThatIsKilled(t *testing.T) {
	worker := exec.Command(os.Args[0])
	worker.Env = append(os.Environ(), workerTest+"=1")
	worker.Stderr = os.Stderr
	pipe, err := worker.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	var left []watched
	lines := bufio.NewScanner(pipe)
	for len(left) < len(members)+1 && lines.Scan() {
		left = append(left, watch(t, lines.Text()))
	}
	if err := worker.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = worker.Wait()
	if len(left) != len(members)+1 {
		t.Fatalf("the worker started %d processes", len(left))
	}
	for i, w := range left {
		w.gone(t, append(members, "the program")[i])
	}
}

// A process that is becoming another program shows no environment, and is looked
// at again; others that show none are not.
func TestWhoChangesIsLookedAtAgain(t *testing.T) {
	stat := filepath.Join(t.TempDir(), "stat")
	write := func(state, flags, envStart, envEnd string) {
		fields := append([]string{state}, strings.Fields(strings.Repeat("1 ", 50))...)
		fields[statFlags-statState], fields[statEnvStart-statState], fields[statEnvEnd-statState] = flags, envStart, envEnd
		if err := os.WriteFile(stat, []byte("7 (a ) b) "+strings.Join(fields, " ")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		state, flags, envStart, envEnd string
		want                           bool
	}{
		{"R", "4194304", "0", "0", true}, {"R", "4194304", "140725214400001", "0", true},
		{"S", "4194304", "140725214400001", "140725214400489", true}, // it was changing when it was looked at
		{"S", "4194304", "140725214400489", "140725214400489", false},
		{"Z", "4194304", "0", "0", false}, {"S", "2129984", "0", "0", false},
	} {
		write(test.state, test.flags, test.envStart, test.envEnd)
		if changing(stat) != test.want {
			t.Errorf("%+v: changing = %t", test, !test.want)
		}
	}
	if changing("/proc/0/stat") {
		t.Error("no process is changing")
	}
}
