package format

import (
	"bytes"
	"encoding/json"
)

// object walks the members of a JSON object that is known to be valid, in
// their order; keys come with their quotes.
func object(line []byte, yield func(key, value []byte)) {
	i := blank(line, 0) + 1 // behind the brace
	for {
		if i = blank(line, i); line[i] == '}' {
			return
		}
		if line[i] == ',' {
			i++
			continue
		}
		keyEnd := stringEnd(line, i)
		colon := blank(line, keyEnd)
		from := blank(line, colon+1)
		to := valueEnd(line, from)
		yield(line[i:keyEnd], line[from:to])
		i = to
	}
}

// blank is where the next byte that isn't white space lies.
func blank(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n' {
		i++
	}
	return i
}

// stringEnd is the end of the string that begins at i.
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// valueEnd is the end of the value that begins at i.
func valueEnd(b []byte, i int) int {
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		return nestedEnd(b, i)
	}
	for ; i < len(b); i++ {
		switch b[i] {
		case ',', '}', ']', ' ', '\t', '\r', '\n':
			return i
		}
	}
	return i
}

func nestedEnd(b []byte, i int) int {
	for depth := 0; ; {
		switch b[i] {
		case '"':
			i = stringEnd(b, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		i++
		if depth == 0 {
			return i
		}
	}
}

// unquoted is the text of a JSON string.
func unquoted(b []byte) []byte {
	inner := b[1 : len(b)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	var s string
	if json.Unmarshal(b, &s) != nil {
		return inner
	}
	return []byte(s)
}

// isJSONObject says that a line is a valid object.
func isJSONObject(line []byte) bool {
	t := bytes.TrimLeft(line, " \t\r")
	return len(t) > 0 && t[0] == '{' && json.Valid(line)
}
