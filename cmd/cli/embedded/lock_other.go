//go:build !unix

package embedded

import "os"

// lockFile opens a new file. Without locks nobody can tell whether the owner of
// one that exists is alive, so it is taken to be.
func lockFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}
