//go:build !linux

package duckdb

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// MemFile is a temporary file that holds a batch's text: what Linux has in
// memory. All of the text is held in memory too, whatever the overflow says. Its
// path stays the same for as long as it lives.
type MemFile struct {
	path string
	text []byte
}

// NewMemFile makes an empty file.
func NewMemFile(Overflow) (*MemFile, error) {
	f, err := os.CreateTemp("", "millrace-batch-*")
	if err != nil {
		return nil, fmt.Errorf("make a file for a batch: %w", err)
	}
	defer f.Close()
	path, err := filepath.EvalSymlinks(f.Name())
	return &MemFile{path: path}, err
}

// Paths are all that DuckDB may be told to open.
func (m *MemFile) Paths() []string { return []string{m.path} }

// Path is what DuckDB opens now.
func (m *MemFile) Path() string { return m.path }

// Reset forgets the text, and keeps the memory.
func (m *MemFile) Reset() error {
	m.text = m.text[:0]
	return nil
}

// Forget does nothing.
func (*MemFile) Forget() {}

// Bytes is the text so far; good until the next call of Space.
func (m *MemFile) Bytes() []byte { return m.text }

// Reserve makes room for a text of n bytes at once.
func (m *MemFile) Reserve(n int) error {
	_, err := m.Space(n)
	return err
}

// Space is room for at least n more bytes, behind the text. What is put there
// becomes text by Advance.
func (m *MemFile) Space(n int) ([]byte, error) {
	if cap(m.text)-len(m.text) < n {
		grown := make([]byte, len(m.text), max(roundUp(len(m.text)+n, growStep), 2*cap(m.text)))
		copy(grown, m.text)
		m.text = grown
	}
	return m.text[len(m.text):cap(m.text)], nil
}

// Advance makes text of the first n bytes of the space.
func (m *MemFile) Advance(n int) { m.text = m.text[:len(m.text)+n] }

// ReadFrom adds all that r has.
func (m *MemFile) ReadFrom(r io.Reader) (total int64, err error) {
	return readInto(m, r)
}

// Truncate cuts the text to n bytes.
func (m *MemFile) Truncate(n int) { m.text = m.text[:min(len(m.text), n)] }

// Seal writes the text to the file, for DuckDB to read.
func (m *MemFile) Seal() error {
	if err := os.WriteFile(m.path, m.text, 0o600); err != nil {
		return fmt.Errorf("write a batch's file: %w", err)
	}
	return nil
}

// Close removes the file.
func (m *MemFile) Close() error {
	m.text = nil
	return os.Remove(m.path)
}
