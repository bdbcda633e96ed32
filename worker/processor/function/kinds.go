package function

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// errNull is a null where a value is needed.
var errNull = errors.New("is null; make the field a pointer to allow that")

type signed interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64
}

type unsigned interface {
	~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

type float interface{ ~float32 | ~float64 }

// appender is a builder of a column of type T.
type appender[T any] interface{ Append(T) }

var numbers = map[reflect.Kind]kind{
	reflect.Int:     signedKind[int, int64](arrow.PrimitiveTypes.Int64, "BIGINT"),
	reflect.Int8:    signedKind[int8, int8](arrow.PrimitiveTypes.Int8, "TINYINT"),
	reflect.Int16:   signedKind[int16, int16](arrow.PrimitiveTypes.Int16, "SMALLINT"),
	reflect.Int32:   signedKind[int32, int32](arrow.PrimitiveTypes.Int32, "INTEGER"),
	reflect.Int64:   signedKind[int64, int64](arrow.PrimitiveTypes.Int64, "BIGINT"),
	reflect.Uint:    unsignedKind[uint, uint64](arrow.PrimitiveTypes.Uint64, "UBIGINT"),
	reflect.Uint8:   unsignedKind[uint8, uint8](arrow.PrimitiveTypes.Uint8, "UTINYINT"),
	reflect.Uint16:  unsignedKind[uint16, uint16](arrow.PrimitiveTypes.Uint16, "USMALLINT"),
	reflect.Uint32:  unsignedKind[uint32, uint32](arrow.PrimitiveTypes.Uint32, "UINTEGER"),
	reflect.Uint64:  unsignedKind[uint64, uint64](arrow.PrimitiveTypes.Uint64, "UBIGINT"),
	reflect.Float32: floatKind[float32](arrow.PrimitiveTypes.Float32, "FLOAT"),
	reflect.Float64: floatKind[float64](arrow.PrimitiveTypes.Float64, "DOUBLE"),
}

func signedKind[T, Stored signed](t arrow.DataType, duck string) kind {
	return kind{t, duck,
		func(to array.Builder, p unsafe.Pointer) error {
			to.(appender[Stored]).Append(Stored(*(*T)(p)))
			return nil
		},
		func(from arrow.Array) setter {
			get := intsOf(from)
			return func(row int, p unsafe.Pointer) error {
				v, err := get(row)
				if err == nil && int64(T(v)) != v {
					err = fmt.Errorf("%d does not fit into %T", v, T(0))
				}
				*(*T)(p) = T(v)
				return err
			}
		}}
}

func unsignedKind[T, Stored unsigned](t arrow.DataType, duck string) kind {
	return kind{t, duck,
		func(to array.Builder, p unsafe.Pointer) error {
			to.(appender[Stored]).Append(Stored(*(*T)(p)))
			return nil
		},
		func(from arrow.Array) setter {
			get := uintsOf(from)
			return func(row int, p unsafe.Pointer) error {
				v, err := get(row)
				if err == nil && uint64(T(v)) != v {
					err = fmt.Errorf("%d does not fit into %T", v, T(0))
				}
				*(*T)(p) = T(v)
				return err
			}
		}}
}

func floatKind[T float](t arrow.DataType, duck string) kind {
	return kind{t, duck,
		func(to array.Builder, p unsafe.Pointer) error { to.(appender[T]).Append(*(*T)(p)); return nil },
		func(from arrow.Array) setter {
			get := floatsOf(from)
			return func(row int, p unsafe.Pointer) error {
				v, err := get(row)
				*(*T)(p) = T(v)
				return err
			}
		}}
}

func boolKind() kind {
	return kind{arrow.FixedWidthTypes.Boolean, "BOOLEAN",
		func(to array.Builder, p unsafe.Pointer) error {
			to.(*array.BooleanBuilder).Append(*(*bool)(p))
			return nil
		},
		func(from arrow.Array) setter {
			get := boolsOf(from)
			return func(row int, p unsafe.Pointer) (err error) { *(*bool)(p), err = get(row); return err }
		}}
}

func stringKind() kind {
	return kind{arrow.BinaryTypes.String, "VARCHAR",
		func(to array.Builder, p unsafe.Pointer) error {
			to.(*array.StringBuilder).Append(*(*string)(p))
			return nil
		},
		func(from arrow.Array) setter {
			get := textsOf(from)
			return func(row int, p unsafe.Pointer) error {
				*(*string)(p) = ""
				if !from.IsNull(row) {
					*(*string)(p) = strings.Clone(get(row))
				}
				return nil
			}
		}}
}

func bytesKind() kind {
	return kind{arrow.BinaryTypes.Binary, "BLOB",
		func(to array.Builder, p unsafe.Pointer) error {
			b := *(*[]byte)(p)
			if b == nil {
				to.AppendNull()
				return nil
			}
			to.(*array.BinaryBuilder).Append(b)
			return nil
		},
		func(from arrow.Array) setter {
			get := textsOf(from)
			return func(row int, p unsafe.Pointer) error {
				*(*[]byte)(p) = nil
				if !from.IsNull(row) {
					*(*[]byte)(p) = []byte(get(row))
				}
				return nil
			}
		}}
}

func timeKind() kind {
	return kind{instant, "TIMESTAMP WITH TIME ZONE",
		func(to array.Builder, p unsafe.Pointer) error {
			to.(*array.TimestampBuilder).Append(arrow.Timestamp((*time.Time)(p).UnixMicro()))
			return nil
		},
		func(from arrow.Array) setter {
			get := timesOf(from)
			return func(row int, p unsafe.Pointer) (err error) { *(*time.Time)(p), err = get(row); return err }
		}}
}

// pointerKind is for what may be null.
func pointerKind(t reflect.Type) kind {
	k := kindOf(t)
	return kind{k.arrow, k.duck,
		func(to array.Builder, p unsafe.Pointer) error {
			if v := *(*unsafe.Pointer)(p); v != nil {
				return k.append(to, v)
			}
			to.AppendNull()
			return nil
		},
		func(from arrow.Array) setter {
			set := k.setter(from)
			return func(row int, p unsafe.Pointer) error {
				*(*unsafe.Pointer)(p) = nil
				if from.IsNull(row) {
					return nil
				}
				v := reflect.New(t).UnsafePointer()
				*(*unsafe.Pointer)(p) = v
				return set(row, v)
			}
		}}
}

// textKind is for types that write and read themselves as text.
func textKind(t reflect.Type) kind {
	return encodedKind(
		func(p unsafe.Pointer) ([]byte, error) {
			return reflect.NewAt(t, p).Interface().(encoding.TextMarshaler).MarshalText()
		},
		func(b []byte, p unsafe.Pointer) error {
			return reflect.NewAt(t, p).Interface().(encoding.TextUnmarshaler).UnmarshalText(b)
		})
}

// jsonKind is for everything that has no column type of its own.
func jsonKind(t reflect.Type) kind {
	return encodedKind(
		func(p unsafe.Pointer) ([]byte, error) { return json.Marshal(reflect.NewAt(t, p).Interface()) },
		func(b []byte, p unsafe.Pointer) error {
			reflect.NewAt(t, p).Elem().SetZero()
			return json.Unmarshal(b, reflect.NewAt(t, p).Interface())
		})
}

func encodedKind(encode func(unsafe.Pointer) ([]byte, error), decode func([]byte, unsafe.Pointer) error) kind {
	return kind{arrow.BinaryTypes.String, "VARCHAR",
		func(to array.Builder, p unsafe.Pointer) error {
			b, err := encode(p)
			if err == nil {
				to.(*array.StringBuilder).BinaryBuilder.Append(b)
			}
			return err
		},
		func(from arrow.Array) setter {
			get := textsOf(from)
			return func(row int, p unsafe.Pointer) error {
				if from.IsNull(row) {
					return errNull
				}
				return decode(bytes.Clone([]byte(get(row))), p)
			}
		}}
}
