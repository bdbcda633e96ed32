package exchange

// Cleaned waits until what crashed workers left is removed.
func (s *Spool) Cleaned() { <-s.clean.done }
