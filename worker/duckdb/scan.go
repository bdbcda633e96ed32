//go:build cgo

package duckdb

// #cgo CFLAGS: -O2
// #include "scan.h"
import "C"

import "unsafe"

// TextStats is what a pass over text finds. Its zero value is for text of which
// nothing was seen yet.
type TextStats struct {
	// Newlines, and how many of them end an empty line.
	Newlines, EmptyLines int64
	// Quotes and CarriageReturns, wherever they stand.
	Quotes, CarriageReturns int64
	// QuotedNewlines is how many newlines stand between quotes, if each quote
	// begins or ends a quoted part. OddQuotes says that this may not be so: one
	// stands where no field begins.
	QuotedNewlines int64
	OddQuotes      bool

	inside C.uint8_t
	last   C.uint8_t
	begun  bool
}

// Add looks at the next piece of the text. It costs a fraction of what copying
// the piece costs, while the piece is still in the processor's cache.
func (t *TextStats) Add(text []byte, quote, delimiter byte) {
	if len(text) == 0 {
		return
	}
	if !t.begun {
		t.begun, t.last = true, '\n'
	}
	s := C.struct_millrace_scan{last: t.last, inside: t.inside}
	C.millrace_scan_text(&s, (*C.uint8_t)(unsafe.SliceData(text)), C.uint64_t(len(text)), C.uint8_t(quote), C.uint8_t(delimiter))
	t.Newlines += int64(s.newlines)
	t.EmptyLines += int64(s.empty)
	t.Quotes += int64(s.quotes)
	t.CarriageReturns += int64(s.returns)
	t.QuotedNewlines += int64(s.quoted_newlines)
	t.OddQuotes = t.OddQuotes || s.odd != 0
	t.inside, t.last = s.inside, s.last
}
