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
	"syscall"
	"unicode/utf8"

	"github.com/millrace/millrace/worker/processor"
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

// share is what one job has of a spool.
type share struct {
	used int64
	ids  map[string]bool
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
	dir, lock, err := makeFolder(parent, "")
	if err != nil {
		return nil, fmt.Errorf("make a spool in %s: %w", parent, err)
	}
	return &Spool{
		dir: dir, worker: worker, limit: limit, lock: lock, made: 1, clean: startCleaner(parent),
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

// of is a job's share, made when it is first asked for.
func (s *Spool) of(job uint64) *share {
	if s.jobs[job] == nil {
		s.jobs[job] = &share{ids: map[string]bool{}}
	}
	return s.jobs[job]
}

// free gives n bytes of a job back, and forgets the job with its last.
func (s *Spool) free(job uint64, n int64) {
	s.used -= n
	share := s.of(job)
	if share.used -= n; share.used == 0 && len(share.ids) == 0 {
		delete(s.jobs, job)
	}
}

// FullError says that a spool has no room left. Another worker's may.
type FullError struct{ message string }

// Error says which spool, and what to do.
func (e *FullError) Error() string { return e.message }

// Unwrap is what a full disk says.
func (e *FullError) Unwrap() error { return syscall.ENOSPC }

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// reserve takes n more bytes of the spool for a job, or says that it is full, or
// that the job has as much as it may. What other jobs take goes in time, and
// other workers may have room meanwhile.
func (s *Spool) reserve(job uint64, n, limit int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	used := n
	if share := s.jobs[job]; share != nil {
		used += share.used
	}
	switch {
	case limit > 0 && used > limit:
		return processor.Fatal("the job's intermediate results need more than the %d bytes that it allows itself "+
			"(max_spool_bytes); raise that, or let it write less", limit)
	case used > s.limit:
		return &FullError{fmt.Sprintf("the spool %s of worker %s is full: intermediate results need more than its limit of %.4g MiB; "+
			"give it more room (--spool-bytes), or let the job write less", s.dir, s.worker, mebibytes(s.limit))}
	case s.used+n > s.limit:
		return &FullError{fmt.Sprintf("the spool %s of worker %s is full: other jobs have most of its %.4g MiB; "+
			"give it more room (--spool-bytes), keep results for a shorter time, or remove some (millrace rm)", s.dir, s.worker, mebibytes(s.limit))}
	}
	s.used += n
	s.of(job).used = used
	return nil
}

func (s *Spool) release(job uint64, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free(job, n)
}

func removeQuietly(path string) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		slog.Warn("an output could not be removed", "path", path, "error", err)
	}
}

// newID names an output so that nobody can guess it.
func newID() string { return strings.ToLower(rand.Text()) }
