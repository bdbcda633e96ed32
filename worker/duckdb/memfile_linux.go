package duckdb

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// MemFile is an anonymous file that holds a batch's text, in memory that stays
// mapped: a Read into Space is the only copy that is made, and pages that were
// used once need not be found again. Its path stays the same for as long as it
// lives, so that an instance that is locked to it can read batch after batch.
//
// A text that is larger than its Overflow says moves to a file on disk while it
// grows, which has a path of its own and is gone with the next Reset.
type MemFile struct {
	fd     int
	mapped []byte // the whole mapping
	size   int    // how much of it is text
	file   int    // how much of it the file has
	over   Overflow
	disk   *os.File // where the text lies instead; nil while it is in memory
	buffer []byte   // what was given out by Space, of the text on disk
	failed error    // of a write to disk
}

// NewMemFile makes an empty file, which moves to disk as the overflow says.
func NewMemFile(over Overflow) (*MemFile, error) {
	fd, err := memoryFile()
	return &MemFile{fd: fd, over: over}, err
}

func memoryFile() (int, error) {
	fd, err := unix.MemfdCreate("millrace-batch", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("make a file in memory: %w", err)
	}
	return fd, nil
}

// Paths are all that DuckDB may be told to open.
func (m *MemFile) Paths() []string {
	if m.over.Path == "" {
		return []string{m.memoryPath()}
	}
	return []string{m.memoryPath(), m.over.Path}
}

// Path is what DuckDB opens now.
func (m *MemFile) Path() string {
	if m.disk != nil {
		return m.over.Path
	}
	return m.memoryPath()
}

func (m *MemFile) memoryPath() string { return "/proc/self/fd/" + strconv.Itoa(m.fd) }

// Reset forgets the text, and keeps the memory.
func (m *MemFile) Reset() error {
	m.size = 0
	return m.leaveDisk()
}

// Bytes is the text so far; good until the next call of Space. Text on disk
// must be sealed.
func (m *MemFile) Bytes() []byte { return m.mapped[:m.size] }

// Reserve makes room for a text of n bytes at once, where it will lie.
func (m *MemFile) Reserve(n int) error {
	switch {
	case m.disk != nil:
		return m.failed
	case m.overflows(n):
		return m.toDisk()
	}
	return m.grow(n)
}

// overflows says that a text of n bytes is too large for memory.
func (m *MemFile) overflows(n int) bool { return m.over.Path != "" && n > m.over.MemoryBytes }

// Space is room for at least n more bytes, behind the text. What is put there
// becomes text by Advance.
func (m *MemFile) Space(n int) ([]byte, error) {
	if m.disk == nil && m.overflows(m.size+n) {
		if err := m.toDisk(); err != nil {
			return nil, err
		}
	}
	if m.disk != nil {
		n = max(n, readSpace)
		m.buffer = slices.Grow(m.buffer[:0], n)
		return m.buffer[:n], m.failed
	}
	if err := m.grow(m.size + n); err != nil {
		return nil, err
	}
	return m.mapped[m.size:m.file], nil
}

// Advance makes text of the first n bytes of the space. An error is told by the
// next Space or Seal.
func (m *MemFile) Advance(n int) {
	if m.disk != nil && n > 0 && m.failed == nil {
		m.failed = m.write(m.buffer[:n])
	}
	m.size += n
}

// ReadFrom adds all that r has.
func (m *MemFile) ReadFrom(r io.Reader) (total int64, err error) {
	return readInto(m, r)
}

// Truncate cuts the text to n bytes.
func (m *MemFile) Truncate(n int) { m.size = min(m.size, n) }

// Seal makes the file end where the text does, for DuckDB to read.
func (m *MemFile) Seal() error {
	fd := m.fd
	if m.disk != nil {
		fd = int(m.disk.Fd())
		m.buffer = nil
	}
	if m.failed != nil {
		return m.failed
	}
	if m.disk != nil && m.size > len(m.mapped) {
		if err := m.remap(fd, m.size); err != nil {
			return err
		}
	}
	if m.file == m.size {
		return nil
	}
	if err := unix.Ftruncate(fd, int64(m.size)); err != nil {
		return fmt.Errorf("cut a batch's file: %w", err)
	}
	m.file = m.size
	return nil
}

// Forget lets go of the pages of text on disk that were looked at, which would
// count as the process's memory.
func (m *MemFile) Forget() {
	if m.disk != nil && len(m.mapped) > 0 {
		// They are the system's to keep or to write; a failure costs memory alone.
		_ = unix.Madvise(m.mapped, unix.MADV_DONTNEED)
	}
}

// Close gives the memory back.
func (m *MemFile) Close() error {
	return errors.Join(m.leaveDisk(), m.unmap(), unix.Close(m.fd))
}

// toDisk moves the text to a file on disk, and gives its memory back.
func (m *MemFile) toDisk() error {
	disk, err := os.OpenFile(m.over.Path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("put a batch's text on disk: %w", err)
	}
	text, memory := m.mapped[:m.size], m.mapped
	m.disk, m.mapped, m.file, m.size = disk, nil, 0, 0
	err = m.write(text)
	m.size = len(text)
	if memory != nil {
		err = errors.Join(err, os.NewSyscallError("munmap", unix.Munmap(memory)))
	}
	return errors.Join(err, os.NewSyscallError("ftruncate", unix.Ftruncate(m.fd, 0)))
}

// write puts a piece behind the text on disk.
func (m *MemFile) write(piece []byte) error {
	if limit := m.over.MaxBytes; limit > 0 && int64(m.size+len(piece)) > limit {
		return &fs.PathError{Op: "write", Path: m.over.Path, Err: ErrTooMuchText}
	}
	if _, err := m.disk.WriteAt(piece, int64(m.size)); err != nil {
		return fmt.Errorf("put a batch's text on disk: %w", err)
	}
	m.file = m.size + len(piece)
	return nil
}

// leaveDisk removes the file on disk, if there is one.
func (m *MemFile) leaveDisk() error {
	if m.disk == nil {
		return nil
	}
	err := errors.Join(m.unmap(), m.disk.Close(), os.Remove(m.over.Path))
	m.disk, m.buffer, m.failed, m.file = nil, nil, nil, 0
	return err
}

func (m *MemFile) unmap() error {
	if m.mapped == nil {
		return nil
	}
	err := unix.Munmap(m.mapped)
	m.mapped = nil
	return os.NewSyscallError("munmap", err)
}

// grow makes file and mapping hold at least n bytes of memory.
func (m *MemFile) grow(n int) error {
	if n > len(m.mapped) {
		if err := m.remap(m.fd, max(roundUp(n, growStep), growStep)); err != nil {
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
func (m *MemFile) remap(fd, size int) (err error) {
	if m.mapped == nil {
		m.mapped, err = unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	} else {
		m.mapped, err = unix.Mremap(m.mapped, max(size, 2*len(m.mapped)), unix.MREMAP_MAYMOVE)
	}
	if err != nil {
		return fmt.Errorf("map a batch's file of %d bytes: %w", size, err)
	}
	return nil
}
