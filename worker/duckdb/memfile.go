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
