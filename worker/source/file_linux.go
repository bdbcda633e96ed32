//go:build linux

package source

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// rawFile is a file that is only read at offsets. os.File prepares each one
// for the network poller, which takes as long as reading a tiny file.
type rawFile struct {
	fd   int
	path string
}

// openFile opens a file for reading.
func openFile(path string) (File, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err == nil {
			return &rawFile{fd, path}, nil
		}
		if !errors.Is(err, syscall.EINTR) {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// ReadAt fills p from an offset, unless the file ends before.
func (f *rawFile) ReadAt(p []byte, at int64) (int, error) {
	const most = 1 << 30 // what one call reads everywhere
	n := 0
	for n < len(p) {
		m, err := syscall.Pread(f.fd, p[n:min(len(p), n+most)], at+int64(n))
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return n, &fs.PathError{Op: "read", Path: f.path, Err: err}
		case m == 0:
			return n, io.EOF
		}
		n += m
	}
	return n, nil
}

// Stat tells the file's size and time, and that is all.
func (f *rawFile) Stat() (os.FileInfo, error) {
	s := &rawInfo{path: f.path}
	for {
		err := syscall.Fstat(f.fd, &s.stat)
		if err == nil {
			return s, nil
		}
		if !errors.Is(err, syscall.EINTR) {
			return nil, &fs.PathError{Op: "stat", Path: f.path, Err: err}
		}
	}
}

// Close closes the file.
func (f *rawFile) Close() error {
	fd := f.fd
	f.fd = -1
	if fd < 0 {
		return fs.ErrClosed
	}
	return syscall.Close(fd)
}

// rawInfo is what the system says of an open file.
type rawInfo struct {
	path string
	stat syscall.Stat_t
}

// Name is the last part of its path.
func (i *rawInfo) Name() string { return filepath.Base(i.path) }

// Size is in bytes.
func (i *rawInfo) Size() int64 { return i.stat.Size }

// IsDir says that it is a folder.
func (i *rawInfo) IsDir() bool { return i.Mode().IsDir() }

// Sys is what the system said.
func (i *rawInfo) Sys() any { return &i.stat }

// Mode says whether it is a folder or a file; nobody asks for more.
func (i *rawInfo) Mode() fs.FileMode {
	if i.stat.Mode&syscall.S_IFMT == syscall.S_IFDIR {
		return fs.ModeDir
	}
	return 0
}

// ModTime is when the file was changed last.
func (i *rawInfo) ModTime() time.Time { return time.Unix(i.stat.Mtim.Unix()) }
