// Package shelf keeps copies of small results with the coordinator, so that
// they can be read when the workers that made them have gone. What is decided
// here is how much is kept; which results, and for how long, is not.
package shelf

// Part is one output of a result. Nobody may change it.
type Part struct {
	// ID is the output's name.
	ID string
	// From and To are the positions of the source that it stands for.
	From, To int64
	// Kind is how the data is encoded, as the contract numbers it.
	Kind int32
	// Records is how many there are.
	Records int64
	// Data is the output.
	Data []byte
}

// Shelf keeps results by a key of the caller's. One goroutine uses it at a
// time.
type Shelf[K comparable] struct {
	each, total int64
	used        int64
	results     map[K]*result
}

// result is what is kept, or has room reserved.
type result struct {
	bytes int64
	parts []Part
	full  bool // the parts are there
}

// New makes an empty shelf for results of at most `each` bytes, and of `total`
// bytes together; none fits when `each` is negative.
func New[K comparable](each, total int64) *Shelf[K] {
	return &Shelf[K]{each: each, total: total, results: make(map[K]*result)}
}

// partBytes is what a part takes beside its data, about.
const partBytes = 128

// Reserve keeps room for a result of so many bytes in so many parts. It is
// false when there is none, or when the key has some already.
func (s *Shelf[K]) Reserve(key K, parts int, bytes int64) bool {
	takes := bytes + int64(parts)*partBytes
	if s.results[key] != nil || bytes < 0 || bytes > s.each || s.used+takes > s.total {
		return false
	}
	s.results[key] = &result{bytes: takes}
	s.used += takes
	return true
}

// Put fills the room that was reserved. It is false, and nothing is kept, when
// that was given back meanwhile, or when the parts are larger.
func (s *Shelf[K]) Put(key K, parts []Part) bool {
	r := s.results[key]
	if r == nil || r.full {
		return false
	}
	takes := int64(len(parts)) * partBytes
	for _, p := range parts {
		takes += int64(len(p.Data))
	}
	if takes > r.bytes {
		s.Drop(key)
		return false
	}
	r.parts, r.full = parts, true
	return true
}

// Get is a result that was put.
func (s *Shelf[K]) Get(key K) ([]Part, bool) {
	if r := s.results[key]; r != nil && r.full {
		return r.parts, true
	}
	return nil, false
}

// Drop gives back what a key has, if it has any.
func (s *Shelf[K]) Drop(key K) {
	if r := s.results[key]; r != nil {
		s.used -= r.bytes
		delete(s.results, key)
	}
}

// Used is how many bytes are taken, reserved ones too.
func (s *Shelf[K]) Used() int64 { return s.used }
