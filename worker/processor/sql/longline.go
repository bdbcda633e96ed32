package sql

import "bytes"

// lineMeter tells how long the longest line of a text is, which it is shown
// piece by piece.
type lineMeter struct {
	limit   int64 // lines that are not longer, and lie in one piece, don't matter
	longest int64 // in bytes, without the newline
	tail    int64 // of the line that the last piece broke off in
}

func (l *lineMeter) add(text []byte) {
	first := bytes.IndexByte(text, '\n')
	if first < 0 {
		l.tail += int64(len(text))
		l.longest = max(l.longest, l.tail)
		return
	}
	last := bytes.LastIndexByte(text, '\n')
	l.longest = max(l.longest, l.tail+int64(first), int64(len(text)-last-1))
	if hasLongLine(text[first+1:last+1], l.limit) {
		l.longest = max(l.longest, l.limit+1)
	}
	l.tail = int64(len(text) - last - 1)
}

// hasLongLine says that a line of text is longer than limit.
func hasLongLine(text []byte, limit int64) bool {
	for int64(len(text)) > limit {
		end := bytes.LastIndexByte(text[:limit+1], '\n')
		if end < 0 {
			return true
		}
		text = text[end+1:]
	}
	return false
}
