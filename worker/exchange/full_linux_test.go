package exchange_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/millrace/millrace/worker/exchange"
)

// A worker starts again on a disk on which its former self left no room for so
// much as a folder.
func TestADiskFullOfAFormerSelf(t *testing.T) {
	parent := t.TempDir()
	if err := syscall.Mount("tmpfs", parent, "tmpfs", 0, "nr_inodes=12"); err != nil {
		t.Skipf("SKIPPED: a small file system can't be mounted: %v", err)
	}
	defer syscall.Unmount(parent, 0)
	former := filepath.Join(parent, "spool-former")
	if err := os.Mkdir(former, 0o700); err != nil {
		t.Fatal(err)
	}
	err := os.WriteFile(filepath.Join(former, "lock"), nil, 0o600)
	for i := 0; err == nil; i++ {
		err = os.WriteFile(filepath.Join(former, fmt.Sprint(i)), nil, 0o600)
	}
	if !exchange.IsFull(err) {
		t.Fatal(err)
	}
	s, err := exchange.Open(parent, "w", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	keep(t, s, 1, "room")
	if _, err := os.Stat(former); err == nil {
		t.Error("what its former self left is still there")
	}
}
