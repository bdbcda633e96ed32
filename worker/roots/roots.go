// Package roots is the only door to users' files: it decides which paths a
// worker may read and write, and opens them so that neither `..` nor a symbolic
// link leads out of its folders, not even one that is swapped meanwhile. What
// is read, and where results go, is decided elsewhere.
//
// A path is looked at as the system would follow it: a link may lead anywhere
// below any of the folders, and nowhere else. Who opens files by path (an SQL
// engine) gets a path without links; between the check and that opening there
// is a moment which only that engine's own list of allowed paths guards.
package roots

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Roots are the folders whose files a worker serves. Nil ones are for a process
// that works for its own user: they serve all that it can reach, and relative
// paths too.
type Roots struct {
	all     bool // the folder "/" is among them
	folders []folder
}

// folder is one of the roots.
type folder struct {
	given string // as the operator named it, absolute
	real  string // with its links resolved
	dir   *os.Root
}

// Outside is the error of a path that is not served.
type Outside struct {
	// Path is the path as it was given.
	Path string
	// Reason says what is wrong with it, where that isn't simply its place.
	Reason string
	// Folders are those that are served.
	Folders []string
}

// Error names the path and the folders.
func (o *Outside) Error() string {
	reason := o.Reason
	if reason == "" {
		reason = "lies outside of the folders that this worker serves"
	}
	if len(o.Folders) == 0 {
		return o.Path + " can't be used: this worker serves no files (its --data-root says which folders it does)"
	}
	return fmt.Sprintf("%s %s (--data-root %s)", o.Path, reason, strings.Join(o.Folders, ", "))
}

// Open takes the folders, each an absolute or relative path of a folder that is
// there. None at all serves nothing.
func Open(folders []string) (*Roots, error) {
	r := &Roots{}
	var faults []error
	for _, given := range folders {
		f, err := openFolder(given)
		if err != nil {
			faults = append(faults, fmt.Errorf("data root %s: %w", given, err))
			continue
		}
		r.folders = append(r.folders, f)
		r.all = r.all || f.real == "/"
	}
	if len(faults) > 0 {
		return nil, errors.Join(append(faults, r.Close())...)
	}
	return r, nil
}

func openFolder(given string) (folder, error) {
	path, err := filepath.Abs(given)
	if err != nil {
		return folder{}, err
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return folder{}, err
	}
	dir, err := os.OpenRoot(real)
	return folder{path, real, dir}, err
}

// Close lets go of the folders.
func (r *Roots) Close() error {
	if r == nil {
		return nil
	}
	var faults []error
	for _, f := range r.folders {
		faults = append(faults, f.dir.Close())
	}
	return errors.Join(faults...)
}

// Folders are the folders as they were given, made absolute; "/" alone for nil.
func (r *Roots) Folders() []string {
	if r == nil {
		return []string{"/"}
	}
	names := make([]string, len(r.folders))
	for i, f := range r.folders {
		names[i] = f.given
	}
	return names
}

// Plain says that every path that passes Check may be opened as it is.
func (r *Roots) Plain() bool { return r == nil || r.all }

// Check refuses paths that mean nothing to a worker that works for others:
// relative ones, and those with `..`.
func (r *Roots) Check(path string) error {
	switch {
	case r == nil:
		return nil
	case !filepath.IsAbs(path):
		return r.outside(path, "is a relative path, which means nothing on another machine: give an absolute one below the folders that this worker serves")
	case slices.Contains(strings.Split(path, "/"), ".."):
		return r.outside(path, "has a `..` in it: give the path without")
	}
	return nil
}

// Real is the path of a file or folder with its links resolved.
func (r *Roots) Real(path string) (string, error) {
	if err := r.Check(path); err != nil {
		return "", err
	}
	if r.Plain() {
		return realPath(path)
	}
	at, err := r.find(path)
	if err != nil {
		return "", err
	}
	if _, err := at.dir.Stat(at.rel); err != nil {
		return "", named(err, path)
	}
	return at.path(), nil
}

func realPath(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	return filepath.Abs(real)
}

// place is where a path leads: below one of the folders.
type place struct {
	*folder
	rel string
}

func (p place) path() string { return filepath.Join(p.real, p.rel) }

// find follows a path's links, its last part's too, as far as it is there. What
// it finds has none left; one that comes into being later does not lead out.
func (r *Roots) find(path string) (place, error) {
	if err := r.Check(path); err != nil {
		return place{}, err
	}
	there, rest := filepath.Clean(path), ""
	real, err := filepath.EvalSymlinks(there)
	for missing(err) && there != "/" {
		if info, failed := os.Lstat(there); failed == nil && info.Mode()&fs.ModeSymlink != 0 {
			return place{}, r.outside(path, "passes through a link that leads to nothing, or out of the folders that this worker serves")
		} else if failed != nil { // else somebody has made it meanwhile
			there, rest = filepath.Dir(there), filepath.Join(filepath.Base(there), rest)
		}
		real, err = filepath.EvalSymlinks(there)
	}
	if at, ok := r.below(filepath.Join(real, rest)); ok && err == nil {
		return at, nil
	}
	if _, served := r.lexically(path); served && err != nil {
		return place{}, named(err, path)
	}
	return place{}, r.outside(path, "")
}

// findEntry is find for what is done to a path itself, be it a link.
func (r *Roots) findEntry(path string) (place, error) {
	path = filepath.Clean(path)
	at, err := r.find(filepath.Dir(path))
	if err != nil {
		var out *Outside
		if errors.As(err, &out) {
			out.Path = path
		}
		return place{}, err
	}
	at.rel = filepath.Join(at.rel, filepath.Base(path))
	return at, nil
}

// below finds the folder that holds a real path.
func (r *Roots) below(real string) (place, bool) {
	for i := range r.folders {
		f := &r.folders[i]
		if rel, ok := inside(f.real, real); ok {
			return place{f, rel}, true
		}
	}
	return place{}, false
}

// lexically finds the folder that holds a path as it is written.
func (r *Roots) lexically(path string) (place, bool) {
	path = filepath.Clean(path)
	for i := range r.folders {
		f := &r.folders[i]
		for _, root := range []string{f.given, f.real} {
			if rel, ok := inside(root, path); ok {
				return place{f, rel}, true
			}
		}
	}
	return place{}, false
}

func inside(root, path string) (string, bool) {
	if root == path {
		return ".", true
	}
	return strings.CutPrefix(path, strings.TrimSuffix(root, "/")+"/")
}

// missing says that a path, or something on the way there, is not there.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

func (r *Roots) outside(path, reason string) error {
	return &Outside{Path: path, Reason: reason, Folders: r.Folders()}
}

// named tells an error of the path as it was given.
func named(err error, path string) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return &fs.PathError{Op: at.Op, Path: path, Err: at.Err}
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return &fs.PathError{Op: link.Op, Path: path, Err: link.Err}
	}
	return err
}
