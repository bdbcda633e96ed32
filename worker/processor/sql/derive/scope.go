package derive

import (
	"slices"
	"strings"

	pb "github.com/millrace/millrace/api/millracev1"
)

// scope is what the names in a SELECT mean: columns of its FROM, or items of
// its own list.
type scope struct {
	// base are the columns of the FROM, in lower case.
	base map[string]bool
	// table is the name of the FROM's only table; empty when it has several.
	table string
	// items is the SELECT's list, and aliases are the names given by AS, in
	// lower case; -1 for a name that several have.
	items   []node
	aliases map[string]int
}

func newScope(n node, base []*pb.Column) *scope {
	s := &scope{base: map[string]bool{}, aliases: map[string]int{}, items: nodes(n, "select_list")}
	for _, c := range base {
		s.base[strings.ToLower(c.GetName())] = true
	}
	if from := child(n, "from_table"); isTable(from) || kind(from) == "SUBQUERY" {
		s.table = strings.ToLower(alias(from))
	}
	for i, item := range s.items {
		name := strings.ToLower(text(item, "alias"))
		if _, twice := s.aliases[name]; twice {
			i = -1
		}
		if name != "" {
			s.aliases[name] = i
		}
	}
	return s
}

// plainName is the name of a reference to one column by its name alone; empty
// for everything else.
func plainName(n node) string {
	if parts := names(n); class(n) == "COLUMN_REF" && len(parts) == 1 {
		return strings.ToLower(parts[0])
	}
	return ""
}

// itemNamed is the item that a plain name means when it means no column.
func (s *scope) itemNamed(name string) (node, error) {
	i, ok := s.aliases[name]
	switch {
	case !ok || name == "":
		return nil, nil
	case i < 0:
		return nil, unsplittable("several of its columns are named " + name)
	}
	return s.items[i], nil
}

// resolve is a copy of e in which names of items are replaced by what they
// stand for, and names of columns are written without their table. A column
// comes before an item of the same name.
func (s *scope) resolve(e node) (node, error) { return s.resolveBelow(e, len(s.items)) }

// resolveBelow is resolve among the first items only: an item knows those
// before itself.
func (s *scope) resolveBelow(e node, depth int) (node, error) {
	if depth < 0 {
		return nil, unsplittable("its columns are named after each other")
	}
	r := resolver{scope: s, depth: depth}
	out := r.expand(copyOf(e))
	return out, r.err
}

type resolver struct {
	*scope
	depth  int
	hidden []string // names that are a lambda's own
	err    error
}

func (r *resolver) expand(e node) node {
	return rewriteNode(e, func(n node) (node, bool) {
		switch class(n) {
		case "SUBQUERY":
			n["child"] = r.expandChild(n["child"])
			return n, true
		case "LAMBDA":
			return r.lambda(n), true
		case "COLUMN_REF":
			return r.reference(n), true
		}
		return n, false
	})
}

func (r *resolver) expandChild(v any) any {
	if n, ok := v.(node); ok {
		return r.expand(n)
	}
	return v
}

func (r *resolver) lambda(n node) node {
	was := r.hidden
	walk(n["lhs"], func(p node) bool {
		r.hidden = append(slices.Clone(r.hidden), plainName(p))
		return true
	})
	n["expr"] = r.expandChild(n["expr"])
	r.hidden = was
	return n
}

func (r *resolver) reference(n node) node {
	parts := names(n)
	name := plainName(n)
	switch {
	case slices.Contains(r.hidden, strings.ToLower(parts[0])):
		return n
	case name == "":
		return r.unqualified(n, parts)
	case r.base[name]:
		return n
	}
	item, err := r.itemNamed(name)
	if err != nil || item == nil || r.aliases[name] >= r.depth {
		r.err = firstError(r.err, err)
		return n
	}
	out, err := r.resolveBelow(item, r.aliases[name])
	if err != nil {
		r.err = firstError(r.err, err)
		return n
	}
	out["alias"] = n["alias"]
	return out
}

// firstError is the first of two errors.
func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// unqualified drops the table from a column's name where that changes nothing.
func (s *scope) unqualified(n node, parts []string) node {
	if s.table == "" || strings.ToLower(parts[0]) != s.table || s.base[s.table] || !s.base[strings.ToLower(parts[1])] {
		return n
	}
	c := column(parts[1:]...)
	c["alias"] = n["alias"]
	return c
}
