package exchange

import (
	"context"
	"sync"
)

// Mend looks whether somebody removed the spool's folder.
func (s *Spool) Mend(n int) (bool, error) { return s.mend(n) }

// Cleaned waits until what crashed workers left is removed.
func (s *Spool) Cleaned() { s.clean.wait(context.Background()) }

// Clean is a cleaning, of something or of nothing, that goes on until the function
// is called that it returns.
func (s *Spool) Clean(removes bool) func() {
	s.clean = &cleaner{quit: make(chan struct{}), done: make(chan struct{}), removed: removes}
	return sync.OnceFunc(func() { close(s.clean.done) })
}

// Written is the error of a job whose output met one when it was written.
func (s *Spool) Written(job uint64, err error) error { return s.written(job, err) }
