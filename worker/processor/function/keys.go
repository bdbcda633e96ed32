package function

import (
	"reflect"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/worker/exchange/sorted"
)

// keyKind is how keys of a type sort, and become the result's column.
type keyKind struct {
	arrow  arrow.DataType
	duck   string
	column func(count int, offsets []int32, data []byte) arrow.Array
	// encode makes an integer key's sortable bytes; nil for strings.
	encode func(key unsafe.Pointer, to *[sorted.IntKeyBytes]byte)
}

// keyKindOf is the kind of a type that Key allows.
func keyKindOf(t reflect.Type) keyKind {
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return signedKey[int64](t)
	case reflect.Int8:
		return signedKey[int8](t)
	case reflect.Int16:
		return signedKey[int16](t)
	case reflect.Int32:
		return signedKey[int32](t)
	case reflect.Uint, reflect.Uint64:
		return unsignedKey[uint64](t)
	case reflect.Uint8:
		return unsignedKey[uint8](t)
	case reflect.Uint16:
		return unsignedKey[uint16](t)
	case reflect.Uint32:
		return unsignedKey[uint32](t)
	}
	return keyKind{
		arrow: arrow.BinaryTypes.String, duck: "VARCHAR",
		column: func(count int, offsets []int32, data []byte) arrow.Array {
			return sorted.BinaryColumn(arrow.BinaryTypes.String, count, offsets, data)
		},
	}
}

// signedKey is for keys that are stored as T. On machines whose int has 32 bits
// T is not what t is, so it is read by its own size.
func signedKey[T signed](t reflect.Type) keyKind {
	encode := func(key unsafe.Pointer, to *[sorted.IntKeyBytes]byte) { sorted.PutInt(to, int64(*(*T)(key))) }
	if t.Kind() == reflect.Int {
		encode = func(key unsafe.Pointer, to *[sorted.IntKeyBytes]byte) { sorted.PutInt(to, int64(*(*int)(key))) }
	}
	return keyKind{
		arrow: arrow.PrimitiveTypes.Int64, duck: "BIGINT", encode: encode,
		column: func(count int, _ []int32, data []byte) arrow.Array {
			keys := make([]int64, count)
			for i := range keys {
				keys[i] = sorted.Int(data[i*sorted.IntKeyBytes:])
			}
			return sorted.FixedColumn(arrow.PrimitiveTypes.Int64, keys)
		},
	}
}

func unsignedKey[T unsigned](t reflect.Type) keyKind {
	encode := func(key unsafe.Pointer, to *[sorted.IntKeyBytes]byte) { sorted.PutUint(to, uint64(*(*T)(key))) }
	if t.Kind() == reflect.Uint {
		encode = func(key unsafe.Pointer, to *[sorted.IntKeyBytes]byte) { sorted.PutUint(to, uint64(*(*uint)(key))) }
	}
	return keyKind{
		arrow: arrow.PrimitiveTypes.Uint64, duck: "UBIGINT", encode: encode,
		column: func(count int, _ []int32, data []byte) arrow.Array {
			keys := make([]uint64, count)
			for i := range keys {
				keys[i] = sorted.Uint(data[i*sorted.IntKeyBytes:])
			}
			return sorted.FixedColumn(arrow.PrimitiveTypes.Uint64, keys)
		},
	}
}

// emitTo makes the function that emits into g.
func emitTo[K Key, V any](kind keyKind, g *sorted.Gather[V]) func(K, V) {
	if kind.encode == nil {
		return func(key K, value V) { g.Add(*(*string)(unsafe.Pointer(&key)), value) }
	}
	return func(key K, value V) {
		var b [sorted.IntKeyBytes]byte
		kind.encode(unsafe.Pointer(&key), &b)
		g.Add(string(b[:]), value)
	}
}
