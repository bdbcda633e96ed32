package function

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// valued is a column whose values are of type T.
type valued[T any] interface{ Value(row int) T }

// getter reads a row of a column as a T; the error says why it does not fit.
type getter[T any] func(row int) (T, error)

// notNull refuses rows that hold nothing.
func notNull[T any](from arrow.Array, get getter[T]) getter[T] {
	return func(row int) (none T, _ error) {
		if from.IsNull(row) {
			return none, errNull
		}
		return get(row)
	}
}

func intsOf(from arrow.Array) getter[int64] {
	switch c := from.(type) {
	case valued[int64]:
		return notNull(from, func(row int) (int64, error) { return c.Value(row), nil })
	case valued[int32]:
		return notNull(from, func(row int) (int64, error) { return int64(c.Value(row)), nil })
	case valued[int16]:
		return notNull(from, func(row int) (int64, error) { return int64(c.Value(row)), nil })
	case valued[int8]:
		return notNull(from, func(row int) (int64, error) { return int64(c.Value(row)), nil })
	case valued[float64]:
		return notNull(from, func(row int) (int64, error) { return whole(c.Value(row)) })
	}
	get := textsOf(from)
	return notNull(from, func(row int) (int64, error) {
		v, err := strconv.ParseInt(strings.TrimSpace(get(row)), 10, 64)
		return v, misfit(err, get(row), "an integer")
	})
}

// whole is a float that is an integer.
func whole(f float64) (int64, error) {
	if f != math.Trunc(f) || f < -(1<<63) || f >= 1<<63 {
		return 0, fmt.Errorf("%v is not an integer", f)
	}
	return int64(f), nil
}

func uintsOf(from arrow.Array) getter[uint64] {
	switch c := from.(type) {
	case valued[uint64]:
		return notNull(from, func(row int) (uint64, error) { return c.Value(row), nil })
	case valued[uint32]:
		return notNull(from, func(row int) (uint64, error) { return uint64(c.Value(row)), nil })
	case valued[uint16]:
		return notNull(from, func(row int) (uint64, error) { return uint64(c.Value(row)), nil })
	case valued[uint8]:
		return notNull(from, func(row int) (uint64, error) { return uint64(c.Value(row)), nil })
	}
	get := intsOf(from)
	return func(row int) (uint64, error) {
		v, err := get(row)
		if err == nil && v < 0 {
			err = fmt.Errorf("%d is negative", v)
		}
		return uint64(v), err
	}
}

func floatsOf(from arrow.Array) getter[float64] {
	switch c := from.(type) {
	case valued[float64]:
		return notNull(from, func(row int) (float64, error) { return c.Value(row), nil })
	case valued[float32]:
		return notNull(from, func(row int) (float64, error) { return float64(c.Value(row)), nil })
	case valued[int64]:
		return notNull(from, func(row int) (float64, error) { return float64(c.Value(row)), nil })
	}
	get := textsOf(from)
	return notNull(from, func(row int) (float64, error) {
		v, err := strconv.ParseFloat(strings.TrimSpace(get(row)), 64)
		return v, misfit(err, get(row), "a number")
	})
}

func boolsOf(from arrow.Array) getter[bool] {
	if c, ok := from.(valued[bool]); ok {
		return notNull(from, func(row int) (bool, error) { return c.Value(row), nil })
	}
	get := textsOf(from)
	return notNull(from, func(row int) (bool, error) {
		v, err := strconv.ParseBool(strings.TrimSpace(get(row)))
		return v, misfit(err, get(row), "true or false")
	})
}

func misfit(err error, text, wanted string) error {
	if err == nil {
		return nil
	}
	const shown = 100
	return fmt.Errorf("%q is not %s", text[:min(len(text), shown)], wanted)
}

// textsOf reads any column as text, without its nulls.
func textsOf(from arrow.Array) func(row int) string {
	switch c := from.(type) {
	case valued[string]:
		return c.Value
	case valued[[]byte]:
		return func(row int) string { return string(c.Value(row)) }
	}
	return from.ValueStr
}

func timesOf(from arrow.Array) getter[time.Time] {
	switch c := from.(type) {
	case *array.Timestamp:
		unit := c.DataType().(*arrow.TimestampType).Unit
		return notNull(from, func(row int) (time.Time, error) { return c.Value(row).ToTime(unit), nil })
	case *array.Date32:
		return notNull(from, func(row int) (time.Time, error) { return c.Value(row).ToTime(), nil })
	case *array.Date64:
		return notNull(from, func(row int) (time.Time, error) { return c.Value(row).ToTime(), nil })
	}
	get := textsOf(from)
	return notNull(from, func(row int) (time.Time, error) { return parseTime(get(row)) })
}

// layouts are how times are written in text.
var layouts = []string{
	time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999Z07",
	"2006-01-02 15:04:05", "2006-01-02T15:04:05", time.DateOnly,
}

func parseTime(text string) (time.Time, error) {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return t, nil
		}
	}
	return time.Time{}, misfit(errNull, text, "a time such as 2006-01-02 15:04:05")
}
