package ledger

import (
	"iter"
	"slices"
	"sort"
)

// chunkSize is how many values a chunk of an ordered map holds at most: small
// enough that an insertion moves little, large enough that chunks are few.
const chunkSize = 64

// ordered is a map by rising position. A sorted list of sorted chunks does
// what a balanced tree would, with less memory for each value.
type ordered[T any] struct {
	chunks []*chunk[T]
	n      int
}

type chunk[T any] struct {
	keys []Position
	vals []T
}

// len returns how many values there are.
func (o *ordered[T]) len() int { return o.n }

// chunkOf returns the index of the chunk where a key is or belongs.
func (o *ordered[T]) chunkOf(key Position) int {
	if n := len(o.chunks); n == 1 || n > 1 && o.chunks[n-1].keys[0] <= key {
		return n - 1 // most keys arrive in order
	}
	i := sort.Search(len(o.chunks), func(i int) bool { return o.chunks[i].keys[0] > key })
	return max(i-1, 0)
}

// put sets the value of a key.
func (o *ordered[T]) put(key Position, val T) {
	if len(o.chunks) == 0 {
		o.chunks = append(o.chunks, &chunk[T]{})
	}
	ci := o.chunkOf(key)
	c := o.chunks[ci]
	i, found := slices.BinarySearch(c.keys, key)
	if found {
		c.vals[i] = val
		return
	}
	if len(c.keys) == chunkSize {
		c, i = o.split(ci, i)
	}
	c.keys = slices.Insert(c.keys, i, key)
	c.vals = slices.Insert(c.vals, i, val)
	o.n++
}

// split divides a full chunk, and returns where index i of it went. The last
// chunk is left full when the new key comes after it.
func (o *ordered[T]) split(ci, i int) (*chunk[T], int) {
	c := o.chunks[ci]
	at := chunkSize / 2
	if i == chunkSize && ci == len(o.chunks)-1 {
		at = chunkSize
	}
	d := &chunk[T]{
		keys: append(make([]Position, 0, chunkSize), c.keys[at:]...),
		vals: append(make([]T, 0, chunkSize), c.vals[at:]...),
	}
	clear(c.vals[at:])
	c.keys, c.vals = c.keys[:at], c.vals[:at]
	o.chunks = slices.Insert(o.chunks, ci+1, d)
	if i >= at {
		return d, i - at
	}
	return c, i
}

// remove takes a key out.
func (o *ordered[T]) remove(key Position) {
	if len(o.chunks) == 0 {
		return
	}
	ci := o.chunkOf(key)
	c := o.chunks[ci]
	i, found := slices.BinarySearch(c.keys, key)
	if !found {
		return
	}
	o.n--
	c.keys = slices.Delete(c.keys, i, i+1)
	c.vals = slices.Delete(c.vals, i, i+1)
	if len(c.keys) == 0 {
		o.chunks = slices.Delete(o.chunks, ci, ci+1)
	}
}

// rekey gives a value another key that keeps its place among its neighbours.
func (o *ordered[T]) rekey(old, key Position) {
	c := o.chunks[o.chunkOf(old)]
	i, found := slices.BinarySearch(c.keys, old)
	if !found {
		panic("ledger: rekey of a position that is not there")
	}
	c.keys[i] = key
}

// get returns the value of a key.
func (o *ordered[T]) get(key Position) (val T, found bool) {
	if len(o.chunks) == 0 {
		return val, false
	}
	c := o.chunks[o.chunkOf(key)]
	i, found := slices.BinarySearch(c.keys, key)
	if !found {
		return val, false
	}
	return c.vals[i], true
}

// first returns the lowest key and its value.
func (o *ordered[T]) first() (key Position, val T, found bool) {
	if o.n == 0 {
		return 0, val, false
	}
	c := o.chunks[0]
	return c.keys[0], c.vals[0], true
}

// floor returns the highest key that is not above one, and its value.
func (o *ordered[T]) floor(key Position) (at Position, val T, found bool) {
	if o.n == 0 || o.chunks[0].keys[0] > key {
		return 0, val, false
	}
	c := o.chunks[o.chunkOf(key)]
	i, exact := slices.BinarySearch(c.keys, key)
	if !exact {
		i--
	}
	return c.keys[i], c.vals[i], true
}

// from iterates over the values whose keys are not below one, in order. The
// map must not change meanwhile.
func (o *ordered[T]) from(key Position) iter.Seq2[Position, T] {
	return func(yield func(Position, T) bool) {
		if o.n == 0 {
			return
		}
		for ci := o.chunkOf(key); ci < len(o.chunks); ci++ {
			c := o.chunks[ci]
			for i, k := range c.keys {
				if k >= key && !yield(k, c.vals[i]) {
					return
				}
			}
		}
	}
}

// reset takes everything out.
func (o *ordered[T]) reset() { *o = ordered[T]{} }
