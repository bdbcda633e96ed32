package duckdb

import (
	"errors"
	"io"
)

const (
	// growStep is what a MemFile grows by at the least, in bytes.
	growStep = 1 << 20
	// readSpace is the least room that a read into a MemFile is given.
	readSpace = 64 << 10
)

// ErrTooMuchText is a text that is larger than its Overflow allows.
var ErrTooMuchText = errors.New("the batch's text is larger than what may lie on disk")

// Overflow says when a batch's text moves to disk. Its zero value keeps it in
// memory, whatever its size.
type Overflow struct {
	// MemoryBytes are the most that lie in memory.
	MemoryBytes int
	// Path is the file that a larger text moves to, with all symbolic links
	// resolved. Its folder must be there, and the file must not.
	Path string
	// MaxBytes bounds the file: a larger text fails with ErrTooMuchText. No
	// bound when 0.
	MaxBytes int64
}

// readInto adds all of r to a file, each read right where it is to lie.
func readInto(m *MemFile, r io.Reader) (total int64, err error) {
	for {
		space, err := m.Space(readSpace)
		if err != nil {
			return total, err
		}
		n, err := r.Read(space)
		m.Advance(n)
		total += int64(n)
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// roundUp is the least multiple of step that is not below n.
func roundUp(n, step int) int { return (n + step - 1) / step * step }
