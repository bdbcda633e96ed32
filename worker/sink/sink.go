// Package sink puts the results of a job into files of a folder so that no
// reader of the folder ever sees half a file, or one of an attempt that lost:
// attempts write aside, under their fence, and one commit moves the winners in
// place. Which attempts won is decided by the ledger, and how results are
// encoded by the step before.
package sink

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/apache/arrow-go/v18/arrow"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

const (
	// asidePrefix begins the name of the folder, inside the sink's, where
	// attempts write; readers of data folders pass over such names.
	asidePrefix = "_millrace-"
	// SuccessMark is the empty file that says that everything is in place.
	SuccessMark = "_SUCCESS"
	// madeMark, among the files aside, says that the sink's folder was made for
	// them.
	madeMark = "made"

	writeBuffer = 1 << 20
)

// Folder is the sink of one job.
type Folder struct {
	path      string
	overwrite bool
	aside     string
	extension string
}

// For is the sink that a job's spec asks for. Nothing is touched yet.
func For(spec *pb.Sink, format pb.Format, jobID string) *Folder {
	files := spec.GetFiles()
	return &Folder{
		path:      files.GetFolder(),
		overwrite: files.GetOverwrite(),
		aside:     filepath.Join(files.GetFolder(), asidePrefix+jobID),
		extension: extension(format),
	}
}

func extension(format pb.Format) string {
	switch format {
	case pb.Format_FORMAT_CSV:
		return ".csv"
	case pb.Format_FORMAT_JSON:
		return ".jsonl"
	case pb.Format_FORMAT_PARQUET:
		return ".parquet"
	case pb.Format_FORMAT_ARROW:
		return ".arrows"
	}
	return ".txt"
}

// CheckEmpty fails when the folder may not be written to: it is a file, or it
// holds something and overwriting was not asked for. What a job left there that
// was killed counts too: it may be another's that still runs.
func CheckEmpty(spec *pb.FileSink) error {
	folder := spec.GetFolder()
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && !info.IsDir():
		return processor.Fatal("the output folder %s is a file: name a folder", folder)
	case err == nil && spec.GetOverwrite():
		return nil
	}
	entries, err := os.ReadDir(folder)
	switch {
	case err != nil:
		return processor.Fatal("the output folder %s can't be used: %v", folder, errors.Unwrap(err))
	case len(entries) == 0:
		return nil
	}
	return processor.Fatal("the output folder %s is not empty (it holds %s): name another one, or ask to overwrite it (--overwrite)",
		folder, entries[0].Name())
}

// CheckInputs fails when the folder would be overwritten with input files in
// it.
func CheckInputs(spec *pb.FileSink, fragments []*pb.Fragment) error {
	if !spec.GetOverwrite() {
		return nil
	}
	folder, err := filepath.Abs(spec.GetFolder())
	if err != nil {
		return fmt.Errorf("the output folder: %w", err)
	}
	if real, err := filepath.EvalSymlinks(folder); err == nil {
		folder = real
	}
	for _, f := range fragments {
		path := f.GetPath()
		if real, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
			path = filepath.Join(real, filepath.Base(path))
		}
		if strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/") {
			return processor.Fatal("the output folder %s holds %s, which is input: overwriting would remove it; name another folder",
				spec.GetFolder(), f.GetPath())
		}
	}
	return nil
}

// Writer takes the output of one attempt. It is a processor.Output for bytes;
// its file is made with the first of them.
type Writer struct {
	folder *Folder
	ref    *pb.OutputRef
	file   *os.File
	buffer *bufio.Writer
}

// Create begins the output of one attempt. No two attempts share a name.
func (f *Folder) Create(job uint64, worker, attempt string) *Writer {
	path := filepath.Join(f.aside, attempt+f.extension)
	return &Writer{folder: f, ref: &pb.OutputRef{
		Id: attempt, Worker: worker, Kind: pb.OutputKind_OUTPUT_KIND_FILE, Job: job, Path: path,
	}}
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
	file, err := os.OpenFile(w.ref.GetPath(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("make an output file: %w", err)
	}
	w.file, w.buffer = file, bufio.NewWriterSize(file, writeBuffer)
	return nil
}

// makeAside makes the folder where attempts write, and the sink's around it.
func (f *Folder) makeAside() error {
	if _, err := os.Lstat(f.aside); err == nil {
		return nil
	}
	_, before := os.Stat(f.path)
	err := os.MkdirAll(f.aside, 0o755)
	if err == nil && errors.Is(before, fs.ErrNotExist) {
		err = os.WriteFile(filepath.Join(f.aside, madeMark), nil, 0o644)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("make the output folder: %w", err)
	}
	return processor.Fatal("the output folder can't be made: %v", err)
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
		os.Remove(w.ref.GetPath()) // what stays goes with the folder aside
		w.file = nil
	}
}

// Commit moves the winners, given in source order, in place as part-00000 and
// so on, and marks success. It can be done again after it was interrupted at
// any point, with the same winners.
func (f *Folder) Commit(winners []*pb.OutputRef) error {
	if err := os.MkdirAll(f.path, 0o755); err != nil {
		return processor.Fatal("the output folder can't be made: %v", err)
	}
	names := make(map[string]bool, len(winners))
	for i := range winners {
		names[f.name(i, len(winners))] = true
	}
	if f.overwrite {
		if err := f.clear(names); err != nil {
			return err
		}
	}
	for i, ref := range winners {
		if err := f.place(ref, filepath.Join(f.path, f.name(i, len(winners)))); err != nil {
			return err
		}
	}
	return f.finish()
}

// name is that of a file among all of them: sorted by name they are in order.
func (f *Folder) name(i, all int) string {
	digits := max(5, len(strconv.Itoa(all-1)))
	return fmt.Sprintf("part-%0*d%s", digits, i, f.extension)
}

// clear removes what was in the folder, its mark of success first, except what
// the winners replace anyway: those may be in place already.
func (f *Folder) clear(keep map[string]bool) error {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return fmt.Errorf("clear the output folder: %w", err)
	}
	if err := os.RemoveAll(filepath.Join(f.path, SuccessMark)); err != nil {
		return fmt.Errorf("clear the output folder: %w", err)
	}
	for _, entry := range entries {
		path := filepath.Join(f.path, entry.Name())
		if path == f.aside || keep[entry.Name()] {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("clear the output folder: %w", err)
		}
	}
	return nil
}

// place moves a winner to its name. A winner that is not aside any more must be
// in place, from an earlier try at this commit.
func (f *Folder) place(ref *pb.OutputRef, target string) error {
	err := os.Rename(ref.GetPath(), target)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if info, statErr := os.Stat(target); statErr == nil && info.Size() == ref.GetBytes() {
		return nil
	}
	return processor.InputGone("the output file %s is gone", ref.GetPath())
}

func (f *Folder) finish() error {
	if err := os.RemoveAll(f.aside); err != nil {
		return fmt.Errorf("remove the files of lost attempts: %w", err)
	}
	mark, err := os.Create(filepath.Join(f.path, SuccessMark))
	if err != nil {
		return fmt.Errorf("mark the output as complete: %w", err)
	}
	return errors.Join(mark.Close(), syncFolder(f.path))
}

func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Discard removes what attempts left aside; for jobs that ended without a
// commit. The folder itself goes too when attempts made it and it is empty.
// Nothing else is touched: the path may name a file of the user's.
func (f *Folder) Discard() error {
	if info, err := os.Lstat(f.aside); err != nil || !info.IsDir() {
		return nil // no attempt has written
	}
	_, err := os.Lstat(filepath.Join(f.aside, madeMark))
	made := err == nil
	err = os.RemoveAll(f.aside)
	if info, statErr := os.Lstat(f.path); made && statErr == nil && info.IsDir() {
		os.Remove(f.path) // it stays when it holds something
	}
	return err
}
