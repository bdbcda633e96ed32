package derive

import (
	"context"
	"fmt"
	"strings"

	pb "github.com/millrace/millrace/api/millracev1"
)

const distinctName = "__d"

// takeAllApart finds the types of keys and arguments, and what a batch computes
// for each aggregate.
func (g *grouping) takeAllApart(ctx context.Context) error {
	if err := g.printAggregates(ctx); err != nil {
		return err
	}
	if err := g.argumentTypes(ctx); err != nil {
		return err
	}
	for _, a := range g.aggregates {
		if a.node["distinct"] == true {
			if err := g.takeDistinct(a); err != nil {
				return err
			}
			continue
		}
		if err := g.parts.takeApart(a); err != nil {
			return err
		}
	}
	return nil
}

// printAggregates writes arguments and filters as SQL.
func (g *grouping) printAggregates(ctx context.Context) error {
	var all []node
	for _, a := range g.aggregates {
		all = append(all, nodes(a.node, "children")...)
		if f := child(a.node, "filter"); f != nil {
			all = append(all, f)
		}
	}
	texts, err := printExpressions(ctx, g.q, all)
	if err != nil {
		return err
	}
	for _, a := range g.aggregates {
		n := len(nodes(a.node, "children"))
		a.args, texts = texts[:n], texts[n:]
		if child(a.node, "filter") != nil {
			a.filter, texts = " FILTER (WHERE "+texts[0]+")", texts[1:]
		}
	}
	return nil
}

// argumentTypes describes keys, arguments and the aggregates themselves.
func (g *grouping) argumentTypes(ctx context.Context) error {
	var loose []any
	for _, k := range g.keys {
		loose = append(loose, copyOf(k))
	}
	var folded []any
	for _, a := range g.aggregates {
		for _, arg := range nodes(a.node, "children") {
			loose = append(loose, copyOf(arg))
		}
		folded = append(folded, copyOf(a.node))
	}
	types, err := g.typesOf(ctx, loose)
	if err != nil {
		return err
	}
	values, err := g.typesOf(ctx, folded)
	if err != nil {
		return err
	}
	g.keyTypes, types = types[:len(g.keys)], types[len(g.keys):]
	for i, a := range g.aggregates {
		a.kinds, types = types[:len(a.args)], types[len(a.args):]
		a.kind = values[i]
	}
	return nil
}

// typesOf are the types of expressions over the FROM.
func (g *grouping) typesOf(ctx context.Context, items []any) ([]string, error) {
	if len(items) == 0 {
		return nil, nil
	}
	n := g.source()
	n["select_list"] = items
	columns, err := g.describe(ctx, statement(n), g.columns)
	if err != nil {
		return nil, unsplittable("its aggregates do not bind alone: " + err.Error())
	}
	types := make([]string, len(columns))
	for i, c := range columns {
		types[i] = c.GetType()
	}
	return types, nil
}

// source is the SELECT with nothing but its FROM and WHERE.
func (g *grouping) source() node {
	alone := g.spot.alone()
	n := selectNode(nil, child(alone, "from_table"))
	n["cte_map"], n["where_clause"] = alone["cte_map"], alone["where_clause"]
	return n
}

// takeDistinct has the distinct values of the argument carried, and the
// aggregate run over them in the merge.
func (g *grouping) takeDistinct(a *aggregate) error {
	switch first := g.distinct; {
	case !distinctable[a.name()] || len(a.args) != 1:
		return unsplittable(a.name() + " of distinct values needs all records at once")
	case a.filter != "":
		return unsplittable("a filtered aggregate of distinct values needs all records at once")
	case first != nil && first.args[0] != a.args[0]:
		return unsplittable("distinct values of several expressions need all records at once")
	}
	g.distinct, g.distinctType = a, a.kinds[0]
	return nil
}

// queries writes partial, combine and merge.
func (g *grouping) queries(ctx context.Context, top node) (*split, error) {
	partial, err := g.partial(ctx)
	if err != nil {
		return nil, err
	}
	made, err := g.describeText(ctx, partial, g.carried)
	if err != nil {
		return nil, unsplittable("its parts do not bind: " + err.Error())
	}
	wire, err := wired(made)
	if err != nil {
		return nil, unsplittable(err.Error())
	}
	for i, p := range g.parts.list {
		if at := len(made) - len(g.parts.list) + i; p.wire != "" && made[at].GetType() == "HUGEINT" {
			wire[at].Type = p.wire
		}
	}
	restored := fmt.Sprintf("(SELECT %s FROM batch)", castList(wire, made))
	merge, err := g.merge(ctx, top, restored, made)
	return &split{
		partial: fmt.Sprintf("SELECT %s FROM (%s)", castList(made, wire), partial),
		combine: fmt.Sprintf("SELECT %s FROM (%s)", castList(made, wire), g.combined(restored, made, true)),
		columns: wire, merge: merge, reason: g.reason(),
	}, err
}

func (g *grouping) reason() string {
	if g.distinct != nil {
		return "distinct values and partial aggregates of each batch, merged once"
	}
	return "partial aggregates of each batch, merged once"
}

// groupedBy is how many columns a partial groups by.
func (g *grouping) groupedBy() int { return len(g.keys) + count(g.distinct != nil) }

// partial is the query over a batch, before its columns are made fit to cross.
func (g *grouping) partial(ctx context.Context) (string, error) {
	var items []any
	for i, k := range g.keys {
		k = copyOf(k)
		k["alias"] = keyName(i)
		items = append(items, k)
	}
	if g.distinct != nil {
		d := copyOf(nodes(g.distinct.node, "children")[0])
		d["alias"] = distinctName
		items = append(items, d)
	}
	const marker = "__parts"
	n := g.source()
	n["select_list"] = append(items, column(marker))
	g.overBatch(n)
	query, err := printOne(ctx, g.q, statement(n))
	if err != nil {
		return "", err
	}
	var exprs []string
	for _, p := range g.parts.list {
		exprs = append(exprs, fmt.Sprintf("%s AS %s", p.partial, quote(p.name)))
	}
	if len(exprs) == 0 {
		exprs = append(exprs, "count(*) AS __n")
	}
	head, rest, found := strings.Cut(query, marker)
	if !found || strings.Contains(rest, marker) {
		return "", unsplittable("it uses the name " + marker)
	}
	return head + strings.Join(exprs, ", ") + rest + g.groupBy(g.groupedBy()), nil
}

// groupBy groups by the first n columns, by their numbers.
func (g *grouping) groupBy(n int) string {
	if n == 0 {
		return ""
	}
	terms := make([]string, n)
	for i := range terms {
		terms[i] = fmt.Sprint(i + 1)
	}
	return " GROUP BY " + strings.Join(terms, ", ")
}

// combined makes one partial of several; in the merge the distinct values are
// no longer a key.
func (g *grouping) combined(restored string, made []*pb.Column, again bool) string {
	var items []string
	for i := range g.keys {
		items = append(items, quote(keyName(i)))
	}
	keys := len(g.keys)
	if g.distinct != nil && again {
		items, keys = append(items, quote(distinctName)), keys+1
	}
	for i, p := range g.parts.list {
		kind := made[len(made)-len(g.parts.list)+i].GetType()
		items = append(items, fmt.Sprintf("CAST(%s AS %s) AS %s", fmt.Sprintf(p.combine, quote(p.name)), kind, quote(p.name)))
	}
	if len(g.parts.list) == 0 {
		items = append(items, "CAST(coalesce(sum(__n), 0) AS BIGINT) AS __n")
	}
	if !again {
		items = append(items, g.distinctValues()...)
	}
	return "SELECT " + strings.Join(items, ", ") + " FROM " + restored + g.groupBy(keys)
}

// distinctValues are the aggregates of distinct values, over all of them.
func (g *grouping) distinctValues() []string {
	var items []string
	for i, a := range g.aggregates {
		if a.node["distinct"] == true {
			items = append(items, fmt.Sprintf("%s(DISTINCT %s) AS __v%d", a.name(), quote(distinctName), i))
			a.final = fmt.Sprintf("__v%d", i)
		}
	}
	return items
}

// merge puts the values of the aggregates below the SELECT that is left.
func (g *grouping) merge(ctx context.Context, top node, restored string, made []*pb.Column) (node, error) {
	from := "(" + g.combined(restored, made, false) + ")"
	var items []string
	for i := range g.keys {
		items = append(items, quote(keyName(i)))
	}
	for i, a := range g.aggregates {
		items = append(items, fmt.Sprintf("CAST(%s AS %s) AS %s", a.final, a.kind, quote(aggregateName(i))))
	}
	if len(items) == 0 {
		items = append(items, "__n")
	}
	t, err := parse(ctx, g.q, "SELECT "+strings.Join(items, ", ")+" FROM "+from)
	if err != nil {
		return nil, cantWrite(ctx, err)
	}
	top["from_table"] = subqueryRef(t.root(), "merged")
	return top, nil
}
