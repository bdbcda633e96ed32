//go:build unix

package cli

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// peakMemory is the most memory that this process had at a time, and the most
// that one of the programs that it ran had, in bytes. A program that is being
// started counts as what started it, so that nothing is known (0) of those that
// needed less than that.
func peakMemory() (own, child int64) {
	own, child = maxResident(unix.RUSAGE_SELF), maxResident(unix.RUSAGE_CHILDREN)
	if child <= own {
		child = 0
	}
	if peak := peakOfStatus("/proc/self/status"); peak > 0 {
		own = peak
	}
	return own, child
}

// peakOfStatus is the peak that Linux tells of a process, in bytes; 0 where it
// does not. The other figure counts what started the process, too.
func peakOfStatus(path string) int64 {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			kilobytes, _ := strconv.ParseInt(fields[1], 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}

func maxResident(who int) int64 {
	var usage unix.Rusage
	if unix.Getrusage(who, &usage) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(usage.Maxrss) // bytes there, kilobytes elsewhere
	}
	return int64(usage.Maxrss) << 10
}
