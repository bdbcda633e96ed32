//go:build cgo

package derive

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// A generator writes random queries over the world's input. Their names collide
// on purpose.
type generator struct {
	r *rand.Rand
	// ordered says that the rows of the query come in one order only.
	ordered bool
	// joined says that rows come in no order of their own, so that which of
	// several equals an aggregate takes is not told.
	joined bool
}

func (g *generator) of(options ...string) string { return options[g.r.IntN(len(options))] }

func (g *generator) chance(n int) bool { return g.r.IntN(n) == 0 }

func (g *generator) name() string {
	return g.of("z", "y", "k", "g", "a", "x", `"Odd Name"`, `"sum(a)"`, "K", "d")
}

func (g *generator) as() string {
	if g.chance(2) {
		return ""
	}
	return " AS " + g.name()
}

// scalar is an expression over one row, exact in its value.
func (g *generator) scalar() string {
	return g.of("k", "g", "a", "b", "t", "ub", "h", "x", "f", "d", "e", "dd", "dt", "ts", "tz", "tm", "u", "bo",
		"l", "s", "hs", "mp", "iv", "bl", "bt", "en", `"Odd Name"`, "lower(k)", "upper(k)", "g + 1", "g % 2",
		"s.f", "input.s.g", "l[1]", "CASE WHEN bo THEN k ELSE 'none' END", "coalesce(k, '?')", "length(k)",
		"date_trunc('month', ts)", "k || 'é'", "input.g", "abs(t::INTEGER)", "1", "'c'", "NULL", "w", "INPUT.K",
		"k IN ('a', 'b')", "list_transform(l, lambda v: v + 1)", "x::INTEGER", "d::VARCHAR", "{'q': g, 'r': k}",
		"(SELECT 5)", "year(dt)", "g BETWEEN 1 AND 2", "k LIKE '%a%'")
}

// key is something to group by.
func (g *generator) key() string {
	if g.chance(2) {
		return g.of("k", "g", "t", "bo", "g % 2", "lower(k)", "input.k")
	}
	return g.of("dt", "u", "s", "l", "h", "en", "iv", "tz", "bt", "w", "f", "d", "date_trunc('year', ts)", "s.f",
		"(k, g)", "k IS NULL", `"Odd Name"`, "coalesce(g, 0)", "CASE WHEN bo THEN k END", "hs", "mp", "tm", "bl")
}

func (g *generator) number() string {
	return g.of("a", "b", "t", "ub", "h", "x", "f", "d", "e", "dd", "g", "a // 2 + 1", "b // 3", "x * 2", "length(k)",
		"t + g", "CASE WHEN bo THEN a END", "input.a", "d * 2", "l[1]", "s.f", "a::BIGINT * 3")
}

func (g *generator) filter() string {
	return g.of("a > 0", "k IS NOT NULL", "x > 0", "g IN (1, 2)", "bo", "NOT bo", "false", "g < (SELECT 3)",
		"EXISTS (SELECT 1)", "lower(k) = 'a'", "id % 3 = 0", "k COLLATE NOCASE = 'A'", "w IS NOT NULL AND w > 1",
		"list_contains(l, 1)", "a > 0 OR b < 5")
}

func (g *generator) aggregate() string {
	call := ""
	switch g.r.IntN(12) {
	case 0, 1:
		call = g.of("count(*)", "count()", "count("+g.scalar()+")")
	case 2, 3:
		call = "sum(" + g.number() + ")"
	case 4, 5:
		call = g.of("avg", "mean", "avg") + "(" + g.number() + ")"
	case 6, 7:
		call = g.of("min", "max") + "(" + g.of(g.scalar(), "w", "k", "h", "u") + ")"
	case 8:
		call = g.of("bool_and(bo)", "bool_or(bo)", "bit_and(a)", "bit_or(b)", "bit_xor(t)", "count_if(bo)", "bit_and(bt)",
			g.untied("any_value(k)"), "product(t)", "fsum(x)", "favg(x)", "sum(bo)", "count_if(a > 1)")
	case 9:
		call = g.of("stddev", "stddev_pop", "stddev_samp", "var_samp", "var_pop", "variance", "sem") + "(" + g.of("a", "x", "t", "d", "b", "x * 2") + ")"
	case 10:
		call = g.of("arg_min", "arg_max", "min_by", "max_by", "argmax") + "(" + g.of("k", "id", "u", "s", "a", "h") + ", " +
			g.of(g.untied("a"), g.untied("x"), g.untied("k"), g.untied("w"), g.untied("d"), "id", g.untied("dt"), g.untied("h")) + ")"
	default:
		call = g.of("count(DISTINCT "+g.of("k", "g", "w", "u", "l", "lower(k)")+")", "sum(DISTINCT a)", "avg(DISTINCT t)", "max(DISTINCT k)",
			"count(DISTINCT k)", "median(a)", "string_agg(k)", "list(g ORDER BY id)", "mode(g)", "median(DISTINCT t)")
	}
	if g.chance(4) {
		call += " FILTER (WHERE " + g.filter() + ")"
	}
	return call
}

// untied is an expression that may have equals, and something else where it may
// not.
func (g *generator) untied(e string) string {
	switch {
	case !g.joined:
		return e
	case strings.HasPrefix(e, "any_value"):
		return "max(k)"
	}
	return "id"
}

// overAggregates is an expression over aggregates, and maybe keys.
func (g *generator) overAggregates(keys []string) string {
	switch g.r.IntN(8) {
	case 0:
		return g.aggregate() + " IS NULL"
	case 1:
		return "CASE WHEN count(*) > 1 THEN " + g.of("'many'", "k", "NULL") + " END"
	case 2:
		return "coalesce(" + g.of("sum(a)", "count(*)", "max(g)") + ", 0) + " + g.of("1", "count(*)", "min(t)")
	case 3:
		if len(keys) > 0 {
			return "(" + keys[g.r.IntN(len(keys))] + ") IS NULL"
		}
	}
	return g.aggregate()
}

func (g *generator) from() string {
	kind := g.r.IntN(14)
	g.joined = kind >= 3 && kind <= 7
	switch kind {
	case 0:
		return "input AS input"
	case 1:
		return "(SELECT * FROM input WHERE " + g.filter() + ") AS input"
	case 2:
		return "(SELECT *, g * 2 AS y FROM INPUT) input"
	case 3:
		return "input JOIN (VALUES (1, 'one'), (2, 'two'), (2, 'zwei')) n(num, word) ON n.num = input.g"
	case 4:
		return "input LEFT JOIN (VALUES (1, 'one'), (2, 'two')) n(num, word) ON n.num = input.g"
	case 5:
		return "(VALUES (1), (9)) n(num) " + g.of("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN") + " input ON n.num = input.g"
	case 6:
		return "input, range(2) r(i)"
	case 7:
		return "input SEMI JOIN (VALUES (1)) n(num) ON n.num = input.g"
	}
	return "input"
}

func (g *generator) where() string {
	if g.chance(2) {
		return ""
	}
	return " WHERE " + g.filter()
}

// rows is a SELECT without aggregates.
func (g *generator) rows() string {
	var items []string
	if g.chance(4) {
		items = append(items, g.of("*", "* EXCLUDE (s, l)", "* REPLACE (g + 1 AS g)", "input.*", "COLUMNS('^[abg]$')"))
	}
	for range 1 + g.r.IntN(4) {
		items = append(items, g.scalar()+g.as())
	}
	return "SELECT " + strings.Join(items, ", ") + " FROM " + g.from() + g.where()
}

// sortedRows is a SELECT of rows, sorted by a key that no two share, and maybe
// limited.
func (g *generator) sortedRows() string {
	terms := []string{}
	for range g.r.IntN(3) {
		terms = append(terms, g.of("k", "g", "x", "w", "2", "z", "lower(k)", "d + 1", "k COLLATE NOCASE", "h", "iv", "u", "s")+g.direction())
	}
	terms = append(terms, "id", "1")
	query := fmt.Sprintf("SELECT %s%s, %s%s, id FROM input%s ORDER BY %s", g.scalar(), g.as(), g.scalar(), g.as(), g.where(), strings.Join(terms, ", "))
	g.ordered = true
	return query + g.limit()
}

func (g *generator) direction() string {
	return g.of("", " ASC", " DESC") + g.of("", " NULLS FIRST", " NULLS LAST")
}

func (g *generator) limit() string {
	return g.of("", " LIMIT 3", " LIMIT 5 OFFSET 2", " OFFSET 4", " LIMIT 1", " LIMIT 100000")
}

// prefix is the first rows as they come.
func (g *generator) prefix() string {
	g.ordered = true
	return "SELECT " + g.of("*", "k, g", "id, "+g.scalar()) + " FROM input" + g.where() + g.limit()
}

func (g *generator) distinct() string {
	var items []string
	for range 1 + g.r.IntN(3) {
		items = append(items, g.key()+g.as())
	}
	order := ""
	if g.chance(2) {
		order = " ORDER BY ALL" + g.limit()
		g.ordered = true
	}
	return "SELECT DISTINCT " + strings.Join(items, ", ") + " FROM " + g.from() + g.where() + order
}

// groups is a SELECT with aggregates.
func (g *generator) groups() string {
	var keys, items, by []string
	from := g.from()
	for range g.r.IntN(3) {
		k := g.key()
		keys = append(keys, k)
		as := g.as()
		items = append(items, k+as)
		by = append(by, g.of(k, k, fmt.Sprint(len(items)), strings.TrimPrefix(as+" ", " AS ")))
	}
	for i := range by {
		if strings.TrimSpace(by[i]) == "" {
			by[i] = keys[i]
		}
	}
	for range 1 + g.r.IntN(3) {
		items = append(items, g.overAggregates(keys)+g.as())
	}
	if g.chance(6) {
		g.r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	}
	query := "SELECT " + g.of("", "", "", "DISTINCT ") + strings.Join(items, ", ") + " FROM " + from + g.where()
	switch {
	case g.chance(4):
		query += " GROUP BY ALL"
	case len(by) > 0:
		query += " GROUP BY " + strings.Join(by, ", ")
	}
	if g.chance(4) {
		query += " HAVING " + g.of("count(*) > 1", "sum(a) > 0", "max(k) IS NOT NULL", "z > 1", "k <> 'a'", "count(*) > 1 AND g > 0", "a > 0")
	}
	return query + g.groupOrder(len(items))
}

func (g *generator) groupOrder(n int) string {
	switch g.r.IntN(4) {
	case 0:
		g.ordered = true
		return " ORDER BY ALL" + g.of("", " DESC", "") + g.limit()
	case 1:
		// Names and expressions first; all columns at the end decide ties.
		g.ordered = true
		terms := []string{g.of("z", "k", "a", "g", "count(*)", "sum(a) + 1", "lower(k)", "g % 2", "k COLLATE NOCASE", "x") + g.direction()}
		for i := range n {
			terms = append(terms, fmt.Sprint(i+1))
		}
		return " ORDER BY " + strings.Join(terms, ", ") + g.limit()
	}
	return ""
}

// query is a whole query.
func (g *generator) query() string {
	switch g.r.IntN(16) {
	case 0, 1:
		return g.rows()
	case 2:
		return g.sortedRows()
	case 3:
		return g.prefix()
	case 4:
		return g.distinct()
	case 5, 6:
		return g.around()
	}
	return g.groups()
}

// inner is a SELECT for the inside of another, whose order doesn't matter.
func (g *generator) inner() string {
	q := g.of(g.rows(), g.groups(), g.groups(), g.distinct())
	g.ordered = false
	return q
}

func (g *generator) around() string {
	q := g.inner()
	switch g.r.IntN(8) {
	case 0:
		return "SELECT * FROM (" + q + ") AS q"
	case 1:
		return "WITH q AS (" + q + ") SELECT count(*), count(DISTINCT q) FROM q"
	case 2:
		return "WITH q AS (SELECT g AS k, a AS g, id FROM input" + g.where() + "), r AS (SELECT k, count(*) AS c, sum(g) FROM q GROUP BY k) SELECT * FROM r WHERE c > 1"
	case 3:
		return "SELECT k, count(*), max(id) FROM (SELECT k, id FROM input" + g.where() + " ORDER BY id DESC) GROUP BY k"
	case 4:
		return "(SELECT count(*) AS n FROM input" + g.where() + ") UNION ALL (SELECT 7)"
	case 5:
		return "WITH q AS (" + q + ") SELECT x.*, (SELECT count(*) FROM (VALUES (1), (2)) v) FROM q AS x"
	case 6:
		return "SELECT n, (SELECT " + g.of("sum(a)", "count(*)", "max(k)", "avg(t)") + " FROM input" + g.where() + ") FROM (VALUES (1), (2)) v(n)"
	}
	return "WITH v(n) AS (VALUES (1), (2)), q AS (SELECT * FROM input WHERE g IN (SELECT n FROM v)) SELECT g, count(*), avg(d) FROM q GROUP BY g"
}
