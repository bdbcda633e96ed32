package sim

// span is a half-open range of positions of a source.
type span struct{ from, to int64 }

// spans are positions in an order, neighbours joined.
type spans []span

func (s spans) add(next span) spans {
	if next.from >= next.to {
		return s
	}
	if n := len(s); n > 0 && s[n-1].to == next.from {
		s[n-1].to = next.to
		return s
	}
	return append(s, next)
}

func (s spans) join(next spans) spans {
	for _, one := range next {
		s = s.add(one)
	}
	return s
}

func (s spans) len() int64 {
	n := int64(0)
	for _, one := range s {
		n += one.to - one.from
	}
	return n
}

// first is the first n positions; all when n is 0.
func (s spans) first(n int64) spans {
	if n == 0 {
		return s
	}
	var out spans
	for _, one := range s {
		one.to = min(one.to, one.from+n)
		n -= one.to - one.from
		out = out.add(one)
	}
	return out
}

func (s spans) equal(t spans) bool {
	if len(s) != len(t) {
		return false
	}
	for i := range s {
		if s[i] != t[i] {
			return false
		}
	}
	return true
}

func (s span) overlaps(t span) bool { return s.from < t.to && t.from < s.to }
