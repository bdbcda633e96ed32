package derive

import (
	"maps"
	"slices"
	"strings"
)

// walk visits v and all below it, parents first, in a fixed order. It goes
// below an object when visit says so.
func walk(v any, visit func(n node) bool) {
	switch v := v.(type) {
	case node:
		if !visit(v) {
			return
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			walk(v[k], visit)
		}
	case []any:
		for _, e := range v {
			walk(e, visit)
		}
	}
}

// walkHere is walk that stays out of subqueries: what it visits belongs to the
// SELECT that v is a part of.
func walkHere(v any, visit func(n node) bool) {
	walk(v, func(n node) bool {
		if class(n) == "SUBQUERY" {
			if visit(n) {
				walkHere(n["child"], visit)
			}
			return false
		}
		return visit(n)
	})
}

// rewrite replaces parts of v from the top down: replace gives what stands for
// an object, and whether that is final. Objects below a final one are left.
func rewrite(v any, replace func(n node) (node, bool)) any {
	switch v := v.(type) {
	case node:
		n, final := replace(v)
		if final {
			return n
		}
		for _, k := range slices.Sorted(maps.Keys(n)) {
			n[k] = rewrite(n[k], replace)
		}
		return n
	case []any:
		for i, e := range v {
			v[i] = rewrite(e, replace)
		}
		return v
	default:
		return v
	}
}

func rewriteNode(n node, replace func(n node) (node, bool)) node {
	if n == nil {
		return nil
	}
	out, _ := rewrite(n, replace).(node)
	return out
}

// contains says whether something here satisfies is, outside of subqueries.
func contains(v any, is func(n node) bool) bool {
	found := false
	walkHere(v, func(n node) bool {
		found = found || is(n)
		return !found
	})
	return found
}

// anywhere says whether something in v satisfies is, subqueries included.
func anywhere(v any, is func(n node) bool) bool {
	found := false
	walk(v, func(n node) bool {
		found = found || is(n)
		return !found
	})
	return found
}

func isClass(name string) func(node) bool {
	return func(n node) bool { return class(n) == name }
}

func isTable(n node) bool { return kind(n) == "BASE_TABLE" }

func tableName(n node) string { return strings.ToLower(text(n, "table_name")) }

// path is the way from the root to a node: the objects passed, the node last,
// and for each the key under which its parent holds it (directly or in lists).
type path struct {
	nodes []node
	keys  []string
}

// find gives the paths to everything that satisfies is, in a fixed order.
func find(root node, is func(n node) bool) []path {
	var found []path
	var at path
	var visit func(v any, key string)
	visit = func(v any, key string) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				visit(e, key)
			}
		case node:
			at.nodes, at.keys = append(at.nodes, v), append(at.keys, key)
			if is(v) {
				found = append(found, path{nodes: slices.Clone(at.nodes), keys: slices.Clone(at.keys)})
			}
			for _, k := range slices.Sorted(maps.Keys(v)) {
				visit(v[k], k)
			}
			at.nodes, at.keys = at.nodes[:len(at.nodes)-1], at.keys[:len(at.keys)-1]
		}
	}
	visit(root, "")
	return found
}

// canonical is a text that is the same for expressions that DuckDB takes for
// equal: places, the outer alias and the case of names don't matter.
func canonical(e node) string {
	c := copyOf(e)
	c["alias"] = ""
	walk(c, func(n node) bool {
		delete(n, "query_location")
		switch class(n) {
		case "COLUMN_REF":
			for i, part := range names(n) {
				list(n, "column_names")[i] = strings.ToLower(part)
			}
		case "FUNCTION":
			n["function_name"] = strings.ToLower(text(n, "function_name"))
			if text(n, "schema") == "main" {
				n["schema"] = ""
			}
		}
		return true
	})
	return encode(c)
}
