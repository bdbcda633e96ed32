package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Names of folders: one that is being made, and one whose lock is held for as
// long as its process lives.
const (
	newPrefix  = "millrace-new-"
	livePrefix = "millrace-run-"
	lockName   = ".lock"
)

// staleAfter is when a folder that was never made ready is taken to be left
// behind by a crash.
const staleAfter = time.Hour

// Folder is a temporary folder of this process.
type Folder struct {
	// Path is the folder.
	Path string
	lock *os.File
}

// MakeFolder makes a temporary folder below parent (the system's own when empty)
// and removes those that processes which have died left there.
func MakeFolder(parent string) (*Folder, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	removeStale(parent)
	path, err := os.MkdirTemp(parent, newPrefix)
	if err != nil {
		return nil, fmt.Errorf("make a temporary folder (TMPDIR says where): %w", err)
	}
	lock, err := lockFile(filepath.Join(path, lockName))
	if err != nil {
		os.RemoveAll(path)
		return nil, fmt.Errorf("lock a temporary folder: %w", err)
	}
	// Only a folder whose lock is held has a name that others look at.
	live := filepath.Join(parent, livePrefix+filepath.Base(path)[len(newPrefix):])
	if err := os.Rename(path, live); err != nil {
		lock.Close()
		os.RemoveAll(path)
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	return &Folder{Path: live, lock: lock}, nil
}

// Remove removes the folder with all that is in it.
func (f *Folder) Remove() error {
	err := os.RemoveAll(f.Path)
	f.lock.Close() // the lock goes with it, whatever close says
	return err
}

// removeStale removes folders of processes that have died. What can't be removed
// is another user's, or another process is removing it.
func removeStale(parent string) {
	live, _ := filepath.Glob(filepath.Join(parent, livePrefix+"*"))
	for _, path := range live {
		lock, err := lockFile(filepath.Join(path, lockName))
		if err != nil {
			continue
		}
		os.RemoveAll(path)
		lock.Close()
	}
	unready, _ := filepath.Glob(filepath.Join(parent, newPrefix+"*"))
	for _, path := range unready {
		if info, err := os.Lstat(path); err == nil && time.Since(info.ModTime()) > staleAfter {
			os.RemoveAll(path)
		}
	}
}
