package function

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	pb "github.com/millrace/millrace/api/millracev1"
)

// column is one field of a struct, or a plain value, as a column of records.
type column struct {
	name     string
	optional bool // the input may lack it
	offset   uintptr
	kind
}

// kind is how values of one Go type become a column, and come back.
type kind struct {
	arrow arrow.DataType
	duck  string // the type's name to the SQL engine
	// append adds the value at p to a builder of the type arrow.
	append func(to array.Builder, p unsafe.Pointer) error
	// setter reads a column of any type that fits.
	setter func(from arrow.Array) setter
}

// setter stores a row of a column at p.
type setter func(row int, p unsafe.Pointer) error

func (c *column) field() arrow.Field {
	return arrow.Field{Name: c.name, Type: c.arrow, Nullable: true}
}

func fieldsOf(columns []column) []arrow.Field {
	fields := make([]arrow.Field, len(columns))
	for i := range columns {
		fields[i] = columns[i].field()
	}
	return fields
}

func describe(columns []column) []*pb.Column {
	described := make([]*pb.Column, len(columns))
	for i, c := range columns {
		described[i] = &pb.Column{Name: c.name, Type: c.duck}
	}
	return described
}

// columnsOf finds the columns of a struct: its exported fields, those of
// embedded structs included.
func columnsOf(t reflect.Type) ([]column, error) {
	var columns []column
	seen := map[string]bool{}
	for _, f := range reflect.VisibleFields(t) {
		name, optional, ok := nameOf(f)
		if !ok {
			continue
		}
		if len(f.Index) > 1 && embedsPointer(t, f.Index) {
			return nil, fmt.Errorf("%v embeds a pointer: embed the struct itself", t)
		}
		if seen[strings.ToLower(name)] {
			return nil, fmt.Errorf("%v has two fields for the column %s", t, name)
		}
		seen[strings.ToLower(name)] = true
		columns = append(columns, column{
			name: name, optional: optional || f.Type.Kind() == reflect.Pointer,
			offset: offsetOf(t, f.Index), kind: kindOf(f.Type),
		})
	}
	if len(columns) == 0 {
		return nil, fmt.Errorf("%v has no exported field", t)
	}
	return columns, nil
}

// nameOf is a field's column; ok is false when it has none.
func nameOf(f reflect.StructField) (name string, optional, ok bool) {
	if !f.IsExported() || (f.Anonymous && f.Type.Kind() == reflect.Struct) {
		return "", false, false
	}
	tag, tagged := f.Tag.Lookup("json")
	if !tagged {
		tag = f.Tag.Get("csv")
	}
	name, options, _ := strings.Cut(tag, ",")
	if name == "-" {
		return "", false, false
	}
	if name == "" {
		name = f.Name
	}
	return name, strings.Contains(options, "omit"), true
}

func embedsPointer(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		if t = t.Field(i).Type; t.Kind() != reflect.Struct {
			return true
		}
	}
	return false
}

func offsetOf(t reflect.Type, index []int) (offset uintptr) {
	for _, i := range index {
		f := t.Field(i)
		offset, t = offset+f.Offset, f.Type
	}
	return offset
}

var (
	timeType     = reflect.TypeFor[time.Time]()
	instant      = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
	marshaler    = reflect.TypeFor[encoding.TextMarshaler]()
	unmarshaler  = reflect.TypeFor[encoding.TextUnmarshaler]()
	jsonEncoders = reflect.TypeFor[json.Marshaler]()
)

// kindOf finds how values of a type become a column. What has no column type of
// its own is written as JSON.
func kindOf(t reflect.Type) kind {
	switch {
	case t == timeType:
		return timeKind()
	case t.Kind() == reflect.Pointer:
		return pointerKind(t.Elem())
	case reflect.PointerTo(t).Implements(unmarshaler) && reflect.PointerTo(t).Implements(marshaler):
		return textKind(t)
	case t.Implements(jsonEncoders):
		return jsonKind(t)
	}
	if k, ok := numbers[t.Kind()]; ok {
		return k
	}
	switch t.Kind() {
	case reflect.Bool:
		return boolKind()
	case reflect.String:
		return stringKind()
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return bytesKind()
		}
	}
	return jsonKind(t)
}
