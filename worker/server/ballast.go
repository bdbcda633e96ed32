package server

import "os"

// The ballast is as large as maxBallast, in bytes, or as this part of what
// batches may use, so that it never eats up the process's memory limit.
const (
	maxBallast   = 64 << 20
	ballastShare = 16
)

// ballast is memory that nobody ever touches, so that it takes none: it only
// moves the goal of the garbage collector. What a worker of many small batches
// holds is little against what it throws away, and without this it would collect
// garbage many times a second. It is nil when an operator has set the goal
// (GOGC).
func (c *Config) ballast() []byte {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	return make([]byte, min(maxBallast, c.MemoryBytes/ballastShare))
}
