package sink

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/apache/arrow-go/v18/arrow"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// Writer takes the output of one attempt. It is a processor.Output for bytes;
// its file is made with the first of them.
type Writer struct {
	folder *Folder
	ref    *pb.OutputRef
	file   *os.File
	buffer *bufio.Writer
}

// Begin begins the output of one attempt, if this worker sees the folder that
// was planned. No two attempts share a name.
func (f *Folder) Begin(job uint64, worker, attempt string) (*Writer, error) {
	path := filepath.Join(f.aside, attempt+f.extension)
	_, unseen := f.Look()
	return &Writer{folder: f, ref: &pb.OutputRef{
		Id: attempt, Worker: worker, Kind: pb.OutputKind_OUTPUT_KIND_FILE, Job: job, Path: path,
	}}, unseen
}

// Write takes encoded bytes.
func (w *Writer) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if w.file == nil {
		if err := w.open(); err != nil {
			return 0, err
		}
	}
	w.ref.Bytes += int64(len(p))
	return w.buffer.Write(p)
}

// WriteRecords is refused: what reaches a folder is encoded.
func (w *Writer) WriteRecords(arrow.RecordBatch) error {
	return processor.Fatal("records reached a file sink without an encoding")
}

func (w *Writer) open() error {
	if err := w.folder.makeAside(); err != nil {
		return err
	}
	file, err := w.folder.roots.Create(w.ref.GetPath())
	if err != nil {
		return fmt.Errorf("make an output file: %w", err)
	}
	w.file, w.buffer = file, bufio.NewWriterSize(file, writeBuffer)
	return nil
}

// makeAside makes the folder where attempts write, and the sink's around it,
// where who planned the job has not.
func (f *Folder) makeAside() error {
	if _, err := f.roots.Lstat(f.aside); err == nil || f.marker != "" {
		return nil
	}
	_, before := f.roots.Stat(f.path)
	err := f.roots.MkdirAll(f.aside)
	if err == nil && errors.Is(before, fs.ErrNotExist) {
		err = f.roots.WriteFile(filepath.Join(f.aside, madeMark), nil)
	}
	if err != nil {
		return f.unusable("can't be made", err)
	}
	return nil
}

// Finish ends the file and sees it onto the disk. It returns nil when nothing
// was written.
func (w *Writer) Finish() (*pb.OutputRef, error) {
	if w.file == nil {
		return nil, nil
	}
	err := errors.Join(w.buffer.Flush(), w.file.Sync(), w.file.Close())
	if err != nil {
		w.Abandon()
		return nil, fmt.Errorf("write %s: %w", w.ref.GetPath(), err)
	}
	return w.ref, nil
}

// Abandon removes what was written.
func (w *Writer) Abandon() {
	if w.file != nil {
		w.file.Close()
		w.folder.roots.Remove(w.ref.GetPath()) // what stays goes with the folder aside
		w.file = nil
	}
}
