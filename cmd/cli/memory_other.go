//go:build !unix

package cli

import "runtime"

// peakMemory is what the runtime has taken from the system, in bytes; of other
// programs nothing is known here.
func peakMemory() (own, child int64) {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.Sys), 0
}
