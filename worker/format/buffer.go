package format

import (
	"errors"
	"fmt"
	"io"
)

// bufferSize is how much text is read at a time.
const bufferSize = 128 << 10

// TooLong is a record longer than the limit.
type TooLong struct {
	// Offset is where the record starts, in bytes.
	Offset int64
	// Limit is the longest record allowed, in bytes.
	Limit int64
}

// Error says where the record starts.
func (t *TooLong) Error() string {
	return fmt.Sprintf("the record at byte %d is longer than %d bytes", t.Offset, t.Limit)
}

// buffer is a window on a stream, as long as the longest record so far.
type buffer struct {
	in    io.Reader
	buf   []byte
	a, b  int   // what is read and not yet used is buf[a:b]
	at    int64 // the offset of buf[a]
	limit int64
	err   error // what ended the stream
}

func newBuffer(in io.Reader, start, limit int64) buffer {
	return buffer{in: in, at: start, limit: limit}
}

// text is what is read and not yet used.
func (b *buffer) text() []byte { return b.buf[b.a:b.b] }

// use takes the first n bytes.
func (b *buffer) use(n int) []byte {
	text := b.buf[b.a : b.a+n]
	b.a += n
	b.at += int64(n)
	return text
}

// more reads on; it is false at the end, or when the record that text holds
// the start of is too long.
func (b *buffer) more() bool {
	if b.err != nil {
		return false
	}
	if int64(b.b-b.a) > b.limit {
		b.err = &TooLong{Offset: b.at, Limit: b.limit}
		return false
	}
	b.room()
	for range 100 {
		n, err := b.in.Read(b.buf[b.b:])
		b.b += n
		if err != nil {
			b.err = err
		}
		if n > 0 {
			return true
		}
		if err != nil {
			return false
		}
	}
	b.err = io.ErrNoProgress
	return false
}

// room makes place behind what is kept, by moving it or by growing.
func (b *buffer) room() {
	switch {
	case b.buf == nil:
		b.buf = make([]byte, bufferSize)
	case b.b-b.a > len(b.buf)/2:
		bigger := make([]byte, 2*len(b.buf))
		b.b = copy(bigger, b.text())
		b.buf, b.a = bigger, 0
	case b.a > 0:
		b.b = copy(b.buf, b.text())
		b.a = 0
	}
}

// failure is what went wrong, if anything did.
func (b *buffer) failure() error {
	if b.err == io.EOF {
		return nil
	}
	return b.err
}

// tooLong says that the stream ended for a record beyond the limit.
func (b *buffer) tooLong() bool {
	var t *TooLong
	return errors.As(b.err, &t)
}
