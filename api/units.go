package api

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// day is the longest unit of a duration.
const day = 24 * time.Hour

// ParseDuration reads a duration such as "5s", "1m30s", "250ms" or "2d". It is
// what a job file and the command line take; days are 24 hours.
func ParseDuration(s string) (time.Duration, error) {
	days, rest, found := strings.Cut(s, "d")
	if !found {
		d, err := time.ParseDuration(s)
		return d, durationError(s, err)
	}
	n, err := strconv.ParseFloat(days, 64)
	if err != nil || !(math.Abs(n*float64(day)) < math.MaxInt64) {
		return 0, durationError(s, errors.New("not a number of days"))
	}
	total := time.Duration(n * float64(day))
	if rest == "" {
		return total, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || total+d < total {
		return 0, durationError(s, errors.New("not a duration"))
	}
	return total + d, nil
}

// meantDuration says what a duration looks like.
const meantDuration = "a duration such as 5s, 1m30s, 250ms or 2d"

func durationError(s string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s is not %s", strconv.Quote(s), meantDuration)
}

// FormatDuration writes a duration so that ParseDuration reads it: "1m30s".
func FormatDuration(d time.Duration) string {
	if d != 0 && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func durationOf(nanos float64) time.Duration {
	if nanos >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(nanos)
}

// byteUnits are the units of sizes: longer names first, so that a suffix is
// never taken for a shorter one.
var byteUnits = [...]struct {
	name string
	size float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"B", 1},
}

// meantBytes says what a size looks like.
const meantBytes = "a size such as 64MiB, 1.5GB or a number of bytes"

// ParseBytes reads a size such as "64MiB" (of 1,048,576 bytes each), "1.5GB" (of
// 1,000,000,000) or "4096".
func ParseBytes(s string) (int64, error) {
	number, unit := strings.TrimSpace(s), 1.0
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimSpace(rest), u.size
			break
		}
	}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil && unit == 1 {
		return n, nil
	}
	n, err := strconv.ParseFloat(number, 64)
	size := math.Round(n * unit)
	if err != nil || !decimal(number) || !(math.Abs(size) < math.MaxInt64) {
		return 0, fmt.Errorf("%s is not %s", strconv.Quote(s), meantBytes)
	}
	return int64(size), nil
}

// decimal keeps out what strconv reads besides: hexadecimal, infinities.
func decimal(s string) bool {
	return s != "" && strings.Trim(s, "0123456789.-") == ""
}
