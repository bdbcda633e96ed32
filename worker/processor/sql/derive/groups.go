package derive

import (
	"context"
	"fmt"
	"strings"

	pb "github.com/millrace/millrace/api/millracev1"
)

// grouping is a SELECT that aggregates, while it is taken apart.
type grouping struct {
	*deriver
	*scope
	spot    *spot
	results []*pb.Column
	// keys are the expressions that it groups by, and keyed finds them by
	// their canonical text.
	keys  []node
	keyed map[string]int
	// aggregates are its aggregates, each once, found by canonical text.
	aggregates []*aggregate
	found      map[string]int
	// distinct is the aggregate whose argument's distinct values are carried.
	distinct *aggregate
	parts    *parts
	// keyTypes and distinctType are what is carried beside the parts.
	keyTypes     []string
	distinctType string
	limits       modifiers
}

// splitGroups splits a SELECT that aggregates.
func (d *deriver) splitGroups(ctx context.Context, s *spot, results []*pb.Column) (*split, error) {
	if err := d.checkGroups(s.target); err != nil {
		return nil, err
	}
	base, err := d.fromColumns(ctx, s)
	if err != nil {
		return nil, err
	}
	g := &grouping{
		deriver: d, scope: newScope(s.target, base), spot: s, results: results,
		keyed: map[string]int{}, found: map[string]int{}, parts: &parts{seen: map[string]*part{}},
	}
	if len(g.items) != len(results) {
		return nil, unsplittable("its columns are not written out beside its aggregates")
	}
	top, err := g.rewriteSelect()
	if err != nil {
		return nil, err
	}
	if err := g.takeAllApart(ctx); err != nil {
		return nil, err
	}
	return g.queries(ctx, top)
}

// checkGroups says what keeps a SELECT that aggregates from being split.
func (d *deriver) checkGroups(n node) error {
	sets := list(n, "group_sets")
	switch {
	case n["sample"] != nil:
		return unsplittable("a sample is drawn from all records at once")
	case len(sets) > 1 || len(sets) == 1 && len(sets[0].([]any)) != len(list(n, "group_expressions")):
		return unsplittable("grouping sets need all records at once")
	case contains(n, isClass("WINDOW")) || n["qualify"] != nil:
		return unsplittable("a window function needs all records at once")
	case contains(n, d.natures.isOpaque):
		return unsplittable("it calls a function that hides an aggregate or a clock")
	case contains(n["select_list"], isClass("STAR")) || contains(n["having"], isClass("STAR")):
		return unsplittable("its columns are not written out beside its aggregates")
	}
	for _, key := range []string{"select_list", "group_expressions", "having"} {
		if contains(n[key], isClass("COLLATE")) {
			return unsplittable("a collation can't be carried from batch to batch")
		}
	}
	return nil
}

// fromColumns are the columns of the FROM. Subqueries that look at them from
// outside are found on the way.
func (d *deriver) fromColumns(ctx context.Context, s *spot) ([]*pb.Column, error) {
	n := s.alone()
	for _, key := range []string{"select_list", "having", "modifiers"} {
		if err := d.checkSubqueries(ctx, n, n[key]); err != nil {
			return nil, err
		}
	}
	if from := child(n, "from_table"); isData(from) && len(list(from, "column_name_alias")) == 0 {
		return d.columns, nil
	}
	star := node{
		"class": "STAR", "type": "STAR", "alias": "", "relation_name": "", "exclude_list": []any{},
		"replace_list": []any{}, "columns": false, "expr": nil, "qualified_exclude_list": []any{}, "rename_list": []any{},
	}
	all := selectNode([]any{star}, child(n, "from_table"))
	all["cte_map"] = n["cte_map"]
	columns, err := d.describe(ctx, statement(all), d.columns)
	if err != nil {
		return nil, unsplittable("its FROM can't stand alone")
	}
	return columns, nil
}

// checkSubqueries sees to it that the subqueries in v can stand alone.
func (d *deriver) checkSubqueries(ctx context.Context, n node, v any) error {
	var err error
	walkHere(v, func(sub node) bool {
		if class(sub) != "SUBQUERY" || err != nil {
			return err == nil
		}
		query := copyOf(child(child(sub, "subquery"), "node"))
		ctes := child(query, "cte_map")
		ctes["map"] = append(copyList(list(child(n, "cte_map"), "map")), list(ctes, "map")...)
		if _, failed := d.describe(ctx, statement(query), d.columns); failed != nil {
			err = unsplittable("a subquery looks at the rows around it")
		}
		return true
	})
	return err
}

// rewriteSelect gives the SELECT over keys and aggregates that is left, without
// its FROM, and collects keys and aggregates.
func (g *grouping) rewriteSelect() (node, error) {
	var err error
	if g.limits, err = readModifiers(g.spot.target); err != nil {
		return nil, err
	}
	if err := g.findKeys(); err != nil {
		return nil, err
	}
	top := selectNode(nil, nil)
	top["cte_map"] = g.spot.target["cte_map"]
	for i, item := range g.items {
		e, err := g.resolveBelow(item, i)
		if err != nil {
			return nil, err
		}
		if e, err = g.overGroups(e); err != nil {
			return nil, err
		}
		e["alias"] = g.results[i].GetName()
		top["select_list"] = append(list(top, "select_list"), e)
	}
	if having := child(g.spot.target, "having"); having != nil {
		if top["where_clause"], err = g.having(having); err != nil {
			return nil, err
		}
	}
	top["modifiers"], err = g.modifiers()
	return top, err
}

// findKeys resolves what the SELECT groups by.
func (g *grouping) findKeys() error {
	if text(g.spot.target, "aggregate_handling") == "FORCE_AGGREGATES" {
		return g.groupByAll()
	}
	for _, e := range nodes(g.spot.target, "group_expressions") {
		key, err := g.key(e)
		if err != nil {
			return err
		}
		if err := g.addKey(key); err != nil {
			return err
		}
	}
	return nil
}

func (g *grouping) groupByAll() error {
	for i, item := range g.items {
		e, err := g.resolveBelow(item, i)
		if err != nil {
			return err
		}
		if !contains(e, g.natures.isFolding) {
			if err := g.addKey(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// key is what one term of GROUP BY means: an item by its number, a column, an
// item by its name, or an expression over columns.
func (g *grouping) key(e node) (node, error) {
	if n, err := constant(e); err == nil && n >= 1 && int(n) <= len(g.items) {
		return g.resolveBelow(g.items[n-1], int(n)-1)
	}
	if name := plainName(e); name != "" && !g.base[name] {
		if item, err := g.itemNamed(name); err != nil || item != nil {
			return g.resolveBelow(item, max(g.aliases[name], 0))
		}
	}
	return g.resolve(e)
}

func (g *grouping) addKey(e node) error {
	if contains(e, isUnnest) || contains(e, g.natures.isFolding) || contains(e, isClass("SUBQUERY")) {
		return unsplittable("what it groups by is not understood")
	}
	if name := canonical(e); !hasKey(g.keyed, name) {
		g.keyed[name] = len(g.keys)
		g.keys = append(g.keys, e)
	}
	return nil
}

func hasKey[V any](m map[string]V, key string) bool {
	_, ok := m[key]
	return ok
}

// overGroups rewrites a resolved expression into one over keys and aggregates.
func (g *grouping) overGroups(e node) (node, error) {
	var failed error
	out := rewriteNode(e, func(n node) (node, bool) {
		if class(n) == "" {
			return n, false
		}
		r, final, err := g.overGroup(n)
		failed = firstError(failed, err)
		return r, final || err != nil
	})
	return out, failed
}

func (g *grouping) overGroup(n node) (node, bool, error) {
	if i, ok := g.keyed[canonical(n)]; ok {
		return named(n, keyName(i)), true, nil
	}
	switch class(n) {
	case "FUNCTION":
		if g.natures.isFolding(n) {
			i, err := g.addAggregate(n)
			return named(n, aggregateName(i)), true, err
		}
	case "SUBQUERY":
		if c := child(n, "child"); c != nil {
			e, err := g.overGroups(c)
			n["child"] = e
			return n, true, err
		}
		return n, true, nil
	case "COLUMN_REF":
		return n, true, unsplittable("a column stands beside its aggregates: " + strings.Join(names(n), "."))
	case "LAMBDA", "STAR", "WINDOW", "POSITIONAL_REFERENCE", "COLLATE":
		return n, true, unsplittable("an expression over its aggregates is not understood")
	case "OPERATOR":
		if kind(n) == "GROUPING_FUNCTION" {
			return n, true, unsplittable("grouping sets need all records at once")
		}
	}
	return n, false, nil
}

// named is a reference to a column that stands for n, under n's name.
func named(n node, name string) node {
	c := column(name)
	c["alias"] = n["alias"]
	return c
}

func keyName(i int) string { return fmt.Sprintf("__k%d", i) }

func aggregateName(i int) string { return fmt.Sprintf("__a%d", i) }

func (g *grouping) addAggregate(n node) (int, error) {
	if err := checkAggregate(n); err != nil {
		return 0, err
	}
	bare := copyOf(n)
	bare["alias"] = ""
	if n["distinct"] == true && idempotent[strings.ToLower(text(n, "function_name"))] {
		bare["distinct"] = false
	}
	name := canonical(bare)
	if i, ok := g.found[name]; ok {
		return i, nil
	}
	g.found[name] = len(g.aggregates)
	g.aggregates = append(g.aggregates, &aggregate{node: bare})
	return g.found[name], nil
}

// having rewrites HAVING, where a name means a key first, then an item.
func (g *grouping) having(e node) (node, error) {
	var failed error
	e = rewriteNode(copyOf(e), func(n node) (node, bool) {
		if class(n) == "SUBQUERY" || g.natures.isFolding(n) {
			return n, true
		}
		name := plainName(n)
		if name == "" || hasKey(g.keyed, canonical(n)) {
			return n, false
		}
		item, err := g.itemNamed(name)
		if item == nil || err != nil {
			failed = firstError(failed, err)
			return n, false
		}
		r, err := g.resolveBelow(item, g.aliases[name])
		failed = firstError(failed, err)
		return r, true
	})
	if failed != nil {
		return nil, failed
	}
	e, err := g.resolve(e)
	if err != nil {
		return nil, err
	}
	return g.overGroups(e)
}
