//go:build unix

package cli

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPeakOfStatus(t *testing.T) {
	path := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(path, []byte("Name:\tx\nVmPeak:\t  900 kB\nVmHWM:\t   120 kB\nVmRSS:\t  80 kB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := peakOfStatus(path); got != 120<<10 {
		t.Errorf("%d bytes", got)
	}
	if got := peakOfStatus(path + "-none"); got != 0 {
		t.Errorf("%d bytes of nothing", got)
	}
}
