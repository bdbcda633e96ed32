package derive

import "strings"

// modifiers rewrites DISTINCT, ORDER BY and LIMIT of a SELECT that aggregates.
func (g *grouping) modifiers() ([]any, error) {
	out := []any{}
	for _, m := range nodes(g.spot.target, "modifiers") {
		m = copyOf(m)
		if kind(m) == "ORDER_MODIFIER" {
			var orders []any
			for _, o := range nodes(m, "orders") {
				e, err := g.order(child(o, "expression"))
				if err != nil {
					return nil, err
				}
				o["expression"] = e
				orders = append(orders, o)
			}
			m["orders"] = orders
		}
		out = append(out, m)
	}
	return out, nil
}

// order rewrites one term of ORDER BY: an item by its number or name or its
// very expression, or an expression over keys and aggregates.
func (g *grouping) order(e node) (node, error) {
	switch class(e) {
	case "STAR", "CONSTANT":
		return e, nil
	case "COLLATE":
		inner, err := g.nestedOrder(child(e, "child"))
		e["child"] = inner
		return e, err
	}
	if name := plainName(e); name != "" {
		if item, err := g.itemNamed(name); err != nil {
			return nil, err
		} else if item != nil {
			return integer(g.aliases[name] + 1), nil
		}
	}
	return g.orderExpression(e)
}

func (g *grouping) orderExpression(e node) (node, error) {
	resolved, err := g.resolve(e)
	if err != nil {
		return nil, err
	}
	same := canonical(resolved)
	for i, item := range g.items {
		r, err := g.resolveBelow(item, i)
		if err != nil {
			return nil, err
		}
		if canonical(r) == same {
			return integer(i + 1), nil
		}
	}
	return g.overGroups(resolved)
}

// nestedOrder rewrites what is not the top of a term: a name there means a
// column first, so the two must not differ.
func (g *grouping) nestedOrder(e node) (node, error) {
	name := plainName(e)
	item, err := g.itemNamed(name)
	if err != nil {
		return nil, err
	}
	if item != nil && g.base[name] {
		if r, err := g.resolve(item); err != nil || canonical(r) != canonical(column(strings.ToLower(name))) {
			return nil, unsplittable("its ORDER BY means one of several columns named " + name)
		}
	}
	resolved, err := g.resolve(e)
	if err != nil {
		return nil, err
	}
	return g.overGroups(resolved)
}
