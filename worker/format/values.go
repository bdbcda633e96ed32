package format

import (
	"math"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// appender appends the text of one row of a column that isn't null.
type appender func(b []byte, row int) []byte

// style is what nested values and text look like inside others.
type style int

const (
	// plain is as DuckDB casts to text.
	plain style = iota
	// asJSON is JSON.
	asJSON
)

// text makes the appender of a column.
func text(col arrow.Array, s style) appender {
	if a := numbers(col); a != nil {
		return a
	}
	if a := strings_(col, s); a != nil {
		return a
	}
	if a := nested(col, s); a != nil {
		return a
	}
	if a := times(col); a != nil {
		return quotedIf(s, a)
	}
	return quotedIf(s, func(b []byte, i int) []byte { return append(b, col.ValueStr(i)...) })
}

// quotedIf puts text that needs no escapes in quotes, for JSON.
func quotedIf(s style, a appender) appender {
	if s != asJSON {
		return a
	}
	return func(b []byte, i int) []byte { return append(a(append(b, '"'), i), '"') }
}

// valuesOf reads a column's values.
type valuesOf[T any] interface{ Value(i int) T }

func integers[T int8 | int16 | int32 | int64](col valuesOf[T]) appender {
	return func(b []byte, i int) []byte { return strconv.AppendInt(b, int64(col.Value(i)), 10) }
}

func naturals[T uint8 | uint16 | uint32 | uint64](col valuesOf[T]) appender {
	return func(b []byte, i int) []byte { return strconv.AppendUint(b, uint64(col.Value(i)), 10) }
}

func numbers(col arrow.Array) appender {
	switch c := col.(type) {
	case *array.Int8:
		return integers(c)
	case *array.Int16:
		return integers(c)
	case *array.Int32:
		return integers(c)
	case *array.Int64:
		return integers(c)
	case *array.Uint8:
		return naturals(c)
	case *array.Uint16:
		return naturals(c)
	case *array.Uint32:
		return naturals(c)
	case *array.Uint64:
		return naturals(c)
	case *array.Boolean:
		return func(b []byte, i int) []byte { return strconv.AppendBool(b, c.Value(i)) }
	case *array.Decimal128:
		return decimals(c)
	case *array.Decimal256:
		scale := c.DataType().(arrow.DecimalType).GetScale()
		return func(b []byte, i int) []byte { return append(b, c.Value(i).ToString(scale)...) }
	}
	return nil
}

// decimals writes small values without big numbers.
func decimals(c *array.Decimal128) appender {
	scale := c.DataType().(arrow.DecimalType).GetScale()
	return func(b []byte, i int) []byte {
		v := c.Value(i)
		if low := int64(v.LowBits()); v.HighBits() == low>>63 && low != math.MinInt64 {
			return appendScaled(b, low, int(scale))
		}
		if scale == 0 {
			return v.BigInt().Append(b, 10)
		}
		return append(b, v.ToString(scale)...)
	}
}

func appendScaled(b []byte, v int64, scale int) []byte {
	if v < 0 {
		b, v = append(b, '-'), -v
	}
	if scale <= 0 {
		b = strconv.AppendInt(b, v, 10)
		for ; scale < 0 && v != 0; scale++ {
			b = append(b, '0')
		}
		return b
	}
	start := len(b)
	b = appendPadded(b, v, min(scale+1, 18))
	for len(b)-start < scale+1 {
		b = append(b, 0)
		copy(b[start+1:], b[start:])
		b[start] = '0'
	}
	b = append(b, 0)
	point := len(b) - 1 - scale
	copy(b[point+1:], b[point:])
	b[point] = '.'
	return b
}

// appendFloat writes the shortest text that reads back as f, as DuckDB does.
func appendFloat(b []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, "nan"...)
	case math.IsInf(f, 1):
		return append(b, "inf"...)
	case math.IsInf(f, -1):
		return append(b, "-inf"...)
	}
	if a := math.Abs(f); a >= 1e16 || a < 1e-4 && a != 0 {
		return strconv.AppendFloat(b, f, 'e', -1, bits)
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'f', -1, bits)
	for _, c := range b[start:] {
		if c == '.' {
			return b
		}
	}
	return append(b, ".0"...)
}

// floats makes the appender of floating-point numbers; JSON has no word for
// those that are none, and gets null.
func floats(value func(i int) float64, bits int, s style) appender {
	return func(b []byte, i int) []byte {
		f := value(i)
		if s == asJSON && (math.IsNaN(f) || math.IsInf(f, 0)) {
			return append(b, "null"...)
		}
		return appendFloat(b, f, bits)
	}
}

func unitOf(u arrow.TimeUnit) unit {
	switch u {
	case arrow.Second:
		return unit{1, 0}
	case arrow.Millisecond:
		return unit{1000, 3}
	case arrow.Microsecond:
		return unit{microsPerSecond, 6}
	}
	return unit{nanosPerSecond, 9}
}

func times(col arrow.Array) appender {
	switch c := col.(type) {
	case *array.Date32:
		return func(b []byte, i int) []byte { return appendDate32(b, int64(c.Value(i))) }
	case *array.Date64:
		return func(b []byte, i int) []byte {
			return appendDate(b, floorDiv(int64(c.Value(i)), 1000*secondsPerDay))
		}
	case *array.Time32:
		u := unitOf(c.DataType().(*arrow.Time32Type).Unit)
		return func(b []byte, i int) []byte { return appendTicks(b, int64(c.Value(i)), u) }
	case *array.Time64:
		u := unitOf(c.DataType().(*arrow.Time64Type).Unit)
		return func(b []byte, i int) []byte { return appendTicks(b, int64(c.Value(i)), u) }
	case *array.Timestamp:
		return timestamps(c)
	case *array.MonthInterval:
		return func(b []byte, i int) []byte { return appendInterval(b, int64(c.Value(i)), 0, 0) }
	case *array.DayTimeInterval:
		return func(b []byte, i int) []byte {
			v := c.Value(i)
			return appendInterval(b, 0, int64(v.Days), int64(v.Milliseconds)*1_000_000)
		}
	case *array.MonthDayNanoInterval:
		return func(b []byte, i int) []byte {
			v := c.Value(i)
			return appendInterval(b, int64(v.Months), int64(v.Days), v.Nanoseconds)
		}
	case *array.Duration:
		u := unitOf(c.DataType().(*arrow.DurationType).Unit)
		return func(b []byte, i int) []byte {
			return appendInterval(b, 0, 0, int64(c.Value(i))*(nanosPerSecond/u.perSecond))
		}
	}
	return nil
}

func appendDate32(b []byte, days int64) []byte {
	switch days {
	case math.MaxInt32:
		return append(b, "infinity"...)
	case -math.MaxInt32:
		return append(b, "-infinity"...)
	}
	return appendDate(b, days)
}

func appendTicks(b []byte, ticks int64, u unit) []byte {
	return appendClock(b, ticks/u.perSecond, ticks%u.perSecond, u.digits)
}

func timestamps(c *array.Timestamp) appender {
	t := c.DataType().(*arrow.TimestampType)
	u := unitOf(t.Unit)
	if t.TimeZone == "" {
		return func(b []byte, i int) []byte { return appendTimestamp(b, int64(c.Value(i)), u) }
	}
	return func(b []byte, i int) []byte { return append(appendTimestamp(b, int64(c.Value(i)), u), "+00"...) }
}
