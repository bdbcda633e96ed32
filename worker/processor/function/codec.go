package function

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/exchange/sorted"
)

// values is how values under keys become columns: in sorted streams by codec,
// and in the result.
type values[V any] struct {
	codec   sorted.Codec[V]
	columns []*pb.Column
	fields  []arrow.Field
	result  func(values []V) ([]arrow.Array, error)
}

// valueName is the column of a value that is no struct.
const valueName = "value"

var (
	binaryIn  = reflect.TypeFor[encoding.BinaryMarshaler]()
	binaryOut = reflect.TypeFor[encoding.BinaryUnmarshaler]()
)

// valuesOf finds how values of type V become columns.
func valuesOf[V any]() (v values[V], err error) {
	t := reflect.TypeFor[V]()
	if reflect.PointerTo(t).Implements(binaryIn) && reflect.PointerTo(t).Implements(binaryOut) {
		return ownValues[V](t), nil
	}
	columns := []column{{name: valueName, kind: kindOf(t)}}
	switch t.Kind() {
	case reflect.Struct:
		if columns, err = columnsOf(t); err == nil {
			err = wholeStruct(t)
		}
	case reflect.Func, reflect.Chan, reflect.Interface, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		err = fmt.Errorf("a value can't be of type %v", t)
	}
	if err != nil {
		return v, err
	}
	return columnValues[V](t, columns), nil
}

// wholeStruct refuses structs of which a part would be lost on the way.
func wholeStruct(t reflect.Type) error {
	var faults []error
	for _, f := range reflect.VisibleFields(t) {
		if _, _, ok := nameOf(f); !ok && !f.Anonymous {
			faults = append(faults, fmt.Errorf("the field %v.%s would be lost: export it, "+
				"or give the type MarshalBinary and UnmarshalBinary", t, f.Name))
		}
	}
	return errors.Join(faults...)
}

func columnValues[V any](t reflect.Type, columns []column) values[V] {
	v := values[V]{columns: describe(columns), fields: fieldsOf(columns)}
	v.codec = sorted.Codec[V]{
		Fields: v.fields, Weigh: weigherOf[V](t),
		Columns: func(values []V) ([]arrow.Array, error) {
			return buildColumns(columns, len(values), func(i int) unsafe.Pointer { return unsafe.Pointer(&values[i]) })
		},
		Values: func(from []arrow.Array) ([]V, error) {
			if len(from) == 0 {
				return nil, nil
			}
			values := make([]V, from[0].Len())
			return values, readColumns(columns, from, func(i int) unsafe.Pointer { return unsafe.Pointer(&values[i]) })
		},
	}
	if _, ok := numbers[t.Kind()]; ok && columns[0].arrow.(arrow.FixedWidthDataType).Bytes() == int(t.Size()) && columns[0].name == valueName {
		v.codec.Columns = func(values []V) ([]arrow.Array, error) {
			return []arrow.Array{sorted.FixedColumn(columns[0].arrow, values)}, nil
		}
		v.codec.Values = func(from []arrow.Array) ([]V, error) { return sorted.FixedValues[V](from[0]), nil }
	}
	v.result = v.codec.Columns
	return v
}

func buildColumns(columns []column, count int, at func(i int) unsafe.Pointer) ([]arrow.Array, error) {
	arrays := make([]arrow.Array, len(columns))
	for c := range columns {
		b := array.NewBuilder(memory.DefaultAllocator, columns[c].arrow)
		defer b.Release()
		b.Reserve(count)
		for i := range count {
			if err := columns[c].append(b, unsafe.Add(at(i), columns[c].offset)); err != nil {
				return nil, fmt.Errorf("column %s: %w", columns[c].name, err)
			}
		}
		arrays[c] = b.NewArray()
	}
	return arrays, nil
}

func readColumns(columns []column, from []arrow.Array, at func(i int) unsafe.Pointer) error {
	for c := range columns {
		set := columns[c].setter(from[c])
		for i := range from[c].Len() {
			if err := set(i, unsafe.Add(at(i), columns[c].offset)); err != nil {
				return fmt.Errorf("column %s: %w", columns[c].name, err)
			}
		}
	}
	return nil
}

// ownValues is for types with an encoding of their own. In the result they are
// text, if they have that too, and bytes otherwise.
func ownValues[V any](t reflect.Type) values[V] {
	encode := func(p unsafe.Pointer) ([]byte, error) {
		return reflect.NewAt(t, p).Interface().(encoding.BinaryMarshaler).MarshalBinary()
	}
	own := column{name: valueName, kind: encodedKind(encode,
		func(b []byte, p unsafe.Pointer) error {
			return reflect.NewAt(t, p).Interface().(encoding.BinaryUnmarshaler).UnmarshalBinary(b)
		})}
	own.arrow, own.duck, own.append = arrow.BinaryTypes.Binary, "BLOB", binaryAppend(encode)
	v := columnValues[V](t, []column{own})
	if reflect.PointerTo(t).Implements(marshaler) {
		shown := []column{{name: valueName, kind: textKind(t)}}
		v.columns, v.fields = describe(shown), fieldsOf(shown)
		v.result = func(values []V) ([]arrow.Array, error) {
			return buildColumns(shown, len(values), func(i int) unsafe.Pointer { return unsafe.Pointer(&values[i]) })
		}
	}
	return v
}

// binaryAppend makes of an append to a column of text one to a column of bytes.
func binaryAppend(encode func(unsafe.Pointer) ([]byte, error)) func(array.Builder, unsafe.Pointer) error {
	return func(to array.Builder, p unsafe.Pointer) error {
		b, err := encode(p)
		if err == nil {
			to.(*array.BinaryBuilder).Append(b)
		}
		return err
	}
}
