// Package sink puts the results of a job into files of a folder so that no
// reader of the folder ever sees half a file, or one of an attempt that lost:
// attempts write aside, under their fence, and one commit moves the winners in
// place. Who plans the job leaves a marker aside, by which every worker knows
// that it sees the same folder. Which attempts won is decided by the ledger, and
// how results are encoded by the step before.
package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
	"github.com/millrace/millrace/worker/roots"
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
	// markerName, among the files aside, is the file by which workers know the
	// folder.
	markerName = "marker"

	writeBuffer = 1 << 20
)

// Folder is the sink of one job.
type Folder struct {
	roots     *roots.Roots
	path      string
	overwrite bool
	aside     string
	extension string
	marker    string // what the marker says; empty where there is none
}

// In is the sink that a job asks for, below a worker's roots. Nothing is touched
// yet.
func In(r *roots.Roots, job *pb.JobContext) *Folder {
	files := job.GetSpec().GetSink().GetFiles()
	return &Folder{
		roots:     r,
		path:      files.GetFolder(),
		overwrite: files.GetOverwrite(),
		aside:     filepath.Join(files.GetFolder(), asidePrefix+job.GetJobId()),
		extension: extension(job.GetPlan().GetResultFormat()),
		marker:    job.GetPlan().GetSinkMarker(),
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

// Check fails when the folder may not be written to: it is a file, or it holds
// something and overwriting was not asked for. What another job left there that
// was killed counts too: it may still run. What this one left does not: it is
// planned again.
func (f *Folder) Check() error {
	info, err := f.roots.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && !info.IsDir():
		return processor.Fatal("the output folder %s is a file: name a folder", f.path)
	case err == nil && f.overwrite:
		return nil
	}
	entries, err := f.roots.ReadDir(f.path)
	if err != nil {
		return f.unusable("can't be used", err)
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), filepath.Base(f.aside)) {
			return processor.Fatal("the output folder %s is not empty (it holds %s): name another one, or ask to overwrite it (--overwrite)",
				f.path, entry.Name())
		}
	}
	return nil
}

// unusable is the failure of the folder: one that another worker may not meet
// where this one does not serve the folder.
func (f *Folder) unusable(what string, err error) error {
	var outside *roots.Outside
	switch {
	case errors.As(err, &outside) && filepath.IsAbs(f.path):
		outside.Path = f.path
		return processor.InputGone("the output folder: %v", outside)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("the output folder: %w", err)
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return processor.Fatal("the output folder %s %s: %v", f.path, what, err)
}

// CheckInputs fails when the folder would be overwritten with input files in
// it.
func (f *Folder) CheckInputs(fragments []*pb.Fragment) error {
	if !f.overwrite {
		return nil
	}
	folder, err := filepath.Abs(f.path)
	if err != nil {
		return fmt.Errorf("the output folder: %w", err)
	}
	if real, err := f.roots.Real(folder); err == nil {
		folder = real
	}
	for _, fragment := range fragments {
		path := fragment.GetPath()
		if real, err := f.roots.Real(filepath.Dir(path)); err == nil {
			path = filepath.Join(real, filepath.Base(path))
		}
		if strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/") {
			return processor.Fatal("the output folder %s holds %s, which is input: overwriting would remove it; name another folder",
				f.path, fragment.GetPath())
		}
	}
	return nil
}
