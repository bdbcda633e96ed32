package sorted

import (
	"encoding/binary"
	"unsafe"
)

const (
	// firstSlots and firstEntries are where an empty table begins.
	firstSlots   = 1 << 10
	firstEntries = 1 << 9
	// slotBytes is the size of a slot.
	slotBytes = 8
)

// table holds one value for each key. A key of up to 8 bytes lies in its entry,
// a longer one's rest in the arena, so that a key that is there already costs
// no allocation and, mostly, two cache lines.
type table[V any] struct {
	// slots are a hash in the upper half, and the entry's index plus one in the
	// lower; zero is free. Their number is a power of two.
	slots   []uint64
	mask    uint32
	entries []entry[V]
	arena   []byte // the rests of keys longer than a prefix
	weight  int    // what values hold elsewhere, in bytes

	combine func(a, b V) V
	weigh   func(V) int
}

// entry is a key and its value.
type entry[V any] struct {
	prefix uint64
	rest   uint32 // where the key's rest lies in the arena
	size   uint32 // the key's length
	value  V
}

func newTable[V any](o Options[V]) *table[V] {
	return &table[V]{
		slots: make([]uint64, firstSlots), mask: firstSlots - 1,
		entries: make([]entry[V], 0, firstEntries),
		combine: o.Combine, weigh: o.Codec.Weigh,
	}
}

// add combines a value with the one that its key has. It returns false, and
// does nothing, when there is no room for a key that is new.
func (t *table[V]) add(key string, value V) bool {
	prefix := prefixOf(key)
	hash := hashOf(prefix, key)
	for i := hash & t.mask; ; i = (i + 1) & t.mask {
		slot := t.slots[i]
		if slot == 0 {
			return t.insert(i, hash, prefix, key, value)
		}
		if uint32(slot>>32) != hash {
			continue
		}
		e := &t.entries[uint32(slot)-1]
		if e.prefix == prefix && t.sameRest(e, key) {
			t.merge(e, value)
			return true
		}
	}
}

func (t *table[V]) sameRest(e *entry[V], key string) bool {
	if int(e.size) != len(key) {
		return false
	}
	return len(key) <= prefixBytes || text(t.arena[e.rest:][:len(key)-prefixBytes]) == key[prefixBytes:]
}

func (t *table[V]) merge(e *entry[V], value V) {
	if t.weigh == nil {
		e.value = t.combine(e.value, value)
		return
	}
	before := t.weigh(e.value)
	e.value = t.combine(e.value, value)
	t.weight += t.weigh(e.value) - before
}

func (t *table[V]) insert(i, hash uint32, prefix uint64, key string, value V) bool {
	rest := max(len(key)-prefixBytes, 0)
	if len(t.entries) == cap(t.entries) || len(t.arena)+rest > cap(t.arena) {
		return false
	}
	t.entries = append(t.entries, entry[V]{prefix, uint32(len(t.arena)), uint32(len(key)), value})
	if rest > 0 {
		t.arena = append(t.arena, key[prefixBytes:]...)
	}
	if t.weigh != nil {
		t.weight += t.weigh(value)
	}
	t.slots[i] = uint64(hash)<<32 | uint64(len(t.entries))
	return true
}

// bytes is what the table takes.
func (t *table[V]) bytes() int {
	return len(t.slots)*slotBytes + cap(t.entries)*entryBytes[V]() + cap(t.arena) + t.weight
}

func entryBytes[V any]() int { return int(unsafe.Sizeof(entry[V]{})) }

// grow makes room for one more key of this length, as long as table and copies
// together stay under limit. It returns false when they would not.
func (t *table[V]) grow(key, limit int) bool {
	entries, arena, slots := cap(t.entries), cap(t.arena), len(t.slots)
	if len(t.entries) == entries {
		entries = larger(entries)
	}
	if rest := max(key-prefixBytes, 0); len(t.arena)+rest > arena {
		arena = max(larger(arena), len(t.arena)+rest, 4<<10)
	}
	if entries > slots-slots/4 {
		slots *= 2
	}
	after := slots*slotBytes + entries*entryBytes[V]() + arena + t.weight
	if int64(entries) >= 1<<32-1 || int64(arena) >= 1<<32 || (after > limit && len(t.entries) > 0) {
		return false
	}
	t.resize(entries, arena, slots)
	return true
}

// larger doubles what is small, and adds half to what is not.
func larger(n int) int {
	if n < 1<<20 {
		return n * 2
	}
	return n + n/2
}

func (t *table[V]) resize(entries, arena, slots int) {
	if entries > cap(t.entries) {
		t.entries = append(make([]entry[V], 0, entries), t.entries...)
	}
	if arena > cap(t.arena) {
		t.arena = append(make([]byte, 0, arena), t.arena...)
	}
	if slots > len(t.slots) {
		t.rehash(slots)
	}
}

func (t *table[V]) rehash(slots int) {
	old := t.slots
	t.slots, t.mask = make([]uint64, slots), uint32(slots-1)
	for _, slot := range old {
		if slot == 0 {
			continue
		}
		i := uint32(slot>>32) & t.mask
		for t.slots[i] != 0 {
			i = (i + 1) & t.mask
		}
		t.slots[i] = slot
	}
}

// reset empties the table and keeps its memory.
func (t *table[V]) reset() {
	clear(t.slots)
	clear(t.entries)
	t.entries, t.arena, t.weight = t.entries[:0], t.arena[:0], 0
}

// appendKey writes an entry's key.
func (t *table[V]) appendKey(to []byte, e *entry[V]) []byte {
	if e.size >= prefixBytes {
		to = binary.BigEndian.AppendUint64(to, e.prefix)
		return append(to, t.arena[e.rest:][:e.size-prefixBytes]...)
	}
	var head [prefixBytes]byte
	binary.BigEndian.PutUint64(head[:], e.prefix)
	return append(to, head[:e.size]...)
}
