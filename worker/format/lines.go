package format

import (
	"bytes"
	"io"
)

// Lines reads text line by line, without a copy of each.
type Lines struct {
	buffer
	line   []byte
	offset int64
}

// NewLines reads lines of at most limit bytes; start is the offset of the
// first.
func NewLines(in io.Reader, start, limit int64) *Lines {
	return &Lines{buffer: newBuffer(in, start, limit)}
}

// Next moves to the next line; false at the end, and at a failure.
func (l *Lines) Next() bool {
	for seen := 0; ; {
		text := l.text()
		if i := bytes.IndexByte(text[seen:], '\n'); i >= 0 {
			return l.take(seen+i, 1)
		}
		seen = len(text)
		if !l.more() {
			if l.tooLong() || l.failure() != nil {
				return false
			}
			return seen > 0 && l.take(seen, 0)
		}
	}
}

// take makes a line of the next n bytes, which end bytes follow.
func (l *Lines) take(n, end int) bool {
	if int64(n) > l.limit {
		l.err = &TooLong{Offset: l.at, Limit: l.limit}
		l.a = l.b
		return false
	}
	l.offset = l.at
	l.line = dropCR(l.use(n + end)[:n])
	return true
}

func dropCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// Bytes is the line, without its newline and a carriage return before that. It
// is valid until Next.
func (l *Lines) Bytes() []byte { return l.line }

// Offset is where the line starts.
func (l *Lines) Offset() int64 { return l.offset }

// Err is what went wrong: *TooLong, or the reader's error.
func (l *Lines) Err() error { return l.failure() }
