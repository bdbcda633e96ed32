//go:build unix

package embedded

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile opens a file, made when absent, and locks it for as long as it stays
// open. It fails at once when another process holds the lock.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
