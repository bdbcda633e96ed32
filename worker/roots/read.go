package roots

import (
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Open opens a file or folder for reading.
func (r *Roots) Open(path string) (*os.File, error) {
	if err := r.Check(path); err != nil {
		return nil, err
	}
	if r.Plain() {
		return os.Open(path)
	}
	return reach(r, path, (*os.Root).Open)
}

// reach does something at a path: as it is written, if that has no link or only
// some that stay below its root, and else where its links lead.
func reach[T any](r *Roots, path string, do func(*os.Root, string) (T, error)) (T, error) {
	if at, ok := r.lexically(path); ok {
		if done, err := do(at.dir, at.rel); err == nil {
			return done, nil
		}
	}
	at, err := r.find(path)
	if err != nil {
		var none T
		return none, err
	}
	done, err := do(at.dir, at.rel)
	return done, named(err, path)
}

// Stat tells of a file or folder, following links.
func (r *Roots) Stat(path string) (fs.FileInfo, error) {
	if err := r.Check(path); err != nil {
		return nil, err
	}
	if r.Plain() {
		return os.Stat(path)
	}
	return reach(r, path, (*os.Root).Stat)
}

// Lstat tells of a path itself, be it a link.
func (r *Roots) Lstat(path string) (fs.FileInfo, error) {
	if err := r.Check(path); err != nil {
		return nil, err
	}
	if r.Plain() {
		return os.Lstat(path)
	}
	at, err := r.findEntry(path)
	if err != nil {
		return nil, err
	}
	info, err := at.dir.Lstat(at.rel)
	return info, named(err, path)
}

// ReadDir lists a folder, sorted by name.
func (r *Roots) ReadDir(path string) ([]fs.DirEntry, error) {
	dir, err := r.Open(path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, named(err, path)
}

// ReadFile reads a small file.
func (r *Roots) ReadFile(path string) ([]byte, error) {
	if err := r.Check(path); err != nil {
		return nil, err
	}
	if r.Plain() {
		return os.ReadFile(path)
	}
	return reach(r, path, (*os.Root).ReadFile)
}
