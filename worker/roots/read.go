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
	if at, ok := r.lexically(path); ok {
		if file, err := at.dir.Open(at.rel); err == nil {
			return file, nil // without a link, or with one that stays below
		}
	}
	at, err := r.find(path)
	if err != nil {
		return nil, err
	}
	file, err := at.dir.Open(at.rel)
	return file, named(err, path)
}

// Stat tells of a file or folder, following links.
func (r *Roots) Stat(path string) (fs.FileInfo, error) {
	if err := r.Check(path); err != nil {
		return nil, err
	}
	if r.Plain() {
		return os.Stat(path)
	}
	at, err := r.find(path)
	if err != nil {
		return nil, err
	}
	info, err := at.dir.Stat(at.rel)
	return info, named(err, path)
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
	at, err := r.find(path)
	if err != nil {
		return nil, err
	}
	data, err := at.dir.ReadFile(at.rel)
	return data, named(err, path)
}
