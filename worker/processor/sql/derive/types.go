package derive

import (
	"fmt"
	"strings"

	pb "github.com/millrace/millrace/api/millracev1"
)

// plainTypes cross from one query to another as Arrow columns, unharmed.
var plainTypes = map[string]bool{
	"BOOLEAN": true, "TINYINT": true, "SMALLINT": true, "INTEGER": true, "BIGINT": true,
	"UTINYINT": true, "USMALLINT": true, "UINTEGER": true, "UBIGINT": true,
	"FLOAT": true, "DOUBLE": true, "VARCHAR": true, "BLOB": true, "DATE": true,
	"TIMESTAMP": true, "TIMESTAMP WITH TIME ZONE": true, "TIMESTAMP_S": true,
	"TIMESTAMP_MS": true, "TIMESTAMP_NS": true,
}

// textTypes have no like in Arrow, but their text gives the same value back.
var textTypes = map[string]bool{
	"HUGEINT": true, "UHUGEINT": true, "BIGNUM": true, "UUID": true, "BIT": true,
	"TIME": true, "TIME_NS": true, "TIME WITH TIME ZONE": true, "INTERVAL": true, "JSON": true,
}

// wireType is the type in which values of a type cross from one query to
// another. It answers false for a type that can't cross unharmed.
func wireType(t string) (string, bool) {
	switch t = strings.TrimSpace(t); {
	case strings.HasSuffix(t, "]"):
		return wireList(t)
	case plainTypes[t], strings.HasPrefix(t, "DECIMAL("):
		return t, true
	case textTypes[t], strings.HasPrefix(t, "ENUM("):
		return "VARCHAR", true
	case strings.HasPrefix(t, "STRUCT("):
		return wireFields(t, "STRUCT", wireField)
	case strings.HasPrefix(t, "MAP("):
		return wireFields(t, "MAP", wireType)
	default:
		return "", false
	}
}

func wireList(t string) (string, bool) {
	open := strings.LastIndexByte(t, '[')
	element, ok := wireType(t[:open])
	return element + t[open:], ok && !isEnum(t)
}

func wireFields(t, name string, field func(string) (string, bool)) (string, bool) {
	parts, ok := splitFields(strings.TrimSuffix(t[len(name)+1:], ")"))
	for i := range parts {
		var crosses bool
		crossing := parts[i]
		parts[i], crosses = field(crossing)
		ok = ok && crosses && !strings.Contains(crossing, "ENUM(")
	}
	return name + "(" + strings.Join(parts, ", ") + ")", ok
}

// isEnum says whether the elements of a list are of an ENUM. DuckDB can't write
// the tree of a cast to such a type.
func isEnum(t string) bool { return strings.HasPrefix(t, "ENUM(") }

// wireField is wireType of a struct's field, `name TYPE`. A field without a
// name can't be spelt in a cast.
func wireField(f string) (string, bool) {
	end := strings.IndexByte(f, ' ')
	if strings.HasPrefix(f, `"`) {
		end = quotedEnd(f)
	}
	if end <= 0 || end >= len(f) {
		return "", false
	}
	if _, unnamed := wireType(f); unnamed {
		return "", false
	}
	t, ok := wireType(f[end:])
	return f[:end] + " " + t, ok
}

// quotedEnd is where a quoted identifier at the beginning of s ends.
func quotedEnd(s string) int {
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			i++
			continue
		}
		return i + 1
	}
	return -1
}

// splitFields splits at the commas that are outside of quotes and parentheses.
func splitFields(s string) ([]string, bool) {
	var parts []string
	depth, from, quoted := 0, 0, byte(0)
	for i := range len(s) {
		switch c := s[i]; {
		case quoted != 0:
			if c == quoted {
				quoted = 0 // a doubled quote opens again at once
			}
		case c == '"' || c == '\'':
			quoted = c
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			parts, from = append(parts, strings.TrimSpace(s[from:i])), i+1
		}
	}
	return append(parts, strings.TrimSpace(s[from:])), depth == 0 && quoted == 0
}

// wired are columns as they cross.
func wired(columns []*pb.Column) ([]*pb.Column, error) {
	out := make([]*pb.Column, len(columns))
	for i, c := range columns {
		t, ok := wireType(c.GetType())
		if !ok {
			return nil, fmt.Errorf("values of type %s can't be carried from batch to batch", c.GetType())
		}
		out[i] = &pb.Column{Name: c.GetName(), Type: t}
	}
	return out, nil
}

// castList are columns of a table cast from one type to another, as a select
// list.
func castList(from, to []*pb.Column) string {
	items := make([]string, len(from))
	for i, c := range from {
		name := quote(c.GetName())
		items[i] = name
		if to[i].GetType() != c.GetType() {
			items[i] = fmt.Sprintf("CAST(%s AS %s) AS %s", name, to[i].GetType(), name)
		}
	}
	return strings.Join(items, ", ")
}

func sameTypes(a, b []*pb.Column) bool {
	for i := range a {
		if a[i].GetType() != b[i].GetType() {
			return false
		}
	}
	return len(a) == len(b)
}
