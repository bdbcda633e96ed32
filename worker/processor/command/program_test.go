package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

const (
	retryable = pb.OutcomeClass_OUTCOME_CLASS_RETRYABLE
	unable    = pb.OutcomeClass_OUTCOME_CLASS_UNABLE
)

func TestBytesPassUntouched(t *testing.T) {
	text := "plain\r\n\x00\xff\xfe\n\n  tail"
	got, err := run(t, step(t, nil, "cat"), texts(text))
	if err != nil || got != text {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestPartsAreOneStream(t *testing.T) {
	a := newAttempt(t)
	var out sink
	if err := step(t, nil, "cat").Run(t.Context(), &a.Attempt, texts("a\nb", "c\n", "", "d"), &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != "a\nb\nc\nd" && out.String() != "a\nb\nc\nd\n" {
		t.Errorf("got %q", out.String())
	}
	if a.records != 4 {
		t.Errorf("%d records, want 4", a.records)
	}
}

func TestWholeFileIsGivenAsItIs(t *testing.T) {
	text := strings.Repeat("some words in a line\n", 1000)
	a := newAttempt(t)
	var out sink
	s := shell(t, nil, `readlink /proc/self/fd/0; wc -l`)
	in := inFile(t, "words.txt", text, pb.Format_FORMAT_LINES, nil)
	if err := s.Run(t.Context(), &a.Attempt, in, &out); err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(out.String()); len(got) != 2 || got[0] != in.Parts[0].Name || got[1] != "1000" {
		t.Errorf("got %q", out.String())
	}
	if a.records != 1000 || a.bytes != int64(len(text)) {
		t.Errorf("counted %d records, %d bytes", a.records, a.bytes)
	}
}

func TestFilesThatNeedAReaderComeThroughAPipe(t *testing.T) {
	in := inFile(t, "bom.txt", "\xef\xbb\xbfa\nb\n", pb.Format_FORMAT_LINES, nil)
	if got, err := run(t, step(t, nil, "cat"), in); err != nil || got != "a\nb\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestExitStatuses(t *testing.T) {
	in := texts("a\nb\n")
	_, err := run(t, shell(t, nil, "echo one >&2; echo two >&2; exit 3"), in)
	f := failure(t, err, retryable)
	if f.GetExitStatus() != 3 || f.GetDetail() != "one\ntwo\n" || !strings.Contains(f.GetMessage(), "status 3: two") {
		t.Errorf("got %v", f)
	}
	if _, err := run(t, step(t, nil, "grep", "zzz"), in); err == nil {
		t.Error("grep without a match succeeds")
	}
	got, err := run(t, step(t, &pb.CommandOptions{OkExit: []uint32{0, 1}}, "grep", "zzz"), in)
	if err != nil || got != "" {
		t.Errorf("with status 1 allowed: %q, %v", got, err)
	}
	if _, err := run(t, shell(t, &pb.CommandOptions{OkExit: []uint32{5}}, "exit 0"), in); err == nil {
		t.Error("0 is not among the statuses that mean success")
	}
}

// What one worker lacks another may have.
func TestProgramsThatCantBeRun(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"no-such-program-here": "PATH", "/no/such/file": "not there", t.TempDir(): "can't be run", plain: "no program",
	} {
		_, err := run(t, step(t, nil, name), texts("a\n"))
		if f := failure(t, err, unable); !strings.Contains(f.GetMessage(), want) {
			t.Errorf("%s: %s", name, f.GetMessage())
		}
	}
	_, err := run(t, shell(t, nil, "no-such-program-here"), texts("a\n"))
	failure(t, err, unable)
}

func TestSignal(t *testing.T) {
	_, err := run(t, shell(t, nil, "echo dying >&2; kill -SEGV $$"), texts("a\n"))
	f := failure(t, err, pb.OutcomeClass_OUTCOME_CLASS_KILLED_SIGNAL)
	if f.GetSignal() != "SIGSEGV" || !strings.Contains(f.GetDetail(), "dying") {
		t.Errorf("got %v", f)
	}
}

func TestStdinMayBeClosedEarly(t *testing.T) {
	text := strings.Repeat("a line of the input\n", 500_000)
	got, err := run(t, step(t, nil, "head", "-n", "1"), texts(text))
	if err != nil || got != "a line of the input\n" {
		t.Errorf("got %q, %v", got, err)
	}
	in := inFile(t, "long.txt", text, pb.Format_FORMAT_LINES, nil)
	if got, err := run(t, step(t, nil, "head", "-n", "1"), in); err != nil || got != "a line of the input\n" {
		t.Errorf("of a file: %q, %v", got, err)
	}
}

// A counting output shows that a gigabyte needs no memory.
type discard struct{ n int64 }

func (d *discard) Write(p []byte) (int, error) { d.n += int64(len(p)); return len(p), nil }

func TestAGigabyteIsStreamed(t *testing.T) {
	if testing.Short() {
		t.Skip("a gigabyte takes a second")
	}
	var out struct {
		sink
		discard
	}
	s := shell(t, nil, "head -c 1G /dev/zero")
	err := s.Run(t.Context(), &newAttempt(t).Attempt, texts(""), both{&out.discard, &out.sink})
	if err != nil || out.n != 1<<30 {
		t.Errorf("got %d bytes, %v", out.n, err)
	}
}

type both struct {
	io.Writer
	*sink
}

func (b both) Write(p []byte) (int, error) { return b.Writer.Write(p) }

func TestReports(t *testing.T) {
	a := newAttempt(t)
	var out sink
	s := shell(t, nil, `
		echo reporter:counter:lines,3 >&2
		echo reporter:counter:group,words,4 >&2
		echo reporter:counter:lines,-1 >&2
		echo reporter:status:half done >&2
		echo reporter:counter:bad,x >&2
		echo other >&2
		printf 'reporter:counter:unended,1' >&2
		exit 9`)
	f := failure(t, s.Run(t.Context(), &a.Attempt, texts(""), &out), retryable)
	want := map[string]int64{"lines": 2, "group,words": 4, "unended": 1}
	if fmt.Sprint(a.counted()) != fmt.Sprint(want) {
		t.Errorf("counters are %v", a.counters)
	}
	if len(a.status) != 1 || a.status[0] != "half done" {
		t.Errorf("status is %q", a.status)
	}
	if f.GetDetail() != "reporter:counter:bad,x\nother\n" {
		t.Errorf("standard error is %q", f.GetDetail())
	}
}

func TestTheEndOfStderrIsKept(t *testing.T) {
	_, err := run(t, shell(t, nil, "seq 100000 >&2; exit 1"), texts(""))
	detail := failure(t, err, retryable).GetDetail()
	if len(detail) > maxDetail || len(detail) < maxDetail-10 || !strings.HasSuffix(detail, "99999\n100000\n") {
		t.Errorf("%d bytes, ending %q", len(detail), detail[max(0, len(detail)-20):])
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("MILLRACE_BATCH", "from outside")
	t.Setenv("OURS", "inherited")
	in := inFile(t, "a file.txt", "x\n", pb.Format_FORMAT_LINES, nil)
	s := shell(t, &pb.CommandOptions{Env: map[string]string{"MORE": "given", "OURS": "replaced"}},
		`echo "$MILLRACE_JOB|$MILLRACE_STAGE|$MILLRACE_BATCH|$MILLRACE_ATTEMPT|$MILLRACE_POSITION|$MILLRACE_FILE|$MORE|$OURS"`)
	got, err := run(t, s, in)
	want := "job-1|count|7|2|100|" + in.Parts[0].Name + "|given|replaced\n"
	if err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestWithoutShellNothingIsExpanded(t *testing.T) {
	argv, err := api.SplitCommand(`echo $HOME '*' a|b`)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := run(t, step(t, nil, argv...), texts("")); err != nil || got != "$HOME * a|b\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestFailuresOfInputAndOutput(t *testing.T) {
	gone := processor.InputGone("the file is gone")
	in := processor.Input{Format: pb.Format_FORMAT_LINES, Parts: []processor.Part{{
		Open: func(context.Context) (io.ReadCloser, error) { return nil, gone },
	}}}
	_, err := run(t, step(t, nil, "cat"), in)
	failure(t, err, pb.OutcomeClass_OUTCOME_CLASS_INPUT_GONE)
	full := errors.New("the disk is full")
	err = shell(t, nil, "yes").Run(t.Context(), &newAttempt(t).Attempt, texts(""), &sink{fail: full})
	if !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

func TestManyAtOnceKeepTheirOutputs(t *testing.T) {
	s := shell(t, nil, "cat; cat /dev/null; echo end")
	t.Run("group", func(t *testing.T) {
		for i := range 8 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				text := strings.Repeat(fmt.Sprintf("line of %d\n", i), 5000)
				if got, err := run(t, s, texts(text)); err != nil || got != text+"end\n" {
					t.Errorf("got %d bytes, %v", len(got), err)
				}
			})
		}
	})
}

// Bytes that are not UTF-8 grow when they are replaced: the end must stay.
func TestLastWordsThatAreNotTextKeepTheirEnd(t *testing.T) {
	r := newReport(&processor.Attempt{})
	r.take(append(bytes.Repeat([]byte("x\xff"), 2*maxDetail), "\nthe end\n"...))
	if end := r.end(); len(end) > maxDetail || !utf8.ValidString(end) || !strings.HasSuffix(end, "the end\n") {
		t.Errorf("%d bytes, valid %v, ending in %q", len(end), utf8.ValidString(end), end[max(0, len(end)-20):])
	}
}
