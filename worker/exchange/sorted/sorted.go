// Package sorted gathers values under keys, and merges what was gathered: in a
// hash table within a bound of memory, as sorted runs on disk beyond it, and as
// sorted streams of Arrow records between batches. What is combined, and how
// values become columns, is the caller's.
package sorted

// Key is what values can be gathered under. Keys sort as strings do by their
// bytes, and as integers do.
type Key interface {
	~string | ~int | ~int8 | ~int16 | ~int32 | ~int64 |
		~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}
