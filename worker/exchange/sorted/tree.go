package sorted

import (
	"bytes"
	"math"
)

// tree merges segments by a tournament that remembers its losers: one path of
// comparisons for each row (Knuth, The Art of Computer Programming 3, 5.4.1).
type tree[V any] struct {
	segments []segment[V]
	heads    []uint64 // the prefix of each segment's first row
	losers   []int32  // losers[0] is the winner
}

func newTree[V any](segments []segment[V]) *tree[V] {
	k := len(segments)
	t := &tree[V]{segments: segments, heads: make([]uint64, k), losers: make([]int32, max(k, 1))}
	winners := make([]int32, 2*k)
	for i := range segments {
		t.head(i)
		winners[k+i] = int32(i)
	}
	for n := k - 1; n > 0; n-- {
		a, b := winners[2*n], winners[2*n+1]
		if t.less(b, a) {
			a, b = b, a
		}
		winners[n], t.losers[n] = a, b
	}
	if k > 1 {
		t.losers[0] = winners[1]
	}
	return t
}

// head notes the prefix of a segment's first row; that of an empty segment is
// behind all others.
func (t *tree[V]) head(i int) {
	s := &t.segments[i]
	if s.from < s.to {
		t.heads[i] = s.block.prefixes[s.from]
		return
	}
	t.heads[i] = math.MaxUint64
}

func (t *tree[V]) less(a, b int32) bool {
	if t.heads[a] != t.heads[b] {
		return t.heads[a] < t.heads[b]
	}
	return t.lessRest(a, b)
}

// lessRest decides between rows of one prefix. Of equal keys the earlier
// segment's comes first.
func (t *tree[V]) lessRest(a, b int32) bool {
	x, y := &t.segments[a], &t.segments[b]
	switch {
	case x.from == x.to:
		return false
	case y.from == y.to:
		return true
	}
	if c := compareRest(x.block.key(x.from), y.block.key(y.from)); c != 0 {
		return c < 0
	}
	return a < b
}

// advance takes the winner's first row away, and finds the next winner.
func (t *tree[V]) advance() {
	w := t.losers[0]
	t.segments[w].from++
	t.head(int(w))
	for n := (int(w) + len(t.segments)) >> 1; n > 0; n >>= 1 {
		if t.less(t.losers[n], w) {
			t.losers[n], w = w, t.losers[n]
		}
	}
	t.losers[0] = w
}

// merge combines the rows of all segments into rows from fresh.
func (t *tree[V]) merge(combine func(a, b V) V, fresh func() *rows[V]) []*rows[V] {
	out := []*rows[V]{fresh()}
	r := out[0]
	for {
		s := &t.segments[t.losers[0]]
		if s.from == s.to {
			return out
		}
		if r.full() {
			r = fresh()
			out = append(out, r)
		}
		prefix, key, value := s.block.prefixes[s.from], s.block.key(s.from), s.block.values[s.from]
		t.advance()
		for t.same(prefix, key) {
			w := t.segments[t.losers[0]]
			value = combine(value, w.block.values[w.from])
			t.advance()
		}
		r.data = append(r.data, key...)
		r.seal(value)
	}
}

// same says whether the winner has this key.
func (t *tree[V]) same(prefix uint64, key []byte) bool {
	w := t.losers[0]
	if t.heads[w] != prefix {
		return false
	}
	s := &t.segments[w]
	return s.from < s.to && bytes.Equal(s.block.key(s.from), key)
}
