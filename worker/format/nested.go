package format

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// strings_ makes the appender of text and bytes.
func strings_(col arrow.Array, s style) appender {
	write := func(b []byte, v string) []byte { return append(b, v...) }
	if s == asJSON {
		write = appendJSONString
	}
	switch c := col.(type) {
	case *array.String:
		return func(b []byte, i int) []byte { return write(b, c.Value(i)) }
	case *array.LargeString:
		return func(b []byte, i int) []byte { return write(b, c.Value(i)) }
	case *array.StringView:
		return func(b []byte, i int) []byte { return write(b, c.Value(i)) }
	case *array.Float32:
		return floats(func(i int) float64 { return float64(c.Value(i)) }, 32, s)
	case *array.Float64:
		return floats(c.Value, 64, s)
	case *array.Float16:
		return floats(func(i int) float64 { return float64(c.Value(i).Float32()) }, 32, s)
	case *array.Binary:
		return blobs(c, s)
	case *array.LargeBinary:
		return blobs(c, s)
	case *array.BinaryView:
		return blobs(c, s)
	case *array.FixedSizeBinary:
		return blobs(c, s)
	}
	return nil
}

// blobs writes bytes as DuckDB does: printable ones as they are.
func blobs(col valuesOf[[]byte], s style) appender {
	const digits = "0123456789ABCDEF"
	return func(b []byte, i int) []byte {
		if s == asJSON {
			b = append(b, '"')
		}
		for _, v := range col.Value(i) {
			switch {
			case v >= ' ' && v <= '~' && v != '\\' && v != '\'' && v != '"':
				b = append(b, v)
			case s == asJSON:
				b = append(b, '\\', '\\', 'x', digits[v>>4], digits[v&15])
			default:
				b = append(b, '\\', 'x', digits[v>>4], digits[v&15])
			}
		}
		if s == asJSON {
			b = append(b, '"')
		}
		return b
	}
}

// appendJSONString appends text as JSON; bytes that aren't UTF-8 become the
// replacement character.
func appendJSONString(b []byte, v string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	done := 0
	for i := 0; i < len(v); {
		c := v[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(v[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, v[done:i]...), "\ufffd"...)
				done = i + 1
			}
			i += n
			continue
		}
		b = append(b, v[done:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
		i++
		done = i
	}
	return append(append(b, v[done:]...), '"')
}

// nested makes the appender of values in values.
func nested(col arrow.Array, s style) appender {
	switch c := col.(type) {
	case *array.Dictionary:
		values := text(c.Dictionary(), s)
		return func(b []byte, i int) []byte { return values(b, c.GetValueIndex(i)) }
	case *array.Map:
		return maps(c, s)
	case *array.Struct:
		return structs(c, s)
	case array.ListLike:
		return lists(c, s)
	case array.ExtensionArray:
		return text(c.Storage(), s)
	case *array.Null:
		return func(b []byte, i int) []byte { return b }
	}
	return nil
}

// item makes an appender that also writes null, and text as it is written
// inside other values.
func item(col arrow.Array, s style) appender {
	inner := text(col, s)
	null := "NULL"
	if s == asJSON {
		null = "null"
	}
	quote := s == plain && isText(col.DataType())
	return func(b []byte, i int) []byte {
		if col.IsNull(i) {
			return append(b, null...)
		}
		start := len(b)
		b = inner(b, i)
		if quote && needsQuote(b[start:]) {
			b = quoteItem(b, start)
		}
		return b
	}
}

func isText(t arrow.DataType) bool {
	switch t := t.(type) {
	case *arrow.DictionaryType:
		return isText(t.ValueType)
	}
	return arrow.IsBaseBinary(t.ID()) || t.ID() == arrow.STRING_VIEW || t.ID() == arrow.BINARY_VIEW
}

func needsQuote(v []byte) bool {
	return len(v) == 0 || v[0] == ' ' || v[len(v)-1] == ' ' ||
		bytes.ContainsAny(v, `"'(),:=[\]{}`) || strings.EqualFold(string(v), "NULL")
}

// quoteItem puts the end of b, from start, in quotes.
func quoteItem(b []byte, start int) []byte {
	v := string(b[start:])
	b = append(b[:start], '\'')
	for i := range len(v) {
		if v[i] == '\'' || v[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, v[i])
	}
	return append(b, '\'')
}

// separator is what stands between the items of a value.
func (s style) separator() string {
	if s == asJSON {
		return ","
	}
	return ", "
}

func lists(c array.ListLike, s style) appender {
	values, sep := item(c.ListValues(), s), s.separator()
	return func(b []byte, i int) []byte {
		from, to := c.ValueOffsets(i)
		b = append(b, '[')
		for k := from; k < to; k++ {
			if k > from {
				b = append(b, sep...)
			}
			b = values(b, int(k))
		}
		return append(b, ']')
	}
}

func structs(c *array.Struct, s style) appender {
	t := c.DataType().(*arrow.StructType)
	fields := make([]appender, c.NumField())
	names := make([]string, c.NumField())
	for k := range fields {
		fields[k] = item(c.Field(k), s)
		if s == asJSON {
			names[k] = string(appendJSONString(nil, t.Field(k).Name)) + ":"
		} else {
			names[k] = string(quoteItem([]byte(t.Field(k).Name), 0)) + ": "
		}
	}
	sep := s.separator()
	return func(b []byte, i int) []byte {
		b = append(b, '{')
		for k, f := range fields {
			if k > 0 {
				b = append(b, sep...)
			}
			b = f(append(b, names[k]...), i)
		}
		return append(b, '}')
	}
}

func maps(c *array.Map, s style) appender {
	keys, values, sep := item(c.Keys(), s), item(c.Items(), s), s.separator()
	between := "="
	if s == asJSON {
		between = ":"
		keys = jsonKeys(c.Keys())
	}
	return func(b []byte, i int) []byte {
		from, to := c.ValueOffsets(i)
		b = append(b, '{')
		for k := from; k < to; k++ {
			if k > from {
				b = append(b, sep...)
			}
			b = values(append(keys(b, int(k)), between...), int(k))
		}
		return append(b, '}')
	}
}

// jsonKeys writes keys as JSON has them: always text.
func jsonKeys(col arrow.Array) appender {
	if isText(col.DataType()) {
		return text(col, asJSON)
	}
	inner := text(col, plain)
	return func(b []byte, i int) []byte { return appendJSONString(b, string(inner(nil, i))) }
}
