package sorted

import (
	"bytes"
	"cmp"
	"slices"
)

// smallBucket is how many entries are sorted by comparing them.
const smallBucket = 48

// sort puts the entries in the order of their keys. The table can't be added to
// until it is reset.
func (t *table[V]) sort() { t.radix(t.entries, 56) }

// radix sorts entries whose prefixes agree above a byte, by that byte and those
// below: in place, each entry swapped to where its bucket has room (McIlroy,
// Bostic and McIlroy, Engineering Radix Sort, 1993).
func (t *table[V]) radix(entries []entry[V], shift int) {
	if len(entries) <= smallBucket || shift < 0 {
		slices.SortFunc(entries, t.compare)
		return
	}
	var ends, next [256]int
	for i := range entries {
		ends[byte(entries[i].prefix>>shift)]++
	}
	sum := 0
	for b := range ends {
		next[b] = sum
		sum += ends[b]
		ends[b] = sum
	}
	permute(entries, shift, &next, &ends)
	from := 0
	for _, end := range ends {
		if end-from > 1 {
			t.radix(entries[from:end], shift-8)
		}
		from = end
	}
}

func permute[V any](entries []entry[V], shift int, next, ends *[256]int) {
	for b := range ends {
		for next[b] < ends[b] {
			e := &entries[next[b]]
			home := byte(e.prefix >> shift)
			if int(home) == b {
				next[b]++
				continue
			}
			other := &entries[next[home]]
			*e, *other = *other, *e
			next[home]++
		}
	}
}

func (t *table[V]) compare(a, b entry[V]) int {
	switch {
	case a.prefix != b.prefix:
		return cmp.Compare(a.prefix, b.prefix)
	case a.size <= prefixBytes || b.size <= prefixBytes:
		return cmp.Compare(a.size, b.size) // the one is the other's beginning
	}
	return bytes.Compare(t.arena[a.rest:][:a.size-prefixBytes], t.arena[b.rest:][:b.size-prefixBytes])
}
