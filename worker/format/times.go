package format

import (
	"strconv"
	"time"
)

const (
	microsPerSecond = 1_000_000
	nanosPerSecond  = 1_000_000_000
	secondsPerDay   = 86_400
)

// appendDate appends a day, counted from 1970, as DuckDB writes it.
func appendDate(b []byte, days int64) []byte {
	year, month, day := civil(days)
	before := year <= 0
	if before {
		year = 1 - year
	}
	b = appendPadded(b, year, 4)
	b = append(b, '-')
	b = appendPadded(b, int64(month), 2)
	b = append(b, '-')
	b = appendPadded(b, int64(day), 2)
	if before {
		b = append(b, " (BC)"...)
	}
	return b
}

// civil is the date of a day counted from 1970, in the proleptic Gregorian
// calendar. It counts in eras of 400 years that begin in March, so that the
// leap day is the last of a year.
func civil(days int64) (year int64, month, day int) {
	const daysPerEra = 146_097
	z := days + 719_468
	era := floorDiv(z, daysPerEra)
	d := z - era*daysPerEra
	y := (d - d/1460 + d/36_524 - d/146_096) / 365
	d -= 365*y + y/4 - y/100
	m := (5*d + 2) / 153
	day = int(d - (153*m+2)/5 + 1)
	year = y + era*400
	if m < 10 {
		return year, int(m) + 3, day
	}
	return year + 1, int(m) - 9, day
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// appendPadded appends n with at least so many digits.
func appendPadded(b []byte, n int64, digits int) []byte {
	limit := int64(1)
	for range digits - 1 {
		limit *= 10
	}
	for ; n < limit && limit > 1; limit /= 10 {
		b = append(b, '0')
	}
	return strconv.AppendInt(b, n, 10)
}

// appendClock appends a time of day, with as much of the second's fraction as
// there is.
func appendClock(b []byte, seconds, fraction int64, digits int) []byte {
	b = appendPadded(b, seconds/3600, 2)
	b = append(b, ':')
	b = appendPadded(b, seconds/60%60, 2)
	b = append(b, ':')
	b = appendPadded(b, seconds%60, 2)
	if fraction == 0 {
		return b
	}
	b = append(b, '.')
	b = appendPadded(b, fraction, digits)
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	return b
}

// unit is how many ticks a second has, and how many digits they are.
type unit struct {
	perSecond int64
	digits    int
}

// appendTimestamp appends a point in time counted from 1970 in u, in UTC.
func appendTimestamp(b []byte, ticks int64, u unit) []byte {
	switch ticks {
	case 1<<63 - 1:
		return append(b, "infinity"...)
	case -(1<<63 - 1):
		return append(b, "-infinity"...)
	}
	seconds := floorDiv(ticks, u.perSecond)
	days := floorDiv(seconds, secondsPerDay)
	b = appendDate(b, days)
	era := len(b)
	if b[era-1] == ')' {
		b = b[:era-len(" (BC)")]
	}
	b = append(b, ' ')
	b = appendClock(b, seconds-days*secondsPerDay, ticks-seconds*u.perSecond, u.digits)
	if era > 0 && days < -719_528 {
		b = append(b, " (BC)"...)
	}
	return b
}

// appendInterval appends a span of time as DuckDB writes it.
func appendInterval(b []byte, months, days, nanos int64) []byte {
	start := len(b)
	b = appendCount(b, start, months/12, "year")
	b = appendCount(b, start, months%12, "month")
	b = appendCount(b, start, days, "day")
	if nanos == 0 && len(b) > start {
		return b
	}
	if len(b) > start {
		b = append(b, ' ')
	}
	micros := nanos / 1000
	if micros < 0 {
		b, micros = append(b, '-'), -micros
	}
	return appendClock(b, micros/microsPerSecond, micros%microsPerSecond, 6)
}

func appendCount(b []byte, start int, n int64, name string) []byte {
	if n == 0 {
		return b
	}
	if len(b) > start {
		b = append(b, ' ')
	}
	b = strconv.AppendInt(b, n, 10)
	b = append(b, ' ')
	b = append(b, name...)
	if n != 1 {
		b = append(b, 's')
	}
	return b
}

// layouts are the ways in which text gives a point in time.
var layouts = []string{
	"2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999", "2006-01-02",
	"2006-01-02 15:04", "2006-01-02T15:04",
}

// zoned are layouts with an offset from UTC.
var zoned = []string{"Z07:00", "Z0700", "Z07"}

// parseTime reads a point in time; one without an offset is taken as UTC.
func parseTime(s string) (time.Time, bool) {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
		for _, zone := range zoned {
			if t, err := time.Parse(layout+zone, s); err == nil {
				return t.UTC(), true
			}
		}
	}
	return time.Time{}, false
}
