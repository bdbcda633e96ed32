package ledger

// intervals is a set of positions, kept as maximal half-open intervals.
type intervals struct {
	ends ordered[Position] // from → to
	size int64
}

// empty says whether there is nothing in the set.
func (s *intervals) empty() bool { return s.size == 0 }

// first returns the lowest interval.
func (s *intervals) first() (from, to Position, ok bool) { return s.ends.first() }

// add puts [from, to) into the set.
func (s *intervals) add(from, to Position) {
	if from >= to {
		return
	}
	s.remove(from, to)
	s.size += int64(to - from)
	if at, end, ok := s.ends.floor(from); ok && end == from {
		s.ends.remove(at)
		from = at
	}
	if end, ok := s.ends.get(to); ok {
		s.ends.remove(to)
		to = end
	}
	s.ends.put(from, to)
}

// remove takes [from, to) out of the set, as far as it is in.
func (s *intervals) remove(from, to Position) {
	for from < to {
		at, end, ok := s.ends.floor(to - 1)
		if !ok || end <= from {
			return
		}
		lo, hi := max(at, from), min(end, to)
		s.size -= int64(hi - lo)
		s.carve(at, end, lo, hi)
		to = lo
	}
}

// carve takes [lo, hi) out of the interval [at, end).
func (s *intervals) carve(at, end, lo, hi Position) {
	switch {
	case at == lo && hi == end:
		s.ends.remove(at)
	case at == lo:
		s.ends.rekey(at, hi)
	case hi == end:
		s.ends.put(at, lo)
	default:
		s.ends.put(at, lo)
		s.ends.put(hi, end)
	}
}
