package sink

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
	"github.com/millrace/millrace/worker/roots"
)

// Mark makes the folder, with the one where attempts write and the marker in
// that, and tells what the marker says. Done again it tells the same: of several
// who plan a job the first one's marker stays.
func (f *Folder) Mark() (string, error) {
	if err := f.roots.Check(f.path); err != nil {
		return "", f.unusable("can't be used", err)
	}
	if said, err := f.roots.ReadFile(f.markerPath()); err == nil {
		return string(said), nil
	}
	marker := strings.ToLower(rand.Text())
	fresh := f.aside + "." + marker
	err := f.makeMarked(fresh, marker)
	if err == nil {
		err = f.roots.Rename(fresh, f.aside) // fails where another was first
	}
	if err == nil {
		return marker, nil
	}
	_, unmade := f.roots.Lstat(filepath.Join(fresh, madeMark))
	failed := errors.Join(err, f.roots.RemoveAll(fresh))
	said, err := f.roots.ReadFile(f.markerPath())
	if err != nil {
		return "", f.unusable("can't be made", failed)
	}
	if unmade == nil { // who was first may not know that the sink's folder was made for this
		err = f.roots.WriteFile(filepath.Join(f.aside, madeMark), nil)
	}
	return string(said), err
}

func (f *Folder) markerPath() string { return filepath.Join(f.aside, markerName) }

// makeMarked makes the folder where attempts write, under another name.
func (f *Folder) makeMarked(aside, marker string) error {
	_, before := f.roots.Stat(f.path)
	if err := f.roots.MkdirAll(aside); err != nil {
		return err
	}
	if errors.Is(before, fs.ErrNotExist) {
		if err := f.roots.WriteFile(filepath.Join(aside, madeMark), nil); err != nil {
			return err
		}
	}
	return f.roots.WriteFile(filepath.Join(aside, markerName), []byte(marker))
}

// seen fails when this worker does not see the folder that was planned, or not any
// more: another may have committed.
func (f *Folder) seen() error {
	_, err := f.Look()
	if failure := (*processor.Failure)(nil); errors.As(err, &failure) && failure.Class == pb.OutcomeClass_OUTCOME_CLASS_UNABLE {
		return processor.InputGone("%v", err)
	}
	return err
}

// Look tells whether this worker sees the folder that was planned, and if not,
// why. It may take long where the folder lies on a file system that hangs.
func (f *Folder) Look() (pb.SinkView, error) {
	if f.marker == "" {
		return pb.SinkView_SINK_VIEW_SEEN, nil
	}
	said, err := f.roots.ReadFile(f.markerPath())
	var outside *roots.Outside
	switch {
	case err == nil && string(said) == f.marker:
		return pb.SinkView_SINK_VIEW_SEEN, nil
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return pb.SinkView_SINK_VIEW_UNSEEN, processor.Unable("this worker does not see the marker of the job in the output folder %s: "+
			"the folder must be on a file system that all workers share", f.path)
	case errors.As(err, &outside):
		outside.Path = f.path
		return pb.SinkView_SINK_VIEW_UNSERVED, processor.Unable("the output folder: %v", outside)
	}
	return pb.SinkView_SINK_VIEW_UNSEEN, f.unusable("can't be used", err)
}

// strays are what those left who made a marker too late.
func (f *Folder) strays() ([]string, error) {
	entries, err := f.roots.ReadDir(f.path)
	if err != nil {
		return nil, fmt.Errorf("look into the output folder: %w", err)
	}
	var strays []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), filepath.Base(f.aside)+".") {
			strays = append(strays, filepath.Join(f.path, entry.Name()))
		}
	}
	return strays, nil
}
