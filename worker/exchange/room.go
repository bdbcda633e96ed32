package exchange

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/millrace/millrace/worker/processor"
)

// share is what one job has of a spool.
type share struct {
	used int64
	ids  map[string]bool
}

// FullError says that a spool, or the disk that it lies on, has no room left for
// an output. Another worker's may.
type FullError struct {
	// Others says that there would be room without the outputs of other jobs.
	// What these take goes in time.
	Others bool

	message string
	cause   error
}

// Error says which spool, and what to do.
func (e *FullError) Error() string { return e.message }

// Unwrap is what a full disk says.
func (e *FullError) Unwrap() error { return e.cause }

// IsFull says whether an error is that a spool, or a disk, is full.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
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

const makeRoom = "give it more room (--spool-bytes), keep results for a shorter time, or remove some (millrace rm)"

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// reserve takes n more bytes of the spool for a job, or says that it is full, or
// that the job has as much as it may.
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
		return &FullError{cause: syscall.ENOSPC, message: fmt.Sprintf("the spool %s of worker %s is full: intermediate results need more than its limit of %.4g MiB; "+
			"give it more room (--spool-bytes), or let the job write less", s.dir, s.worker, mebibytes(s.limit))}
	case s.used+n > s.limit:
		return &FullError{Others: true, cause: syscall.ENOSPC, message: fmt.Sprintf("the spool %s of worker %s is full: other jobs have %.4g of its %.4g MiB; "+
			makeRoom, s.dir, s.worker, mebibytes(s.used+n-used), mebibytes(s.limit))}
	}
	s.used += n
	s.of(job).used = used
	return nil
}

// written is the error of writing an output of a job. Where the disk is full, and
// other jobs have more of it than this one, that is why, as far as can be told.
func (s *Spool) written(job uint64, err error) error {
	if !IsFull(err) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.of(job).used
	if s.used-own <= own {
		return err
	}
	return &FullError{Others: true, cause: err, message: fmt.Sprintf("the disk of the spool %s of worker %s is full: other jobs have %.4g MiB of it; "+
		makeRoom, s.dir, s.worker, mebibytes(s.used-own))}
}

func (s *Spool) release(job uint64, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free(job, n)
}
