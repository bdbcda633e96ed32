//go:build unix

package cli

import (
	"runtime"

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
	return own, child
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
