package exchange

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// writeBuffer is how many bytes of an output gather before they are written.
const writeBuffer = 256 << 10

// Writer takes one output. It is a processor.Output; its file is made with the
// first byte, so that an empty output costs nothing.
type Writer struct {
	spool *Spool
	ref   *pb.OutputRef
	limit int64 // of the job

	file    *os.File
	buffer  *bufio.Writer
	records *ipc.Writer
}

// Create begins an output of a job, whose outputs may take so many bytes of the
// spool together; 0 is no limit of its own.
func (s *Spool) Create(job uint64, kind pb.OutputKind, limit int64) *Writer {
	return &Writer{spool: s, limit: limit, ref: &pb.OutputRef{Id: newID(), Worker: s.worker, Kind: kind, Job: job}}
}

// Write takes bytes as a program wrote them.
func (w *Writer) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := w.open(); err != nil {
		return 0, err
	}
	return w.buffer.Write(p)
}

// WriteRecords takes records.
func (w *Writer) WriteRecords(batch arrow.RecordBatch) error {
	if batch.NumRows() == 0 {
		return nil
	}
	if err := w.open(); err != nil {
		return err
	}
	if w.records == nil {
		w.records = ipc.NewWriter(w.buffer, ipc.WithSchema(batch.Schema()))
	}
	return w.records.Write(batch)
}

func (w *Writer) open() error {
	if w.file != nil {
		return nil
	}
	path := filepath.Join(w.spool.dir, w.ref.GetId())
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make an output: %w", err)
	}
	w.file, w.ref.Path = file, path
	w.buffer = bufio.NewWriterSize(bounded{w}, writeBuffer)
	return nil
}

// bounded writes to the output's file as far as the spool's limit allows.
type bounded struct{ *Writer }

func (b bounded) Write(p []byte) (int, error) {
	if err := b.spool.reserve(b.ref.GetJob(), int64(len(p)), b.limit); err != nil {
		return 0, err
	}
	b.ref.Bytes += int64(len(p))
	return b.file.Write(p)
}

// Finish ends the output and gives it to the spool. It returns nil when nothing
// was written.
func (w *Writer) Finish() (*pb.OutputRef, error) {
	if w.file == nil {
		return nil, nil
	}
	if err := w.flush(); err != nil {
		w.Abandon()
		return nil, err
	}
	w.spool.keep(w.ref)
	return w.ref, nil
}

func (w *Writer) flush() error {
	if w.records != nil {
		if err := w.records.Close(); err != nil {
			return fmt.Errorf("end an output: %w", err)
		}
	}
	return errors.Join(w.buffer.Flush(), w.file.Close())
}

// Abandon removes what was written.
func (w *Writer) Abandon() {
	if w.file == nil {
		return
	}
	w.file.Close()
	removeQuietly(w.ref.GetPath())
	w.spool.release(w.ref.GetJob(), w.ref.GetBytes())
	w.file = nil
}

// records streams an output that is an Arrow IPC stream.
func (s *Spool) records(ctx context.Context, ref *pb.OutputRef) processor.Records {
	return func(yield func(arrow.RecordBatch, error) bool) {
		file, err := s.Get(ref)
		if err != nil {
			yield(nil, err)
			return
		}
		defer file.Close()
		reader, err := ipc.NewReader(bufio.NewReaderSize(file, writeBuffer))
		if err != nil {
			yield(nil, gone(ref, err))
			return
		}
		defer reader.Release()
		for reader.Next() {
			if !yield(reader.RecordBatch(), ctx.Err()) || ctx.Err() != nil {
				return
			}
		}
		if err := reader.Err(); err != nil {
			yield(nil, gone(ref, err))
		}
	}
}
