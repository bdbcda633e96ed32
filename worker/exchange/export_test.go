package exchange

// Cleaned waits until what crashed workers left is removed.
func (s *Spool) Cleaned() { <-s.clean.done }

// Written is the error of a job whose output met one when it was written.
func (s *Spool) Written(job uint64, err error) error { return s.written(job, err) }
