package exchange

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
)

// lockName is the file in every spool's folder that its worker holds locked. It
// is made first and removed last.
const lockName = "lock"

// cleaner removes the spool folders of workers that are gone: those with a lock
// that nobody holds. They can be large, so it is done beside everything else.
type cleaner struct {
	quit    chan struct{}
	done    chan struct{}
	removed bool // something was; to be read once done is closed
}

func startCleaner(parent string) *cleaner {
	c := &cleaner{quit: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(c.done)
		dirs, _ := filepath.Glob(filepath.Join(parent, spoolPrefix+"*"))
		for _, dir := range dirs {
			c.consider(dir)
		}
	}()
	return c
}

// wait waits until the cleaning is over, and says whether that was still to come
// and has removed anything. It is cut short, and says yes, when ctx ends.
func (c *cleaner) wait(ctx context.Context) bool {
	select {
	case <-c.done:
		return false
	default:
	}
	select {
	case <-c.done:
		return c.removed
	case <-ctx.Done():
		return true
	}
}

// stop ends the cleaning, in the middle of a folder if need be.
func (c *cleaner) stop() {
	close(c.quit)
	<-c.done
}

func (c *cleaner) consider(dir string) {
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR, 0)
	if err != nil {
		return // not ours, or just being made
	}
	defer lock.Close()
	if tryLock(lock) != nil {
		return
	}
	c.removed = true
	if err := c.remove(dir); err != nil {
		slog.Warn("an old spool could not be removed", "folder", dir, "error", err)
	}
}

// remove removes a folder, its lock last: what is left of one is found again.
func (c *cleaner) remove(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		select {
		case <-c.quit:
			return nil
		default:
		}
		if entry.Name() == lockName {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}
