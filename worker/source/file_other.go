//go:build !linux

package source

import "os"

// openFile opens a file for reading.
func openFile(path string) (File, error) { return os.Open(path) }
