package command

import (
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// take passes on what a program writes: bytes as they are, or the records of an
// Arrow stream.
func (p *program) take(proc *process, out processor.Output) error {
	if p.step.GetOptions().GetOutputFormat() != pb.Format_FORMAT_ARROW {
		return proc.copyOut(out)
	}
	widen(proc.stdout)
	_, err := copyArrow(proc.stdout, out)
	if errors.Is(err, io.EOF) {
		return nil // it wrote nothing
	}
	if err != nil {
		return p.badArrow(err)
	}
	return proc.copyOut(io.Discard)
}

func (p *program) badArrow(err error) error {
	var failure *processor.Failure
	if errors.As(err, &failure) {
		return err
	}
	return processor.Fail(pb.OutcomeClass_OUTCOME_CLASS_RETRYABLE,
		"the command %q should write an Arrow IPC stream to its standard output: %v", p.name, err)
}

// copyArrow reads one Arrow stream and writes its records. It returns io.EOF
// when there is no stream.
func copyArrow(from io.Reader, out processor.Output) (rows int64, err error) {
	first := &firstByte{Reader: from}
	stream, err := ipc.NewReader(first)
	if err != nil {
		if !first.seen {
			return 0, io.EOF
		}
		return 0, err
	}
	defer stream.Release()
	for stream.Next() {
		if err := array.ValidateRecordFull(stream.RecordBatch()); err != nil {
			return rows, err // what reads it would go out of bounds
		}
		batch := untold(stream.RecordBatch())
		rows += batch.NumRows()
		err := out.WriteRecords(batch)
		batch.Release()
		if err != nil {
			return rows, &outputError{err}
		}
	}
	return rows, stream.Err()
}

// outputError is a failure to pass on what a program wrote: not its own fault.
type outputError struct{ error }

// Unwrap is the failure itself.
func (e *outputError) Unwrap() error { return e.error }

// firstByte notes whether anything was read.
type firstByte struct {
	io.Reader
	seen bool
}

// Read reads on.
func (f *firstByte) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	f.seen = f.seen || n > 0
	if err != nil && err != io.EOF {
		err = fmt.Errorf("read what the program writes: %w", err)
	}
	return n, err
}
