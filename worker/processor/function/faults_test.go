package function

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	pb "github.com/millrace/millrace/api/millracev1"
)

func TestErrorsSayWhere(t *testing.T) {
	f := Map("picky", func(line string, emit func(string)) error {
		if line == "bad" {
			return errors.New("no such luck")
		}
		return nil
	})
	in := inFile(t, "a.txt", "one\ntwo\nbad\nfour\n")
	_, _, err := run(t, f, mapPhase, in)
	want := "function picky failed at " + in.Parts[0].Name + ", offset 8: no such luck"
	if got := failure(t, err, retryable); got.GetMessage() != want {
		t.Errorf("got %q, want %q", got.GetMessage(), want)
	}
}

func TestBadRecordsOfAFunction(t *testing.T) {
	f := Map("picky", func(line string, emit func(string)) error {
		if line == "bad" {
			return fmt.Errorf("wrapped: %w", &BadRecord{Reason: "it is bad"})
		}
		emit(line)
		return nil
	})
	in := inFile(t, "a.txt", "one\nbad\nthree\n")
	a, out := newAttempt(t), &sink{}
	a.maySkip = 1
	if err := stepOf(t, f, mapPhase).Run(t.Context(), &a.Attempt, in, out); err != nil {
		t.Fatal(err)
	}
	bad := &pb.BadRecord{File: in.Parts[0].Name, Offset: 4, Record: "bad", Reason: "it is bad"}
	if out.text.String() != "one\nthree\n" || len(a.bad) != 1 || a.bad[0].String() != bad.String() {
		t.Errorf("got %q, bad %v", out.text.String(), a.bad)
	}
	a.maySkip = 0
	failure(t, stepOf(t, f, mapPhase).Run(t.Context(), &a.Attempt, in, out), fatal)
}

func panics(line string, emit func(string, int64)) error {
	if line == "2" {
		_ = []string{}[len(line)]
	}
	emit(line, 1)
	return nil
}

func TestPanicsFailTheBatch(t *testing.T) {
	_, _, err := run(t, Keyed("panics", panics, add), mapPhase, texts("1\n2\n3\n"))
	f := failure(t, err, retryable)
	if !strings.Contains(f.GetMessage(), "function panics panicked") || !strings.Contains(f.GetMessage(), "index out of range") ||
		!strings.Contains(f.GetDetail(), "faults_test.go") {
		t.Errorf("got %v", f)
	}
}

func TestPanicsOfACombiner(t *testing.T) {
	f := Keyed("angry", words, func(a, b int64) int64 { panic(errors.New("no sums today")) })
	_, _, err := run(t, f, mapPhase, texts("a a\n"))
	failure(t, err, retryable)
	one, _, err := run(t, f, mapPhase, texts("a\n"))
	if err != nil {
		t.Fatal(err)
	}
	in := texts()
	in.Format = pb.Format_FORMAT_ARROW
	in.Parts = append(in.Parts, one.part(), one.part())
	_, _, err = run(t, f, reducePhase, in)
	if got := failure(t, err, retryable); !strings.Contains(got.GetMessage(), "no sums today") || !strings.Contains(got.GetDetail(), "faults_test.go") {
		t.Errorf("got %v", got)
	}
}

func TestAFullDiskEndsTheFunction(t *testing.T) {
	full := errors.New("the disk is full")
	endless := Batch("endless", func(_ context.Context, _ *Input[string], emit func(string)) error {
		for {
			emit(strings.Repeat("x", 1000))
		}
	})
	out := &sink{fail: full}
	err := stepOf(t, endless, mapPhase).Run(t.Context(), &newAttempt(t).Attempt, texts("a\n"), out)
	if !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

func TestUnknownFunction(t *testing.T) {
	r, err := NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	err = New(&pb.FunctionStep{Name: "none", Phase: mapPhase}, r).Run(t.Context(), &newAttempt(t).Attempt, texts(""), &sink{})
	failure(t, err, fatal)
}

func TestCancelledBetweenRecords(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("revoked")
	f := Map("slow", func(line string, emit func(string)) error { cancel(stop); return nil })
	out := &sink{}
	err := stepOf(t, f, mapPhase).Run(ctx, &newAttempt(t).Attempt, texts(strings.Repeat("a\n", 1<<20)), out)
	if !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

func TestAFunctionThatRunsForEverIsAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := Map("stuck", func(line string, emit func(string)) error {
			<-release
			emit("too late")
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), grace)
		defer cancel()
		a, out := newAttempt(t), &sink{}
		err := stepOf(t, f, mapPhase).Run(ctx, &a.Attempt, texts("a\n"), out)
		got := failure(t, err, pb.OutcomeClass_OUTCOME_CLASS_KILLED_TIME)
		if !strings.Contains(got.GetMessage(), "abandoned") {
			t.Errorf("got %v", got)
		}
		close(release)
		synctest.Wait()
		if out.text.Len() != 0 || a.records != 0 {
			t.Errorf("what was abandoned still wrote %q, counted %d", out.text.String(), a.records)
		}
	})
}

func TestAFunctionThatEmitsNothing(t *testing.T) {
	nothing := Keyed("nothing", func(string, func(string, int64)) error { return nil }, add)
	if got := reduced(t, nothing, texts("a\n"), texts("b\n")); len(got) != 0 {
		t.Errorf("got %q", got)
	}
	out, _, err := run(t, Map("quiet", func(string, func(string)) error { return nil }), mapPhase, texts("a\n"))
	if err != nil || out.text.Len() != 0 {
		t.Errorf("got %q, %v", out.text.String(), err)
	}
}
