package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// lock says that a spool's folder is in use: to other workers by a file in it,
// to programs that clean up temporary folders by the folder itself.
type lock struct{ file, folder *os.File }

func (l lock) release() error { return errors.Join(l.file.Close(), l.folder.Close()) }

// takeLock locks a folder. Some file systems have no locks on folders, which is
// no harm.
func takeLock(dir string) (l lock, err error) {
	if l.file, err = os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return l, err
	}
	if err = tryLock(l.file); err == nil {
		l.folder, err = os.Open(dir)
	}
	if err != nil {
		return l, errors.Join(err, l.file.Close())
	}
	if err := tryLock(l.folder); err != nil {
		slog.Debug("a folder can't be locked", "folder", dir, "error", err)
	}
	return l, nil
}

func tryLock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// makeFolder makes a folder and locks it: dir, or a new one under parent when
// that is empty. It gets its name only then: others that clean up at the same
// time would take it for one that was left.
func makeFolder(parent, dir string) (string, lock, error) {
	made, err := os.MkdirTemp(parent, "new-"+spoolPrefix)
	if err != nil {
		return "", lock{}, err
	}
	if dir == "" {
		dir = filepath.Join(parent, strings.TrimPrefix(filepath.Base(made), "new-"))
	}
	held, err := takeLock(made)
	if err != nil {
		return "", lock{}, errors.Join(err, os.RemoveAll(made))
	}
	if err := os.Rename(made, dir); err != nil {
		return "", lock{}, errors.Join(err, held.release(), os.RemoveAll(made))
	}
	return dir, held, nil
}

// Made is how often the spool's folder was made, which Excuse wants to know.
func (s *Spool) Made() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.made
}

// Excuse says why an attempt is not to blame for its error, if it is not: since
// its spool was made for the nth time, somebody removed its folder, which is made
// again then; or the disk is full of what dead workers left, which is removed
// then, or ctx has ended. The error is of making the folder.
func (s *Spool) Excuse(ctx context.Context, err error, n int) (string, error) {
	switch mended, fault := s.mend(n); {
	case fault != nil:
		return "", fault
	case mended:
		return "somebody removed the spool's folder", nil
	case IsFull(err) && s.clean.wait(ctx):
		return "what dead workers left had to be removed first", nil
	}
	return "", nil
}

// mend looks whether somebody removed the spool's folder since it was made for
// the nth time, as those do who tidy up temporary folders, and makes it anew. What
// it held is gone then.
func (s *Spool) mend(n int) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made != n {
		return true, nil // it was found by another one
	}
	if _, err := os.Lstat(s.dir); !errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	parent := filepath.Dir(s.dir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return false, fmt.Errorf("the spool's folder was removed, and can't be made again: %w", err)
	}
	_, held, err := makeFolder(parent, s.dir)
	if err != nil {
		return false, fmt.Errorf("the spool's folder was removed, and can't be made again: %w", err)
	}
	slog.Warn("somebody removed the spool's folder; it is made anew", "folder", s.dir, "outputs_lost", len(s.held))
	s.lock.release() //nolint:errcheck // of files that are gone
	s.lock = held
	s.made++
	for _, output := range s.held {
		s.used -= output.ref.GetBytes()
		s.of(output.ref.GetJob()).used -= output.ref.GetBytes()
	}
	clear(s.held)
	for job, share := range s.jobs {
		if clear(share.ids); share.used == 0 {
			delete(s.jobs, job)
		}
	}
	return true, nil
}
