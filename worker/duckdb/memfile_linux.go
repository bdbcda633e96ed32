package duckdb

import (
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// MemFile is an anonymous file that holds a batch's text, in memory that stays
// mapped: a Read into Space is the only copy that is made, and pages that were
// used once need not be found again. Its path stays the same for as long as it
// lives, so that an instance that is locked to it can read batch after batch.
type MemFile struct {
	fd     int
	mapped []byte // the whole mapping
	size   int    // how much of it is text
	file   int    // how much of it the file has
}

// NewMemFile makes an empty file.
func NewMemFile() (*MemFile, error) {
	fd, err := unix.MemfdCreate("millrace-batch", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	return &MemFile{fd: fd}, nil
}

// Path is what DuckDB opens.
func (m *MemFile) Path() string { return "/proc/self/fd/" + strconv.Itoa(m.fd) }

// Reset forgets the text, and keeps the memory.
func (m *MemFile) Reset() { m.size = 0 }

// Bytes is the text so far; good until the next call of Space.
func (m *MemFile) Bytes() []byte { return m.mapped[:m.size] }

// Space is room for at least n more bytes, behind the text. What is put there
// becomes text by Advance.
func (m *MemFile) Space(n int) ([]byte, error) {
	if err := m.grow(m.size + n); err != nil {
		return nil, err
	}
	return m.mapped[m.size:m.file], nil
}

// Advance makes text of the first n bytes of the space.
func (m *MemFile) Advance(n int) { m.size += n }

// ReadFrom adds all that r has.
func (m *MemFile) ReadFrom(r io.Reader) (total int64, err error) {
	return readInto(m, r)
}

// Truncate cuts the text to n bytes.
func (m *MemFile) Truncate(n int) { m.size = min(m.size, n) }

// Seal makes the file end where the text does, for DuckDB to read.
func (m *MemFile) Seal() error {
	if m.file == m.size {
		return nil
	}
	if err := unix.Ftruncate(m.fd, int64(m.size)); err != nil {
		return fmt.Errorf("cut a file in memory: %w", err)
	}
	m.file = m.size
	return nil
}

// Close gives the memory back.
func (m *MemFile) Close() error {
	if m.mapped != nil {
		if err := unix.Munmap(m.mapped); err != nil {
			return os.NewSyscallError("munmap", err)
		}
		m.mapped = nil
	}
	return unix.Close(m.fd)
}

// grow makes file and mapping hold at least n bytes.
func (m *MemFile) grow(n int) error {
	if n > len(m.mapped) {
		if err := m.remap(max(roundUp(n, growStep), growStep)); err != nil {
			return err
		}
	}
	if n <= m.file {
		return nil
	}
	size := min(roundUp(n, growStep), len(m.mapped))
	if err := unix.Ftruncate(m.fd, int64(size)); err != nil {
		return fmt.Errorf("grow a file in memory to %d bytes: %w", size, err)
	}
	m.file = size
	return nil
}

// remap makes the mapping size bytes long.
func (m *MemFile) remap(size int) (err error) {
	if m.mapped == nil {
		m.mapped, err = unix.Mmap(m.fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	} else {
		m.mapped, err = unix.Mremap(m.mapped, max(size, 2*len(m.mapped)), unix.MREMAP_MAYMOVE)
	}
	if err != nil {
		return fmt.Errorf("map a file in memory of %d bytes: %w", size, err)
	}
	return nil
}
