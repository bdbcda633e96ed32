package exchange

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"syscall"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"google.golang.org/protobuf/proto"

	pb "github.com/millrace/millrace/api/millracev1"
)

// writeBuffer is how many bytes of an output gather before they are written.
const writeBuffer = 256 << 10

// Writer takes one output. It is a processor.Output; its name and its file are
// made with the first byte, so that an empty output costs nothing.
type Writer struct {
	spool *Spool
	job   uint64
	kind  pb.OutputKind
	limit int64 // of the job
	ref   *pb.OutputRef
	path  string
	sum   uint32 // the CRC-32C of what was written

	file    *os.File
	buffer  *bufio.Writer
	records *ipc.Writer
}

// Create begins an output of a job, whose outputs may take so many bytes of the
// spool together; 0 is no limit of its own.
func (s *Spool) Create(job uint64, kind pb.OutputKind, limit int64) *Writer {
	return &Writer{spool: s, job: job, kind: kind, limit: limit}
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
	w.ref.Records += batch.NumRows()
	return w.records.Write(batch)
}

func (w *Writer) open() error {
	if w.file != nil {
		return nil
	}
	ref := &pb.OutputRef{Id: newID(), Worker: w.spool.worker, Kind: w.kind, Job: w.job}
	path := filepath.Join(w.spool.dir, ref.GetId())
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make an output: %w", err)
	}
	w.file, w.path, w.ref = file, path, ref
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
	b.sum = crc32.Update(b.sum, castagnoli, p)
	n, err := b.file.Write(p)
	return n, b.spool.written(b.ref.GetJob(), err)
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
	w.spool.keep(&stored{ref: proto.CloneOf(w.ref), path: w.path, sum: w.sum})
	return w.ref, nil
}

func (w *Writer) flush() error {
	if w.records != nil {
		if err := w.records.Close(); err != nil {
			return fmt.Errorf("end an output: %w", err)
		}
	}
	err := w.buffer.Flush()
	if stat, failed := w.file.Stat(); err == nil && failed == nil && gone(stat) {
		err = fmt.Errorf("somebody removed the file of an output: %s", w.path)
	}
	return errors.Join(err, w.file.Close())
}

// gone says whether a file that is open has no name any more.
func gone(file os.FileInfo) bool {
	stat, ok := file.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink == 0
}

// Abandon removes what was written.
func (w *Writer) Abandon() {
	if w.file == nil {
		return
	}
	w.file.Close()
	removeQuietly(w.path)
	w.spool.release(w.ref.GetJob(), w.ref.GetBytes())
	w.file = nil
}
