package function

import (
	"reflect"
	"unsafe"
)

// pointerBytes is about what an allocation costs beside its content.
const pointerBytes = 16

// weigherOf makes the function that tells about how many bytes a value holds
// outside of itself; nil when values of the type never do.
func weigherOf[V any](t reflect.Type) func(V) int {
	weigh := weigherFor(t)
	if weigh == nil {
		return nil
	}
	if t.Kind() == reflect.String {
		return func(v V) int { return len(*(*string)(unsafe.Pointer(&v))) }
	}
	return func(v V) int { return weigh(reflect.ValueOf(&v).Elem()) }
}

// weigherFor looks one level deep: what lies behind that is guessed.
func weigherFor(t reflect.Type) func(reflect.Value) int {
	switch t.Kind() {
	case reflect.String:
		return func(v reflect.Value) int { return v.Len() }
	case reflect.Slice:
		each := guess(t.Elem())
		return func(v reflect.Value) int { return v.Cap() * each }
	case reflect.Map:
		each := guess(t.Key()) + guess(t.Elem()) + pointerBytes
		return func(v reflect.Value) int { return v.Len() * each }
	case reflect.Pointer, reflect.Interface:
		return func(v reflect.Value) int {
			if v.IsNil() {
				return 0
			}
			return pointerBytes + int(v.Elem().Type().Size())
		}
	case reflect.Struct:
		return structWeigher(t)
	case reflect.Array:
		if guess(t.Elem()) > int(t.Elem().Size()) {
			return func(reflect.Value) int { return t.Len() * pointerBytes }
		}
	}
	return nil
}

// guess is about what a value of the type takes, with what it may hold.
func guess(t reflect.Type) int {
	if k := t.Kind(); k == reflect.Bool || numbers[k].append != nil {
		return int(t.Size())
	}
	return int(t.Size()) + pointerBytes
}

func structWeigher(t reflect.Type) func(reflect.Value) int {
	weighers := map[int]func(reflect.Value) int{}
	var order []int
	for i := range t.NumField() {
		if w := weigherFor(t.Field(i).Type); w != nil {
			weighers[i], order = w, append(order, i)
		}
	}
	if len(order) == 0 {
		return nil
	}
	return func(v reflect.Value) (sum int) {
		for _, i := range order {
			sum += weighers[i](v.Field(i))
		}
		return sum
	}
}
