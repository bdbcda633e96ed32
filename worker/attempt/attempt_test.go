package attempt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/exchange"
	"github.com/millrace/millrace/worker/format"
	"github.com/millrace/millrace/worker/processor"
	"github.com/millrace/millrace/worker/processor/command"
)

// attemptFunc is a step that sees its attempt.
type attemptFunc func(ctx context.Context, a *processor.Attempt, in processor.Input, out processor.Output) error

func (f attemptFunc) Run(ctx context.Context, a *processor.Attempt, in processor.Input, out processor.Output) error {
	return f(ctx, a, in, out)
}

func (attemptFunc) Close() error { return nil }

// bench is a runner with 4 slots and 400 bytes of memory. Its function steps are
// those that a test names; commands and encodings are real.
type bench struct {
	*Runner
	*testing.T
	steps map[string]processor.Step
	live  Live
	batch uint64
}

func newBench(t *testing.T) *bench {
	t.Helper()
	spool, err := exchange.Open(t.TempDir(), "w", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{T: t, steps: map[string]processor.Step{}}
	b.Runner = NewRunner(Config{
		Worker: "w", Slots: 4, MemoryBytes: 400, Spool: spool,
		Plan: func(context.Context, *pb.JobContext) (*pb.Plan, error) {
			return &pb.Plan{Notes: []string{"planned"}}, nil
		},
		Steps: b.step,
	})
	t.Cleanup(func() {
		if err := errors.Join(b.Close(), spool.Close()); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bench) step(_ *pb.JobContext, step *pb.Step) (processor.Step, error) {
	switch p := step.GetProcessor().(type) {
	case *pb.Step_Command:
		return command.New(p.Command), nil
	case *pb.Step_Encode:
		return format.NewEncodeStep(p.Encode), nil
	}
	if s := b.steps[step.GetFunction().GetName()]; s != nil {
		return s, nil
	}
	return nil, processor.Fatal("no step %s", step)
}

func program(argv ...string) *pb.Step {
	return &pb.Step{Processor: &pb.Step_Command{Command: &pb.CommandStep{Argv: argv, Options: &pb.CommandOptions{
		InputFormat: pb.Format_FORMAT_LINES, OutputFormat: pb.Format_FORMAT_LINES,
	}}}}
}

func function(name string) *pb.Step {
	return &pb.Step{Processor: &pb.Step_Function{Function: &pb.FunctionStep{Name: name}}}
}

// job is a job over the lines a and b, with a stage of some steps.
func job(steps ...*pb.Step) *pb.JobContext {
	c := &pb.JobContext{
		Job: 1, JobId: "job-1", Spec: &pb.JobSpec{Source: &pb.Source{Records: []string{"a", "b"}}},
		Plan: &pb.Plan{Format: pb.Format_FORMAT_LINES},
		Stage: &pb.StagePlan{
			Name: "mill", Steps: steps, Output: pb.OutputKind_OUTPUT_KIND_BYTES, InputFormat: pb.Format_FORMAT_LINES,
		},
	}
	c.Digest = fmt.Sprint(steps)
	return c
}

// run runs a lease of the next batch.
func (b *bench) run(c *pb.JobContext, change ...func(*pb.Lease)) *pb.Outcome {
	b.Helper()
	return b.runIn(b.Context(), c, change...)
}

func (b *bench) runIn(ctx context.Context, c *pb.JobContext, change ...func(*pb.Lease)) *pb.Outcome {
	b.Helper()
	b.batch++
	lease := &pb.Lease{
		Fence: &pb.Fence{Job: 1, Batch: b.batch, Attempt: 1, Term: 1}, Kind: pb.LeaseKind_LEASE_KIND_PROCESS,
		Splits: []*pb.Split{{From: 0, To: 2, Source: &pb.Fragment{Unit: pb.Unit_UNIT_RECORDS, Extent: 2}}},
	}
	for _, f := range change {
		f(lease)
	}
	b.live = Live{}
	o := b.Runner.Run(ctx, lease, c, &b.live)
	if o.GetFence() != lease.GetFence() || o.GetElapsed() == nil {
		b.Errorf("the outcome %v is not of lease %v", o, lease.GetFence())
	}
	return o
}

// reads has a lease read outputs in place of the source.
func reads(kind pb.LeaseKind, inputs ...*pb.OutputRef) func(*pb.Lease) {
	return func(l *pb.Lease) { l.Kind, l.Splits, l.Inputs = kind, nil, inputs }
}

func (b *bench) done(o *pb.Outcome) *pb.OutputRef {
	b.Helper()
	if o.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_DONE {
		b.Fatalf("the outcome is %v", o)
	}
	return o.GetOutput()
}

func (b *bench) content(ref *pb.OutputRef) string {
	b.Helper()
	r, err := b.Spool.Open(ref.GetJob(), ref.GetId())
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		b.Fatal(err)
	}
	return string(text)
}

// empty checks that nothing is left in the spool but its lock.
func (b *bench) empty() {
	b.Helper()
	entries, _ := os.ReadDir(b.Spool.Dir())
	if len(entries) != 1 || b.Spool.Used() != 0 {
		b.Errorf("the spool holds %v, %d bytes", entries, b.Spool.Used())
	}
}

func TestABatchIsProcessed(t *testing.T) {
	b := newBench(t)
	o := b.run(job(program("tr", "a-z", "A-Z"), program("sed", "s/$/!/")))
	if text := b.content(b.done(o)); text != "A!\nB!\n" {
		t.Errorf("the output is %q", text)
	}
	c := o.GetCounters()
	if c.GetRecordsIn() != 2 || c.GetRecordsOut() != 2 || c.GetBytesOut() != 6 || o.GetOutput().GetRecords() != 2 {
		t.Errorf("counted %v of %v", c, o.GetOutput())
	}
}

func TestOutputsAreMergedInOrder(t *testing.T) {
	b := newBench(t)
	c := job(program("cat"))
	first, second := b.done(b.run(c)), b.done(b.run(c))
	merge := reads(pb.LeaseKind_LEASE_KIND_MERGE, first, second)
	if text := b.content(b.done(b.run(c, merge))); text != "a\nb\na\nb\n" {
		t.Errorf("concatenated to %q", text)
	}
	c.Stage.Combine, c.Digest = program("sort"), "combined"
	if text := b.content(b.done(b.run(c, merge))); text != "a\na\nb\nb\n" {
		t.Errorf("combined to %q", text)
	}
}

func TestALaterStageReadsOutputs(t *testing.T) {
	b := newBench(t)
	in := b.done(b.run(job(program("cat"))))
	o := b.run(job(program("wc", "-l")), reads(pb.LeaseKind_LEASE_KIND_PROCESS, in, in))
	if text := b.content(b.done(o)); strings.TrimSpace(text) != "4" {
		t.Errorf("counted %q lines", text)
	}
	b.Spool.Drop(in.GetId())
	gone := b.run(job(program("wc", "-l")), reads(pb.LeaseKind_LEASE_KIND_PROCESS, in))
	if gone.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_OUTPUT_MISSING {
		t.Errorf("an output that is gone gives %v", gone)
	}
}

func TestFilesAreCommitted(t *testing.T) {
	b := newBench(t)
	folder := filepath.Join(t.TempDir(), "out")
	c := job(program("cat"))
	c.Spec.Sink = &pb.Sink{Files: &pb.FileSink{Folder: folder}}
	c.Stage.Output = pb.OutputKind_OUTPUT_KIND_FILE
	winner := b.done(b.run(c))
	b.done(b.run(c)) // it loses
	b.done(b.run(c, reads(pb.LeaseKind_LEASE_KIND_COMMIT, winner)))
	names := map[string]bool{}
	entries, _ := os.ReadDir(folder)
	for _, e := range entries {
		names[e.Name()] = true
	}
	text, _ := os.ReadFile(filepath.Join(folder, "part-00000.txt"))
	if len(names) != 2 || !names["_SUCCESS"] || string(text) != "a\nb\n" {
		t.Errorf("the folder holds %v, the first file %q", names, text)
	}
	b.empty()
}

func TestAnEndedJobLeavesNoFilesAside(t *testing.T) {
	b := newBench(t)
	folder := filepath.Join(t.TempDir(), "out")
	c := job(program("cat"))
	c.Spec.Sink = &pb.Sink{Files: &pb.FileSink{Folder: folder}}
	c.Stage.Output = pb.OutputKind_OUTPUT_KIND_FILE
	b.done(b.run(c))
	if err := b.EndJob(1, c); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(folder); err == nil {
		t.Errorf("%s is still there", folder)
	}
}

func TestAPlanIsMade(t *testing.T) {
	b := newBench(t)
	o := b.run(job(), reads(pb.LeaseKind_LEASE_KIND_PLAN))
	if b.done(o) != nil || len(o.GetPlan().GetNotes()) != 1 {
		t.Errorf("the outcome is %v", o)
	}
	b.Config.Plan = func(context.Context, *pb.JobContext) (*pb.Plan, error) { panic("no plan") }
	if o := b.run(job(), reads(pb.LeaseKind_LEASE_KIND_PLAN)); o.GetPlan() != nil ||
		!strings.Contains(o.GetFailure().GetMessage(), "no plan") {
		t.Errorf("a planner that panics gives %v", o)
	}
}

// Every way to fail has its class, and leaves nothing in the spool.
func TestEveryFailureHasItsClass(t *testing.T) {
	full := &os.PathError{Op: "write", Path: "/data/out/x", Err: syscall.ENOSPC}
	for name, test := range map[string]struct {
		err   error // of the step
		cause error // of the context's end, before the step returns
		class pb.OutcomeClass
		says  string
	}{
		"unknown":  {errors.New("broken wheel"), nil, pb.OutcomeClass_OUTCOME_CLASS_RETRYABLE, "stage mill: broken wheel"},
		"fatal":    {processor.Fatal("wrong"), nil, pb.OutcomeClass_OUTCOME_CLASS_FATAL, "wrong"},
		"wrapped":  {fmt.Errorf("x: %w", processor.InputGone("no file")), nil, pb.OutcomeClass_OUTCOME_CLASS_INPUT_GONE, "no file"},
		"memory":   {processor.Fail(pb.OutcomeClass_OUTCOME_CLASS_KILLED_MEMORY, "too much"), nil, pb.OutcomeClass_OUTCOME_CLASS_KILLED_MEMORY, "too much"},
		"disk":     {fmt.Errorf("x: %w", full), nil, pb.OutcomeClass_OUTCOME_CLASS_RETRYABLE, "the disk of worker w is full: writing in /data/out"},
		"quota":    {syscall.EDQUOT, nil, pb.OutcomeClass_OUTCOME_CLASS_RETRYABLE, "the disk of worker w is full"},
		"revoked":  {errors.New("stopped"), ErrRevoked, pb.OutcomeClass_OUTCOME_CLASS_CANCELLED, ""},
		"drained":  {errors.New("stopped"), ErrDrained, pb.OutcomeClass_OUTCOME_CLASS_RETURNED, ""},
		"too long": {errors.New("stopped"), ErrTimeout, pb.OutcomeClass_OUTCOME_CLASS_KILLED_TIME, "longer than the 3s"},
		"no error": {nil, ErrRevoked, pb.OutcomeClass_OUTCOME_CLASS_CANCELLED, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			b.steps["fails"] = attemptFunc(func(_ context.Context, a *processor.Attempt, _ processor.Input, out processor.Output) error {
				if _, err := a.TempDir(); err != nil {
					return err
				}
				if _, err := out.Write(make([]byte, 300<<10)); err != nil {
					return err
				}
				if test.cause != nil {
					cancel(test.cause)
				}
				return test.err
			})
			o := b.runIn(ctx, job(function("fails")), func(l *pb.Lease) { l.Timeout = durationpb.New(3 * time.Second) })
			if o.GetClass() != test.class || !strings.Contains(o.GetFailure().GetMessage(), test.says) {
				t.Errorf("the outcome is %v, want %s and %q", o, test.class, test.says)
			}
			if o.GetOutput() != nil || o.GetCounters() != nil {
				t.Errorf("a failure has output %v and counters %v", o.GetOutput(), o.GetCounters())
			}
			b.empty()
		})
	}
}

// What has no room because of other jobs is no fault of its own.
func TestASpoolThatOthersFill(t *testing.T) {
	b := newBench(t)
	size := 700 << 10
	b.steps["writes"] = attemptFunc(func(_ context.Context, _ *processor.Attempt, _ processor.Input, out processor.Output) error {
		_, err := out.Write(make([]byte, size))
		return err
	})
	other := job(function("writes"))
	other.Job = 2
	if o := b.run(other, func(l *pb.Lease) { l.Fence.Job = 2 }); o.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_DONE {
		t.Fatalf("the outcome is %v", o)
	}
	for _, b.Alone = range []bool{false, true} {
		o := b.run(job(function("writes")))
		if o.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_NO_ROOM || !strings.Contains(o.GetFailure().GetMessage(), "other jobs have") {
			t.Errorf("the outcome is %v", o)
		}
	}
	b.Alone, size = false, 2<<20 // more than an empty one takes
	if o := b.run(job(function("writes"))); o.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_RETRYABLE {
		t.Errorf("the outcome is %v", o)
	}
	b.Spool.DropJob(2)
	b.empty()
}

// Who removes the spool's folder fails no batch by it.
func TestTheSpoolIsRemoved(t *testing.T) {
	b := newBench(t)
	b.steps["writes"] = attemptFunc(func(_ context.Context, _ *processor.Attempt, _ processor.Input, out processor.Output) error {
		_, err := out.Write([]byte("x\n"))
		return err
	})
	if err := os.RemoveAll(b.Spool.Dir()); err != nil {
		t.Fatal(err)
	}
	if o := b.run(job(function("writes"))); o.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_RETURNED {
		t.Errorf("the outcome is %v", o)
	}
	if o := b.run(job(function("writes"))); o.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_DONE {
		t.Errorf("the outcome is %v", o)
	}
}

// A worker without others has nobody to leave to what it has no room for.
func TestAFullDiskOfALoneWorker(t *testing.T) {
	b := newBench(t)
	b.Alone = true
	b.steps["fails"] = attemptFunc(func(context.Context, *processor.Attempt, processor.Input, processor.Output) error {
		return syscall.ENOSPC
	})
	if o := b.run(job(function("fails"))); o.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_FATAL || !strings.HasPrefix(o.GetFailure().GetMessage(), "the disk is full") {
		t.Errorf("the outcome is %v", o)
	}
}

func TestWhatWasCancelledBeforeItBeganDoesNothing(t *testing.T) {
	b := newBench(t)
	b.steps["never"] = attemptFunc(func(context.Context, *processor.Attempt, processor.Input, processor.Output) error {
		t.Error("it has begun")
		return nil
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(ErrTimeout)
	o := b.runIn(ctx, job(function("never")))
	if o.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_KILLED_TIME || o.GetFailure() == nil {
		t.Errorf("the outcome is %v", o)
	}
}

func TestALeaseThatCannotBeUnderstoodFails(t *testing.T) {
	b := newBench(t)
	for want, o := range map[string]*pb.Outcome{
		"what job":     b.run(nil),
		"leases of":    b.run(job(), func(l *pb.Lease) { l.Kind = 99 }),
		"no step":      b.run(job(function("unknown"))),
		"unregistered": b.run(job(program("cat"), function("unregistered"))),
	} {
		if !strings.Contains(o.GetFailure().GetMessage(), want) {
			t.Errorf("%q is missing in %v", want, o)
		}
	}
}

func TestALoneBatchGetsTheWholeWorker(t *testing.T) {
	b := newBench(t)
	var threads int
	var memory int64
	b.steps["look"] = attemptFunc(func(_ context.Context, a *processor.Attempt, _ processor.Input, _ processor.Output) error {
		threads, memory = a.Threads, a.MemoryBytes
		return nil
	})
	c := job(function("look"))
	limited := job(function("look"))
	limited.Spec.Limits = &pb.Limits{MaxMemoryBytes: 40}
	for _, test := range []struct {
		job     *pb.JobContext
		alone   bool
		threads int
		memory  int64
	}{{c, false, 1, 100}, {c, true, 4, 400}, {limited, false, 1, 10}, {limited, true, 4, 40}} {
		b.done(b.run(test.job, func(l *pb.Lease) { l.Alone = test.alone }))
		if threads != test.threads || memory != test.memory {
			t.Errorf("alone %v: %d threads and %d bytes, want %d and %d", test.alone, threads, memory, test.threads, test.memory)
		}
	}
}

func TestBadRecordsAreSkippedUpToTheLimit(t *testing.T) {
	const bad = 30
	b := newBench(t)
	b.steps["skips"] = attemptFunc(func(_ context.Context, a *processor.Attempt, _ processor.Input, out processor.Output) error {
		for i := range int64(bad) {
			if err := a.Skip(&pb.BadRecord{File: "f", Offset: i, Reason: "ragged"}); err != nil {
				return err
			}
		}
		_, err := io.WriteString(out, "rest\n")
		return err
	})
	for limit, class := range map[uint64]pb.OutcomeClass{
		0:       pb.OutcomeClass_OUTCOME_CLASS_FATAL,
		bad - 1: pb.OutcomeClass_OUTCOME_CLASS_FATAL,
		bad:     pb.OutcomeClass_OUTCOME_CLASS_DONE_WITH_SKIPS,
	} {
		o := b.run(job(function("skips")), func(l *pb.Lease) { l.MaySkip = limit })
		if o.GetClass() != class || len(o.GetFailure().GetBadRecords()) != 20 {
			t.Errorf("with %d allowed the outcome is %v", limit, o)
		}
		if class != pb.OutcomeClass_OUTCOME_CLASS_FATAL && o.GetCounters().GetRecordsSkipped() != bad {
			t.Errorf("counted %v", o.GetCounters())
		}
		b.Spool.Drop(o.GetOutput().GetId())
		b.empty()
	}
}

func TestATempFolderIsMadeOnce(t *testing.T) {
	temp := tempFolder{parent: t.TempDir()}
	temp.remove() // there is none
	first, err := temp.make()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := temp.make(); again != first || err != nil {
		t.Errorf("then %s, %v after %s", again, err, first)
	}
	if err := os.WriteFile(filepath.Join(first, "x"), []byte("x"), 0o400); err != nil {
		t.Fatal(err)
	}
	temp.remove()
	if left, _ := os.ReadDir(temp.parent); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	broken := tempFolder{parent: filepath.Join(t.TempDir(), "absent")}
	if _, err := broken.make(); err == nil {
		t.Error("a folder in none was made")
	}
}
