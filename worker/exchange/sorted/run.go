package sorted

import (
	"bufio"
	"errors"
	"fmt"
	"os"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/millrace/millrace/worker/processor"
)

// fileBuffer is how much of a run is written or read at once, in bytes.
const fileBuffer = 256 << 10

// run is a sorted stream in a file of its own.
type run struct {
	path string
}

// writeRun makes a run of what fill writes.
func writeRun(temp func() (string, error), fill func(out func(arrow.RecordBatch) error) error) (run, error) {
	dir, err := temp()
	if err != nil {
		return run{}, fmt.Errorf("spill to disk: %w", err)
	}
	file, err := os.CreateTemp(dir, "run-")
	if err != nil {
		return run{}, fmt.Errorf("spill to disk: %w", err)
	}
	buffer := bufio.NewWriterSize(file, fileBuffer)
	var stream *ipc.Writer
	err = fill(func(batch arrow.RecordBatch) error {
		if stream == nil {
			stream = ipc.NewWriter(buffer, ipc.WithSchema(batch.Schema()))
		}
		return stream.Write(batch)
	})
	if stream != nil {
		err = errors.Join(err, stream.Close())
	}
	if err = errors.Join(err, buffer.Flush(), file.Close()); err != nil {
		return run{}, errors.Join(fmt.Errorf("spill to disk: %w", err), os.Remove(file.Name()))
	}
	return run{path: file.Name()}, nil
}

// records reads the run.
func (r run) records() processor.Records {
	return func(yield func(arrow.RecordBatch, error) bool) {
		file, err := os.Open(r.path)
		if err != nil {
			yield(nil, fmt.Errorf("read what was spilled: %w", err))
			return
		}
		defer file.Close()
		buffer := bufio.NewReaderSize(file, fileBuffer)
		if _, err := buffer.Peek(1); err != nil {
			return // an empty run
		}
		stream, err := ipc.NewReader(buffer)
		if err != nil {
			yield(nil, fmt.Errorf("read what was spilled: %w", err))
			return
		}
		defer stream.Release()
		for stream.Next() {
			if !yield(stream.RecordBatch(), nil) {
				return
			}
		}
		if err := stream.Err(); err != nil {
			yield(nil, fmt.Errorf("read what was spilled: %w", err))
		}
	}
}

// remove deletes the run. What is left over goes with its folder.
func (r run) remove() { _ = os.Remove(r.path) }
