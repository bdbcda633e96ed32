package derive

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// spot is the SELECT that is split: the one that reads input, or the highest
// around it over whose rows input can be cut.
type spot struct {
	// target is the SELECT's node, and replace puts another in its place.
	target  node
	replace func(with node)
	// outside are the WITH queries around the target that it needs, in order.
	outside []any
	// absorbed are the WITH queries that went into the target.
	absorbed map[string]bool
	// root says that the target is the whole query.
	root bool
}

// unsplittable is why a query is answered in one batch.
type unsplittable string

func (u unsplittable) Error() string { return string(u) }

// findSpot looks for the SELECT that is to be split.
func (d *deriver) findSpot(t *tree) (*spot, error) {
	root := t.root()
	ctes := cteNames(root)
	for _, name := range slices.Sorted(maps.Keys(ctes)) {
		if ctes[name] > 1 {
			return nil, unsplittable("two WITH queries are named " + name)
		}
	}
	way := find(root, func(n node) bool { return isTable(n) && isData(n) })[0]
	s := &spot{absorbed: map[string]bool{}}
	for {
		i := innermostSelect(way)
		if i < 0 || slices.ContainsFunc(way.nodes, isRecursive) {
			return nil, unsplittable("input is read in a place that is not understood")
		}
		if err := checkRelation(way, i); err != nil {
			return nil, err
		}
		s.settle(t, way, i)
		up, ok := d.climb(root, way, i, s)
		if !ok {
			break
		}
		way = up
	}
	s.outside = s.needed(root)
	return s, nil
}

func isRecursive(n node) bool { return kind(n) == "RECURSIVE_CTE_NODE" }

// settle makes the i-th node on the way the target.
func (s *spot) settle(t *tree, way path, i int) {
	s.target, s.root = way.nodes[i], i == 0
	if i == 0 {
		s.replace = t.setRoot
		return
	}
	parent, key := way.nodes[i-1], way.keys[i]
	s.replace = func(with node) { parent[key] = with }
}

// innermostSelect is the last SELECT on a way; -1 if it doesn't read what the
// way leads to in its FROM.
func innermostSelect(way path) int {
	for i := len(way.nodes) - 1; i >= 0; i-- {
		if kind(way.nodes[i]) == "SELECT_NODE" {
			if i+1 < len(way.keys) && way.keys[i+1] == "from_table" {
				return i
			}
			return -1
		}
	}
	return -1
}

// checkRelation sees to it that the rows of the FROM below the i-th node are
// made of each row of the last node by itself.
func checkRelation(way path, i int) error {
	for j := i + 1; j < len(way.nodes); j++ {
		n := way.nodes[j]
		if n["sample"] != nil {
			return unsplittable("a sample is drawn from all records at once")
		}
		last := j == len(way.nodes)-1
		switch {
		case last && (isTable(n) || kind(n) == "SUBQUERY"):
		case kind(n) == "JOIN" && !last:
			if err := checkJoin(n, way.keys[j+1]); err != nil {
				return err
			}
		default:
			return unsplittable("input is read through " + strings.ToLower(kind(n)))
		}
	}
	return nil
}

// checkJoin sees to it that each row on that side makes its rows by itself.
func checkJoin(n node, side string) error {
	if !slices.Contains([]string{"REGULAR", "CROSS", "NATURAL"}, text(n, "ref_type")) {
		return unsplittable("a join that looks at the order of the rows needs all records at once")
	}
	switch text(n, "join_type") {
	case "INNER":
		return nil
	case "LEFT", "SEMI", "ANTI":
		if side == "left" {
			return nil
		}
	case "RIGHT":
		if side == "right" {
			return nil
		}
	}
	return unsplittable("a join that keeps rows of the other side needs all records at once")
}

// climb goes from a SELECT that only filters and projects to the SELECT that
// reads it, when that reads nothing else of input.
func (d *deriver) climb(root node, way path, i int, s *spot) (path, bool) {
	if d.rowwise(way.nodes[i]) != nil || len(list(way.nodes[i], "modifiers")) > 0 || i < 2 {
		return path{}, false
	}
	holder := way.nodes[i-2]
	switch {
	case way.keys[i] != "node":
		return path{}, false
	case kind(holder) == "SUBQUERY" && class(holder) == "":
		return path{nodes: way.nodes[:i-1], keys: way.keys[:i-1]}, true
	case way.keys[i-1] == "query" && i >= 4:
		return climbWith(root, way.nodes[i-3], s)
	}
	return path{}, false
}

// climbWith goes from a WITH query to the one place that reads it.
func climbWith(root, entry node, s *spot) (path, bool) {
	name := strings.ToLower(text(entry, "key"))
	readers := find(root, func(n node) bool { return isTable(n) && tableName(n) == name })
	if len(readers) != 1 || innermostSelect(readers[0]) < 0 {
		return path{}, false
	}
	if checkRelation(readers[0], innermostSelect(readers[0])) != nil {
		return path{}, false
	}
	s.absorbed[name] = true
	return readers[0], true
}

// needed are the WITH queries outside of the target that it reads, in order.
func (s *spot) needed(root node) []any {
	entries := map[string]node{}
	var order []string
	walk(root, func(n node) bool {
		if sameNode(n, s.target) {
			return false
		}
		for _, e := range nodes(child(n, "cte_map"), "map") {
			name := strings.ToLower(text(e, "key"))
			entries[name], order = e, append(order, name)
		}
		return true
	})
	wanted := map[string]bool{}
	var want func(n node)
	want = func(n node) {
		walk(n, func(n node) bool {
			name := tableName(n)
			if e := entries[name]; isTable(n) && e != nil && !wanted[name] {
				wanted[name] = true
				want(e)
			}
			return true
		})
	}
	want(s.target)
	out := []any{}
	for _, name := range order {
		if wanted[name] {
			out = append(out, copyOf(entries[name]))
		}
	}
	return out
}

// sameNode says whether both are one object, not merely alike.
func sameNode(a, b node) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

// alone is a copy of the target as a query of its own.
func (s *spot) alone() node {
	n := copyOf(s.target)
	ctes := child(n, "cte_map")
	ctes["map"] = append(copyList(s.outside), list(ctes, "map")...)
	return n
}

func copyList(l []any) []any {
	c, _ := copyValue(append([]any{}, l...)).([]any)
	return c
}

// forget removes the WITH queries that went into the target.
func (s *spot) forget(root node) {
	walk(root, func(n node) bool {
		if ctes := child(n, "cte_map"); ctes != nil {
			ctes["map"] = slices.DeleteFunc(list(ctes, "map"), func(v any) bool {
				e, _ := v.(node)
				return s.absorbed[strings.ToLower(text(e, "key"))]
			})
		}
		return true
	})
}
