package embedded

import (
	"bufio"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The worker's memory when nobody says: so much of what is free, and no more
// than keeps a job, with all that the process needs besides, under 1 GiB.
const (
	memoryShare      = 0.7
	maxDefaultMemory = 768 << 20
	minDefaultMemory = 64 << 20
)

// DefaultMemory is what the worker of a single job may use, in bytes, when nobody
// says: as FreeMemory, but at most 768 MiB.
func DefaultMemory() int64 { return min(FreeMemory(), maxDefaultMemory) }

// FreeMemory is what a worker of a cluster may use, in bytes, when nobody says:
// 70 % of what the control group and the machine leave in whole MiB, at least 64
// of them.
func FreeMemory() int64 {
	free := min(groupMemory("/proc/self/cgroup", "/sys/fs/cgroup"), freeMemory("/proc/meminfo"))
	return int64(max(float64(free)*memoryShare, minDefaultMemory)) &^ (1<<20 - 1)
}

// groupMemory is what the control group (version 2) of this process, and those
// around it, leave of their limits.
func groupMemory(self, root string) int64 {
	left := int64(math.MaxInt64)
	data, err := os.ReadFile(self)
	if err != nil {
		return left
	}
	group, ok := strings.CutPrefix(strings.TrimSpace(string(data)), "0::")
	if !ok {
		return left
	}
	for dir := filepath.Join(root, group); len(dir) >= len(root); dir = filepath.Dir(dir) {
		limit, used := number(filepath.Join(dir, "memory.max")), number(filepath.Join(dir, "memory.current"))
		if limit >= 0 {
			left = min(left, max(limit-max(used, 0), 0))
		}
	}
	return left
}

// number reads a file that holds one; -1 when it is absent or says "max".
func number(path string) int64 {
	data, err := os.ReadFile(path)
	if err != nil {
		return -1
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// freeMemory is what the machine could give without swapping.
func freeMemory(path string) int64 {
	file, err := os.Open(path)
	if err != nil {
		return math.MaxInt64
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) >= 2 && fields[0] == "MemAvailable:" {
			if n, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				return n << 10
			}
		}
	}
	return math.MaxInt64
}
