package sorted

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"unsafe"
)

// Key is what values can be gathered under. Strings sort by their bytes.
type Key interface {
	~string | ~int | ~int8 | ~int16 | ~int32 | ~int64 |
		~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// IntKeyBytes is the length of an integer's encoding.
const IntKeyBytes = 8

// PutInt encodes a signed integer so that the encodings' bytes sort as the
// integers do.
func PutInt(to *[IntKeyBytes]byte, key int64) {
	binary.BigEndian.PutUint64(to[:], uint64(key)^(1<<63))
}

// Int decodes what PutInt encoded.
func Int(key []byte) int64 { return int64(binary.BigEndian.Uint64(key) ^ (1 << 63)) }

// PutUint encodes an unsigned integer so that the encodings sort.
func PutUint(to *[IntKeyBytes]byte, key uint64) { binary.BigEndian.PutUint64(to[:], key) }

// Uint decodes what PutUint encoded.
func Uint(key []byte) uint64 { return binary.BigEndian.Uint64(key) }

// prefixBytes is how much of a key is compared as one number.
const prefixBytes = 8

// prefixOf is a key's first 8 bytes as a number that sorts as they do. A short
// key is filled up with zeros; where prefixes are equal, lengths may differ.
func prefixOf(key string) uint64 {
	n, p := len(key), unsafe.StringData(key)
	switch {
	case n >= 8:
		return binary.BigEndian.Uint64(unsafe.Slice(p, 8))
	case n >= 4:
		b := unsafe.Slice(p, n)
		high, low := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[n-4:])
		return uint64(high)<<32 | uint64(low<<(64-8*uint(n)))
	case n == 0:
		return 0
	}
	b := unsafe.Slice(p, n) // the first, the middle and the last of 1 to 3 bytes
	return uint64(b[0])<<56 | uint64(b[n>>1])<<(56-8*uint(n>>1)) | uint64(b[n-1])<<(64-8*uint(n))
}

// Seeds of the hash are drawn for each process, so that nobody can make keys
// that collide.
var (
	longSeed  = maphash.MakeSeed()
	shortSeed = [2]uint64{maphash.Bytes(longSeed, nil) | 1, maphash.Bytes(maphash.MakeSeed(), nil)}
)

// hashOf hashes a key whose prefix is known.
func hashOf(prefix uint64, key string) uint32 {
	if len(key) > prefixBytes {
		return uint32(maphash.String(longSeed, key))
	}
	high, low := bits.Mul64(prefix^shortSeed[1], shortSeed[0]+uint64(len(key))<<1)
	return uint32(high ^ low)
}

// compareRest compares two keys whose prefixes are equal.
func compareRest(a, b []byte) int {
	if len(a) <= prefixBytes || len(b) <= prefixBytes {
		return len(a) - len(b) // the one is the other's beginning
	}
	return bytes.Compare(a[prefixBytes:], b[prefixBytes:])
}

// text is bytes as a string that shares their memory.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
