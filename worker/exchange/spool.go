// Package exchange keeps the outputs of batches in a bounded spool folder, from
// the moment that they are written until the coordinator says that nobody needs
// them, and gives them, and those that other workers hold, to later stages as
// their input. What is merged, and when an output can go, is decided by the
// ledger; how an output travels, by api/dataplane.
package exchange

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// spoolPrefix begins the name of every spool folder, and says which folders a
// worker may clean up after a crash.
const spoolPrefix = "spool-"

// Spool holds the outputs of one worker in a folder of its own. It is safe for
// use by several goroutines.
type Spool struct {
	dir    string
	worker string
	limit  int64
	clean  *cleaner

	mu   sync.Mutex
	lock lock
	made int                // how often the folder was made
	used int64              // bytes in finished outputs and those being written
	held map[string]*stored // finished outputs by id
	jobs map[uint64]*share
}

// Open makes a spool for a worker in a new folder under parent, which is made
// when absent. It holds at most limit bytes. Folders that crashed workers left
// under parent are removed meanwhile.
func Open(parent, worker string, limit int64) (*Spool, error) {
	if !utf8.ValidString(parent) {
		return nil, fmt.Errorf("the spool folder %q has a name that is not UTF-8: choose another", parent)
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, fmt.Errorf("make the spool folder: %w", err)
	}
	clean := startCleaner(parent)
	dir, lock, err := makeFolder(parent, "")
	if IsFull(err) { // by what is being removed, perhaps
		<-clean.done
		dir, lock, err = makeFolder(parent, "")
	}
	if err != nil {
		clean.stop()
		return nil, fmt.Errorf("make a spool in %s: %w", parent, err)
	}
	return &Spool{
		dir: dir, worker: worker, limit: limit, lock: lock, made: 1, clean: clean,
		held: map[string]*stored{}, jobs: map[uint64]*share{},
	}, nil
}

// Dir is the spool's folder; attempts keep their temporary files below it.
func (s *Spool) Dir() string { return s.dir }

// Close removes the spool and all it holds. What crashed workers left, and is
// still there, stays.
func (s *Spool) Close() error {
	s.clean.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(os.RemoveAll(s.dir), s.lock.release())
}

// Used is how many bytes the outputs take.
func (s *Spool) Used() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// Drop deletes outputs; those that are not there are passed over. Who reads one
// meanwhile is not disturbed by it.
func (s *Spool) Drop(ids ...string) {
	for _, id := range ids {
		if output := s.forget(id); output != nil {
			removeQuietly(output.path)
		}
	}
}

// DropJob deletes all outputs of a job.
func (s *Spool) DropJob(job uint64) {
	s.mu.Lock()
	var ids []string
	if share := s.jobs[job]; share != nil {
		ids = slices.Collect(maps.Keys(share.ids))
	}
	s.mu.Unlock()
	s.Drop(ids...)
}

func (s *Spool) forget(id string) *stored {
	s.mu.Lock()
	defer s.mu.Unlock()
	output := s.held[id]
	if output == nil {
		return nil
	}
	delete(s.held, id)
	job := output.ref.GetJob()
	delete(s.jobs[job].ids, id)
	s.free(job, output.ref.GetBytes())
	return output
}

func (s *Spool) keep(output *stored) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := output.ref.GetId()
	s.held[id] = output
	s.of(output.ref.GetJob()).ids[id] = true
}

func removeQuietly(path string) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		slog.Warn("an output could not be removed", "path", path, "error", err)
	}
}

// newID names an output so that nobody can guess it.
func newID() string { return strings.ToLower(rand.Text()) }
