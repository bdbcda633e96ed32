package derive

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	pb "github.com/millrace/millrace/api/millracev1"
)

// split is a SELECT as the queries that stand for it.
type split struct {
	partial, combine string
	columns          []*pb.Column
	merge            node
	prefix           *int64
	reason           string
}

// rowwise says why a SELECT does more than make rows of each row by itself;
// nil if it doesn't. Its modifiers (DISTINCT, ORDER BY, LIMIT) are not looked at.
func (d *deriver) rowwise(n node) error {
	switch {
	case n["sample"] != nil:
		return unsplittable("a sample is drawn from all records at once")
	case contains(n, isClass("WINDOW")) || n["qualify"] != nil:
		return unsplittable("a window function needs all records at once")
	case d.grouped(n):
		return unsplittable("it aggregates")
	case contains(n, d.natures.isOpaque):
		return unsplittable("it calls a function that hides an aggregate or a clock")
	}
	return nil
}

// grouped says whether a SELECT aggregates.
func (d *deriver) grouped(n node) bool {
	return len(list(n, "group_expressions")) > 0 || len(list(n, "group_sets")) > 0 ||
		text(n, "aggregate_handling") != "STANDARD_HANDLING" || n["having"] != nil ||
		contains(n["select_list"], d.natures.isFolding) || contains(n["modifiers"], d.natures.isFolding)
}

// ordering is one term of an ORDER BY, over columns that the partial carries.
type ordering struct {
	column    string
	collation string
	direction string
}

func (o ordering) String() string {
	s := quote(o.column)
	if o.collation != "" {
		s += " COLLATE " + o.collation
	}
	return s + o.direction
}

// modifiers are what a SELECT says after its rows are made.
type modifiers struct {
	distinct bool
	orders   []node
	// limit and offset are -1 where there is none.
	limit, offset int64
}

// readModifiers reads them, and answers unsplittable for those not understood.
func readModifiers(n node) (modifiers, error) {
	m := modifiers{limit: -1, offset: -1}
	for _, mod := range nodes(n, "modifiers") {
		var err error
		switch kind(mod) {
		case "DISTINCT_MODIFIER":
			m.distinct = true
			if len(list(mod, "distinct_on_targets")) > 0 {
				err = unsplittable("DISTINCT ON depends on the order of all records")
			}
		case "ORDER_MODIFIER":
			m.orders = nodes(mod, "orders")
		case "LIMIT_MODIFIER":
			if m.limit, err = constant(mod["limit"]); err == nil {
				m.offset, err = constant(mod["offset"])
			}
		default:
			err = unsplittable("a LIMIT in percent needs all records at once")
		}
		if err != nil {
			return m, err
		}
	}
	return m, nil
}

// constant is the number that a LIMIT or OFFSET gives; -1 for none.
func constant(v any) (int64, error) {
	n, _ := v.(node)
	if n == nil {
		return -1, nil
	}
	value := child(n, "value")
	kind := text(child(value, "type"), "id")
	number, err := strconv.ParseInt(fmt.Sprint(value["value"]), 10, 64)
	if class(n) != "CONSTANT" || kind != "INTEGER" && kind != "BIGINT" || err != nil || number < 0 {
		return 0, unsplittable("LIMIT and OFFSET are not plain numbers")
	}
	return number, nil
}

// first is how many rows of each batch are enough; -1 for all.
func (m modifiers) first() int64 {
	if m.limit < 0 || m.distinct {
		return -1
	}
	if m.limit > math.MaxInt64-max(m.offset, 0) {
		return -1
	}
	return m.limit + max(m.offset, 0)
}

// tail writes ORDER BY, LIMIT and OFFSET.
func tail(orders []ordering, limit, offset int64) string {
	var b strings.Builder
	for i, o := range orders {
		b.WriteString([]string{", ", " ORDER BY "}[count(i == 0)])
		b.WriteString(o.String())
	}
	if limit >= 0 {
		fmt.Fprintf(&b, " LIMIT %d", limit)
	}
	if offset > 0 {
		fmt.Fprintf(&b, " OFFSET %d", offset)
	}
	return b.String()
}

// splitRows splits a SELECT that filters and projects, and maybe removes
// duplicates, sorts or limits.
func (d *deriver) splitRows(ctx context.Context, s *spot, columns []*pb.Column) (*split, error) {
	m, err := readModifiers(s.target)
	if err != nil {
		return nil, err
	}
	rows := s.alone()
	rows["modifiers"] = []any{}
	if err := d.checkCarried(rows); err != nil {
		return nil, err
	}
	orders, extra, err := d.rowOrders(rows, m, columns)
	if err != nil {
		return nil, err
	}
	rows["select_list"] = append(list(rows, "select_list"), extra...)
	inner, err := d.describe(ctx, statement(rows), d.columns)
	if err != nil {
		return nil, unsplittable("its SELECT over input can't stand alone")
	}
	d.overBatch(rows)
	query, err := printOne(ctx, d.q, statement(rows))
	if err != nil {
		return nil, err
	}
	for i, c := range inner {
		c.Name = rowName(i, len(columns))
	}
	return d.rowQueries(ctx, query, inner, columns, m, orders)
}

// rowName is the i-th column that a partial carries, of n that are the answer's
// and some more to sort by.
func rowName(i, n int) string {
	if i < n {
		return fmt.Sprintf("__c%d", i)
	}
	return fmt.Sprintf("__o%d", i-n)
}

// checkCarried refuses to split what a column can't take along: a collation is
// a part of a text's type, and lost on the way.
func (d *deriver) checkCarried(n node) error {
	if contains(n["select_list"], isClass("COLLATE")) {
		return unsplittable("a collation can't be carried from batch to batch")
	}
	return nil
}

func (d *deriver) rowQueries(ctx context.Context, query string, inner, columns []*pb.Column, m modifiers, orders []ordering) (*split, error) {
	wire, err := wired(inner)
	if err != nil {
		return nil, unsplittable(err.Error())
	}
	all := make([]string, len(inner))
	results := make([]string, len(columns))
	for i, c := range inner {
		all[i] = quote(c.GetName())
		if i < len(columns) {
			results[i] = fmt.Sprintf("%s AS %s", quote(c.GetName()), quote(columns[i].GetName()))
		}
	}
	distinct := []string{"", "DISTINCT "}[count(m.distinct)]
	restored := fmt.Sprintf("SELECT %s%s FROM batch", distinct, castList(wire, inner))
	out := &split{columns: wire, reason: rowReason(m)}
	made := fmt.Sprintf("SELECT %s* FROM (%s) AS made(%s)", distinct, query, strings.Join(all, ", "))
	top := ""
	if first := m.first(); first >= 0 {
		top = tail(orders, first, -1)
		if len(orders) == 0 {
			out.prefix = &first
		}
	}
	out.partial = fmt.Sprintf("SELECT %s FROM (%s%s)", castList(inner, wire), made, top)
	if err := d.verify(ctx, out.partial, d.carried, wire); err != nil {
		return nil, err
	}
	if top != "" || m.distinct {
		out.combine = fmt.Sprintf("SELECT %s FROM (SELECT * FROM (%s)%s)", castList(inner, wire), restored, top)
	}
	t, err := parse(ctx, d.q, fmt.Sprintf("SELECT %s FROM (%s)%s",
		strings.Join(results, ", "), restored, tail(orders, m.limit, m.offset)))
	if err != nil {
		return nil, cantWrite(ctx, err)
	}
	out.merge = t.root()
	return out, nil
}

func rowReason(m modifiers) string {
	switch {
	case m.distinct:
		return "duplicates are removed in each batch, and once more over all"
	case m.limit >= 0 && len(m.orders) > 0:
		return "each batch gives its first rows in order, merged once"
	case m.limit >= 0:
		return "each batch gives its first rows, which are taken in source order"
	case len(m.orders) > 0:
		return "rows are filtered and projected in each batch, and sorted once over all"
	default:
		return "rows are filtered and projected in each batch; the rest of the query runs once over them"
	}
}

// rowOrders resolves ORDER BY to columns of the answer, or to more columns that
// the partial then carries.
func (d *deriver) rowOrders(rows node, m modifiers, columns []*pb.Column) (orders []ordering, extra []any, err error) {
	for _, o := range m.orders {
		e := child(o, "expression")
		collation := ""
		if class(e) == "COLLATE" {
			e, collation = child(e, "child"), text(e, "collation")
		}
		targets, found, err := orderTargets(rows, e, columns, collation != "")
		if err != nil {
			return nil, nil, err
		}
		if !found {
			if m.distinct || contains(e, isClass("COLLATE")) || contains(e, isUnnest) || contains(e, isClass("STAR")) {
				return nil, nil, unsplittable("its ORDER BY is not understood")
			}
			targets = []string{rowName(len(columns)+len(extra), len(columns))}
			extra = append(extra, copyOf(e))
		}
		for _, t := range targets {
			orders = append(orders, ordering{column: t, collation: collation, direction: direction(o)})
		}
	}
	return orders, extra, nil
}

func isUnnest(n node) bool {
	return class(n) == "FUNCTION" && strings.EqualFold(text(n, "function_name"), "unnest")
}

func direction(o node) string {
	s := map[string]string{"ASCENDING": " ASC", "DESCENDING": " DESC"}[kind(o)]
	if nulls := text(o, "null_order"); strings.HasPrefix(nulls, "NULLS") {
		s += " " + nulls
	}
	return s
}

// orderTargets are the columns of the answer that a term of ORDER BY means: by
// its number, by its name, by its expression, or all of them. A term that is
// none of these means an expression over the input.
func orderTargets(rows, e node, columns []*pb.Column, nested bool) ([]string, bool, error) {
	switch class(e) {
	case "CONSTANT":
		if n, err := constant(e); err == nil && n >= 1 && int(n) <= len(columns) {
			return []string{rowName(int(n)-1, len(columns))}, true, nil
		}
	case "STAR":
		return allTargets(e, columns)
	case "COLUMN_REF":
		if name := plainName(e); name != "" {
			if targets, found, err := namedTarget(rows, name, columns, nested); found || err != nil {
				return targets, found, err
			}
		}
	}
	return sameTarget(rows, e, columns)
}

func allTargets(e node, columns []*pb.Column) ([]string, bool, error) {
	if !plainStar(e) {
		return nil, false, unsplittable("its ORDER BY is not understood")
	}
	targets := make([]string, len(columns))
	for i := range columns {
		targets[i] = rowName(i, len(columns))
	}
	return targets, true, nil
}

// plainStar says whether a star stands for columns as they are.
func plainStar(e node) bool {
	return e["expr"] == nil && len(list(e, "replace_list")) == 0 && len(list(e, "rename_list")) == 0
}

// namedTarget is the column of the answer to which AS gives a name, or a star
// that changes columns. Below the top of a term a name means the input's column
// first, so that there the two must not differ.
func namedTarget(rows node, name string, columns []*pb.Column, nested bool) ([]string, bool, error) {
	given, stars := 0, 0
	for _, item := range nodes(rows, "select_list") {
		given += count(strings.EqualFold(text(item, "alias"), name))
		stars += count(contains(item, isClass("STAR")) && !(class(item) == "STAR" && plainStar(item)))
	}
	if given == 0 && stars == 0 {
		return nil, false, nil
	}
	var targets []string
	for i, c := range columns {
		if strings.EqualFold(c.GetName(), name) {
			targets = append(targets, rowName(i, len(columns)))
		}
	}
	if len(targets) == 1 && !nested {
		return targets, true, nil
	}
	if len(targets) == 0 {
		return nil, false, nil
	}
	return nil, false, unsplittable("its ORDER BY means one of several columns named " + name)
}

// sameTarget is the column of the answer that is the very expression of a term.
func sameTarget(rows, e node, columns []*pb.Column) ([]string, bool, error) {
	items := nodes(rows, "select_list")
	if len(items) == len(columns) && !contains(rows["select_list"], isClass("STAR")) {
		for i, item := range items {
			if canonical(item) == canonical(e) {
				return []string{rowName(i, len(columns))}, true, nil
			}
		}
	}
	return nil, false, nil
}
