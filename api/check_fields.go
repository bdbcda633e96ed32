package api

import (
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
)

// checker gathers the faults of a job.
type checker struct {
	faults Faults
}

func (c *checker) add(path, problem, meant string) {
	c.faults = append(c.faults, Fault{Path: path, Problem: problem, Meant: meant})
}

// message checks each field that is set, and those below it, against bounds.
func (c *checker) message(path string, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if m.Has(field) {
			c.field(join(path, string(field.Name())), field, m.Get(field))
		}
	}
	if unknown := m.GetUnknown(); len(unknown) > 0 {
		c.add(path, "has fields that this version does not know", "use a client of the same version")
	}
}

func (c *checker) field(path string, field protoreflect.FieldDescriptor, value protoreflect.Value) {
	limit, known := bounds()[field.FullName()]
	switch {
	case field.IsMap():
		c.mapping(path, value.Map(), limit)
	case field.IsList():
		c.list(path, field, value.List(), limit)
	case isDuration(field):
		c.duration(path, value.Message(), limit, known)
	case field.Message() != nil:
		c.message(path, value.Message())
	default:
		c.scalar(path, field, value, limit, known)
	}
}

func (c *checker) scalar(path string, field protoreflect.FieldDescriptor, value protoreflect.Value, limit bound, known bool) {
	switch v := value.Interface().(type) {
	case string:
		c.text(path, v, limit, known)
	case float64:
		c.number(path, v, strconv.FormatFloat(v, 'g', -1, 64), limit, known)
	case int32:
		c.number(path, float64(v), strconv.Itoa(int(v)), limit, known)
	case int64:
		c.number(path, float64(v), strconv.FormatInt(v, 10), limit, known)
	case uint32:
		c.number(path, float64(v), strconv.FormatUint(uint64(v), 10), limit, known)
	case uint64:
		// Signed from here on: a float can't tell this edge.
		if v > math.MaxInt64 {
			limit, known = bound{0, min(orInf(limit.max), inf-2048), 0}, true
		}
		c.number(path, float64(v), strconv.FormatUint(v, 10), limit, known)
	case protoreflect.EnumNumber:
		if field.Enum().Values().ByNumber(v) == nil {
			c.add(path, fmt.Sprintf("is %d", v), meantEnum(field.Enum()))
		}
	}
}

func (c *checker) number(path string, v float64, shown string, limit bound, known bool) {
	if !known {
		limit = bound{0, inf, 0}
	}
	if !(v >= limit.min && v <= limit.max) {
		c.add(path, "is "+shown, meantNumber(limit))
	}
}

// meantNumber says which numbers are meant.
func meantNumber(limit bound) string {
	if limit.max == inf {
		return fmt.Sprintf("at least %s", plain(limit.min))
	}
	return fmt.Sprintf("%s to %s", plain(limit.min), plain(limit.max))
}

func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func (c *checker) text(path, v string, limit bound, known bool) {
	switch size := float64(len(v)); {
	case !utf8.ValidString(v):
		c.add(path, "is not valid UTF-8", "text in UTF-8")
	case !known:
	case size > limit.max && limit.max == 1:
		c.add(path, "is "+quoted(v), "one byte")
	case size > limit.max:
		c.add(path, fmt.Sprintf("has %d bytes", len(v)), fmt.Sprintf("at most %s", plain(limit.max)))
	case size < limit.min:
		c.add(path, "is empty", "leave it out, or give a value")
	}
}

// maxQuoted is how much of a value a fault repeats, in bytes.
const maxQuoted = 60

func quoted(v string) string {
	if len(v) > maxQuoted {
		v = v[:maxQuoted] + "…"
	}
	return strconv.Quote(v)
}

func (c *checker) list(path string, field protoreflect.FieldDescriptor, list protoreflect.List, limit bound) {
	c.entries(path, list.Len(), limit)
	for i := range list.Len() {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case field.Message() != nil:
			c.message(at, list.Get(i).Message())
		case field.Kind() == protoreflect.StringKind:
			c.text(at, list.Get(i).String(), bound{0, orInf(limit.each), 0}, true)
		}
	}
}

func orInf(v float64) float64 {
	if v == 0 {
		return inf
	}
	return v
}

func (c *checker) entries(path string, n int, limit bound) {
	if limit.max > 0 && float64(n) > limit.max {
		c.add(path, fmt.Sprintf("has %d entries", n), fmt.Sprintf("at most %s", plain(limit.max)))
	}
}

func (c *checker) mapping(path string, m protoreflect.Map, limit bound) {
	c.entries(path, m.Len(), limit)
	for _, key := range sortedKeys(m) {
		at := join(path, key)
		if key == "" {
			c.add(path, "has an empty name", "give it one")
		}
		c.text(at, key, bound{0, orInf(limit.each), 0}, true)
		c.text(at, m.Get(protoreflect.ValueOfString(key).MapKey()).String(), bound{0, orInf(limit.each), 0}, true)
	}
}

func isDuration(field protoreflect.FieldDescriptor) bool {
	return field.Message() != nil && field.Message().FullName() == "google.protobuf.Duration"
}

func (c *checker) duration(path string, m protoreflect.Message, limit bound, known bool) {
	d, ok := m.Interface().(*durationpb.Duration)
	if !ok || !d.IsValid() {
		c.add(path, "is not a duration", "seconds and nanoseconds of one sign")
		return
	}
	if !known {
		limit = bound{0, inf, 0}
	}
	v := float64(d.GetSeconds())*1e9 + float64(d.GetNanos())
	switch {
	case v < limit.min && limit.min > 0 && v == 0:
		c.add(path, "is 0s", "leave it out, or give more than 0s")
	case v < limit.min:
		c.add(path, "is "+FormatDuration(d.AsDuration()), "not less than 0s")
	case v > limit.max:
		c.add(path, "is "+FormatDuration(d.AsDuration()), "at most "+FormatDuration(durationOf(limit.max)))
	}
}
