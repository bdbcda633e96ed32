package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// warmTest asks the test's binary to be a warm program.
const warmTest = "COMMAND_TEST_WARM"

var answerSchema = arrow.NewSchema([]arrow.Field{
	{Name: "line", Type: arrow.BinaryTypes.String},
	{Name: "pid", Type: arrow.PrimitiveTypes.Int64},
}, nil)

// beWarm answers each stream with its strings in capitals and its own number.
func beWarm() {
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	for {
		if _, err := in.Peek(1); err != nil {
			return
		}
		stream, err := ipc.NewReader(in)
		if err != nil {
			panic(err)
		}
		answerOne(stream, out)
		if err := out.Flush(); err != nil {
			panic(err)
		}
	}
}

func answerOne(stream *ipc.Reader, out io.Writer) {
	w := ipc.NewWriter(out, ipc.WithSchema(answerSchema))
	defer w.Close()
	rows := 0
	for stream.Next() {
		b := array.NewRecordBuilder(memory.DefaultAllocator, answerSchema)
		column := stream.RecordBatch().Column(0)
		for row := range column.Len() {
			text := column.ValueStr(row)
			switch {
			case strings.HasPrefix(text, "crash"):
				fmt.Fprintln(os.Stderr, "no good:", text)
				os.Exit(4)
			case text == "leave":
				os.Exit(0)
			}
			b.Field(0).(*array.StringBuilder).Append(strings.ToUpper(text))
			b.Field(1).(*array.Int64Builder).Append(int64(os.Getpid()))
		}
		rows += column.Len()
		if err := w.Write(b.NewRecordBatch()); err != nil {
			panic(err)
		}
	}
	batch, _ := stream.Schema().Metadata().GetValue("millrace_batch")
	fmt.Fprintf(os.Stderr, "reporter:counter:rows of batch %s,%d\n", batch, rows)
}

func warmStep(t *testing.T) processor.Step {
	return step(t, &pb.CommandOptions{
		Warm: true, InputFormat: pb.Format_FORMAT_ARROW, OutputFormat: pb.Format_FORMAT_ARROW,
		Env: map[string]string{warmTest: "1"},
	}, os.Args[0])
}

// strs is an input of Arrow records.
func strs(values ...string) processor.Input {
	schema := arrow.NewSchema([]arrow.Field{{Name: "line", Type: arrow.BinaryTypes.String}}, nil)
	return processor.Input{Format: pb.Format_FORMAT_ARROW, Parts: []processor.Part{{Records: func(context.Context) processor.Records {
		return func(yield func(arrow.RecordBatch, error) bool) {
			b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
			b.Field(0).(*array.StringBuilder).AppendValues(values, nil)
			yield(b.NewRecordBatch(), nil)
		}
	}}}}
}

func TestWarmAnswersBatchAfterBatch(t *testing.T) {
	s := warmStep(t)
	pids := map[string]bool{}
	for i := range 5 {
		a := newAttempt(t)
		a.Batch = uint64(i)
		var out sink
		if err := s.Run(t.Context(), &a.Attempt, strs("a", "b"), &out); err != nil {
			t.Fatal(err)
		}
		line, pid, _ := strings.Cut(out.records[1], "|")
		if pids[pid] = true; len(out.records) != 2 || line != "B" {
			t.Errorf("got %q", out.records)
		}
		if got := a.counted()[fmt.Sprintf("rows of batch %d", i)]; got != 2 || a.records != 2 {
			t.Errorf("batch %d counts %v, %d records", i, a.counters, a.records)
		}
	}
	if len(pids) != 1 {
		t.Errorf("%d processes answered, want one", len(pids))
	}
}

func TestWarmAnswersNothingWithNothing(t *testing.T) {
	var out sink
	err := warmStep(t).Run(t.Context(), &newAttempt(t).Attempt, processor.Input{Format: pb.Format_FORMAT_LINES}, &out)
	if err != nil || len(out.records) != 0 {
		t.Errorf("got %q, %v", out.records, err)
	}
}

func TestWarmCrashFailsItsBatchOnly(t *testing.T) {
	s := warmStep(t)
	var out sink
	err := s.Run(t.Context(), &newAttempt(t).Attempt, strs("fine", "crash now"), &out)
	f := failure(t, err, retryable)
	if f.GetExitStatus() != 4 || !strings.Contains(f.GetDetail(), "no good: crash now") {
		t.Errorf("got %v", f)
	}
	err = s.Run(t.Context(), &newAttempt(t).Attempt, strs("leave"), &out)
	if f := failure(t, err, retryable); !strings.Contains(f.GetMessage(), "answer") {
		t.Errorf("got %v", f)
	}
	var next sink
	if err := s.Run(t.Context(), &newAttempt(t).Attempt, strs("fine"), &next); err != nil || len(next.records) != 1 {
		t.Errorf("after a crash: %q, %v", next.records, err)
	}
}

func TestWarmLargeBatchesDoNotBlock(t *testing.T) {
	values := slices.Repeat([]string{strings.Repeat("x", 100)}, 200_000)
	var out sink
	if err := warmStep(t).Run(t.Context(), &newAttempt(t).Attempt, strs(values...), &out); err != nil || len(out.records) != len(values) {
		t.Errorf("got %d rows, %v", len(out.records), err)
	}
}

func TestWarmThatIsNoArrowProgram(t *testing.T) {
	s := step(t, &pb.CommandOptions{Warm: true}, "cat", "/etc/hostname")
	err := s.Run(t.Context(), &newAttempt(t).Attempt, strs("a"), &sink{})
	failure(t, err, retryable)
	hangs := step(t, &pb.CommandOptions{Warm: true}, "sleep", "1000")
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("revoked")
	cancel(stop)
	if err := hangs.Run(ctx, &newAttempt(t).Attempt, strs("a"), &sink{}); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

func TestArrowOutputOfAPlainProgram(t *testing.T) {
	s := step(t, &pb.CommandOptions{InputFormat: pb.Format_FORMAT_ARROW, OutputFormat: pb.Format_FORMAT_ARROW}, "cat")
	var out sink
	if err := s.Run(t.Context(), &newAttempt(t).Attempt, strs("a", "b"), &out); err != nil || !slices.Equal(out.records, []string{"a", "b"}) {
		t.Errorf("got %q, %v", out.records, err)
	}
	bad := step(t, &pb.CommandOptions{OutputFormat: pb.Format_FORMAT_ARROW}, "echo", "this is not Arrow")
	_, err := run(t, bad, texts(""))
	if f := failure(t, err, retryable); !strings.Contains(f.GetMessage(), "Arrow IPC stream") {
		t.Errorf("got %v", f)
	}
}

// python is what the package's documentation shows.
const python = `
import sys, pyarrow as pa, pyarrow.compute as pc
source, sink = sys.stdin.buffer, sys.stdout.buffer
while source.peek(1):
    table = pa.ipc.open_stream(source).read_all()
    upper = pc.utf8_upper(table["line"])
    table = table.set_column(0, "line", upper)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    sink.flush()
`

func TestWarmPython(t *testing.T) {
	if err := exec.Command("python3", "-c", "import pyarrow").Run(); err != nil {
		t.Skip("SKIPPED: python3 with pyarrow is not installed, so the Python example is not tried")
	}
	s := step(t, &pb.CommandOptions{Warm: true}, "python3", "-c", python)
	for range 3 {
		var out sink
		if err := s.Run(t.Context(), &newAttempt(t).Attempt, strs("a", "b"), &out); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(out.records, []string{"A", "B"}) {
			t.Errorf("got %q", out.records)
		}
	}
}
