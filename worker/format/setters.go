package format

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// setter appends a value given as text to a column; it is false, and appends
// nothing, when the text is none of the column's type.
type setter func(text []byte) bool

// setterOf makes the setter of a column of one of the types that ArrowType
// gives.
func setterOf(b array.Builder) setter {
	switch b := b.(type) {
	case *array.StringBuilder:
		return func(v []byte) bool {
			ok := utf8.Valid(v)
			if ok {
				b.BinaryBuilder.Append(v)
			}
			return ok
		}
	case *array.BooleanBuilder:
		return parsed(b.Append, parseBool)
	case *array.Int8Builder:
		return signed(b.Append, 8)
	case *array.Int16Builder:
		return signed(b.Append, 16)
	case *array.Int32Builder:
		return signed(b.Append, 32)
	case *array.Int64Builder:
		return signed(b.Append, 64)
	case *array.Uint8Builder:
		return unsigned(b.Append, 8)
	case *array.Uint16Builder:
		return unsigned(b.Append, 16)
	case *array.Uint32Builder:
		return unsigned(b.Append, 32)
	case *array.Uint64Builder:
		return unsigned(b.Append, 64)
	case *array.Float32Builder:
		return parsed(b.Append, func(s string) (float32, bool) {
			f, err := strconv.ParseFloat(s, 32)
			return float32(f), err == nil
		})
	case *array.Float64Builder:
		return parsed(b.Append, func(s string) (float64, bool) {
			f, err := strconv.ParseFloat(s, 64)
			return f, err == nil
		})
	}
	return timeSetter(b)
}

// parsed makes a setter of a parser.
func parsed[T any](add func(T), parse func(string) (T, bool)) setter {
	return func(text []byte) bool {
		v, ok := parse(strings.TrimSpace(string(text)))
		if ok {
			add(v)
		}
		return ok
	}
}

func signed[T int8 | int16 | int32 | int64](add func(T), bits int) setter {
	return parsed(add, func(s string) (T, bool) {
		n, err := strconv.ParseInt(s, 10, bits)
		return T(n), err == nil
	})
}

func unsigned[T uint8 | uint16 | uint32 | uint64](add func(T), bits int) setter {
	return parsed(add, func(s string) (T, bool) {
		n, err := strconv.ParseUint(s, 10, bits)
		return T(n), err == nil
	})
}

func parseBool(s string) (v, ok bool) {
	switch strings.ToLower(s) {
	case "true", "t", "1":
		return true, true
	case "false", "f", "0":
		return false, true
	}
	return false, false
}

func timeSetter(b array.Builder) setter {
	switch b := b.(type) {
	case *array.Date32Builder:
		return parsed(b.Append, func(s string) (arrow.Date32, bool) {
			t, ok := parseTime(s)
			return arrow.Date32(floorDiv(t.Unix(), secondsPerDay)), ok
		})
	case *array.TimestampBuilder:
		return parsed(b.Append, func(s string) (arrow.Timestamp, bool) {
			t, ok := parseTime(s)
			return arrow.Timestamp(t.UnixMicro()), ok
		})
	case *array.Time64Builder:
		return parsed(b.Append, func(s string) (arrow.Time64, bool) {
			t, err := time.Parse("15:04:05.999999999", s)
			return arrow.Time64(t.Sub(t.Truncate(24 * time.Hour)).Microseconds()), err == nil
		})
	case *array.Decimal128Builder:
		return parsed(b.Append, decimalParser(b.Type().(*arrow.Decimal128Type)))
	}
	return func([]byte) bool { return false }
}

// decimalParser reads decimals, rounded to the type's scale.
func decimalParser(t *arrow.Decimal128Type) func(s string) (decimal128.Num, bool) {
	return func(s string) (decimal128.Num, bool) {
		if f, err := strconv.ParseFloat(s, 64); err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return decimal128.Num{}, false
		}
		n, err := decimal128.FromString(s, t.Precision, t.Scale)
		return n, err == nil
	}
}
