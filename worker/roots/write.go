package roots

import (
	"fmt"
	"os"
)

// Create opens a file for writing, made anew or emptied.
func (r *Roots) Create(path string) (*os.File, error) {
	const flags, mode = os.O_CREATE | os.O_TRUNC | os.O_WRONLY, 0o644
	if err := r.Check(path); err != nil {
		return nil, err
	}
	if r.Plain() {
		return os.OpenFile(path, flags, mode)
	}
	at, err := r.find(path)
	if err != nil {
		return nil, err
	}
	file, err := at.dir.OpenFile(at.rel, flags, mode)
	return file, named(err, path)
}

// WriteFile writes a small file as a whole.
func (r *Roots) WriteFile(path string, data []byte) error {
	file, err := r.Create(path)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

// MkdirAll makes a folder, and those around it that are missing.
func (r *Roots) MkdirAll(path string) error {
	const mode = 0o755
	if err := r.Check(path); err != nil {
		return err
	}
	if r.Plain() {
		return os.MkdirAll(path, mode)
	}
	at, err := r.find(path)
	if err != nil {
		return err
	}
	return named(at.dir.MkdirAll(at.rel, mode), path)
}

// Rename gives a file or folder another name, in place of what has that.
func (r *Roots) Rename(from, to string) error {
	for _, path := range []string{from, to} {
		if err := r.Check(path); err != nil {
			return err
		}
	}
	if r.Plain() {
		return os.Rename(from, to)
	}
	old, err := r.findEntry(from)
	if err != nil {
		return err
	}
	now, err := r.findEntry(to)
	if err != nil {
		return err
	}
	if old.folder != now.folder {
		return fmt.Errorf("rename %s to %s: they lie in different folders of this worker", from, to)
	}
	return named(old.dir.Rename(old.rel, now.rel), from)
}

// Remove removes a file, a link or an empty folder.
func (r *Roots) Remove(path string) error { return r.remove(path, os.Remove, (*os.Root).Remove) }

// RemoveAll removes a path and, if it is a folder, all that it holds.
func (r *Roots) RemoveAll(path string) error {
	return r.remove(path, os.RemoveAll, (*os.Root).RemoveAll)
}

func (r *Roots) remove(path string, plainly func(string) error, below func(*os.Root, string) error) error {
	if err := r.Check(path); err != nil {
		return err
	}
	if r.Plain() {
		return plainly(path)
	}
	at, err := r.findEntry(path)
	if err != nil {
		return err
	}
	return named(below(at.dir, at.rel), path)
}
