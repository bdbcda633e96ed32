package derive

import (
	"fmt"
	"strings"
)

// part is a column that a partial carries for aggregates: what each batch
// computes, and what makes one of several.
type part struct {
	name string
	// partial is an expression over the input.
	partial string
	// combine is an expression over columns of parts, this one's written %s.
	combine string
	// wire is the type in which a HUGEINT crosses; found by its type when empty.
	wire string
}

// aggregate is one aggregate of the query, taken apart.
type aggregate struct {
	node node
	// args and filter are SQL; kinds are the arguments' types.
	args   []string
	kinds  []string
	filter string
	// kind is the type of its value.
	kind string
	// final is an expression over the combined parts.
	final string
}

func (a *aggregate) name() string { return strings.ToLower(text(a.node, "function_name")) }

// call is the SQL of a function of the aggregate's arguments, with its filter.
func (a *aggregate) call(function, args string) string {
	return fmt.Sprintf("%s(%s)%s", function, args, a.filter)
}

// combinable are aggregates that combine by themselves.
var combinable = map[string]bool{
	"min": true, "max": true, "bool_and": true, "bool_or": true, "bit_and": true, "bit_or": true,
	"bit_xor": true, "product": true, "any_value": true,
}

// moments are the aggregates of count, mean and squared deviations, each as
// what it makes of the struct %[1]s of n, m and s, and as the name that DuckDB
// gives it in errors.
var moments = map[string]moment{
	"var_samp":    {varSamp, "VARSAMP"},
	"variance":    {varSamp, "VARSAMP"},
	"var_pop":     {"CASE WHEN %[1]s.n > 1 THEN %[1]s.s / %[1]s.n ELSE 0 END", "VARPOP"},
	"stddev":      {stddevSamp, "STDDEV_SAMP"},
	"stddev_samp": {stddevSamp, "STDDEV_SAMP"},
	"stddev_pop":  {"CASE WHEN %[1]s.n > 1 THEN sqrt(%[1]s.s / %[1]s.n) ELSE 0 END", "STDDEV_POP"},
	"sem":         {"sqrt(%[1]s.s / %[1]s.n) / sqrt(%[1]s.n)", "SEM"},
}

const (
	varSamp    = "CASE WHEN %[1]s.n > 1 THEN %[1]s.s / (%[1]s.n - 1) END"
	stddevSamp = "CASE WHEN %[1]s.n > 1 THEN sqrt(%[1]s.s / (%[1]s.n - 1)) END"
)

type moment struct{ value, name string }

// distinctable are aggregates that may be asked of distinct values, whatever
// the order in which these come.
var distinctable = map[string]bool{
	"count": true, "sum": true, "avg": true, "mean": true, "median": true, "bit_xor": true, "product": true,
	"var_samp": true, "variance": true, "var_pop": true, "stddev": true, "stddev_samp": true, "stddev_pop": true,
	"count_if": true, "fsum": true, "kahan_sum": true, "sumkahan": true, "favg": true,
}

// idempotent are aggregates that don't care how often a value comes.
var idempotent = map[string]bool{
	"min": true, "max": true, "bool_and": true, "bool_or": true, "bit_and": true, "bit_or": true,
}

// parts collects the columns of a partial; equal ones are kept once.
type parts struct {
	list []*part
	seen map[string]*part
}

// add is the name of the column for a partial expression.
func (p *parts) add(partial, combine, wire string) string {
	key := partial + "\x00" + combine
	if have := p.seen[key]; have != nil {
		return quote(have.name)
	}
	name := fmt.Sprintf("__p%d", len(p.list))
	made := &part{name: name, partial: partial, combine: combine, wire: wire}
	p.list, p.seen[key] = append(p.list, made), made
	return quote(name)
}

// checkAggregate says why an aggregate can't be taken apart at all.
func checkAggregate(n node) error {
	name := strings.ToLower(text(n, "function_name"))
	switch {
	case len(nodes(child(n, "order_bys"), "orders")) > 0:
		return unsplittable(name + " depends on the order of all records")
	case n["export_state"] == true:
		return unsplittable("the state of an aggregate can't be carried from batch to batch")
	case text(n, "schema") != "" && text(n, "schema") != "main", text(n, "catalog") != "":
		return unsplittable("it names an aggregate by its schema")
	}
	return nil
}

// takeApart finds what a batch computes for an aggregate, and how its value is
// made of that.
func (p *parts) takeApart(a *aggregate) error {
	name := a.name()
	one := len(a.args) == 1
	switch {
	case name == "count_star" || name == "count" && len(a.args) == 0:
		p.takeCount(a, "*")
	case name == "count" && one:
		p.takeCount(a, a.args[0])
	case one && (name == "count_if" || name == "countif"):
		// Over no rows it is NULL, as a sum is.
		a.final = p.add(a.call(name, a.args[0]), "sum(%s)", "DECIMAL(38,0)")
	case name == "sum" && one:
		a.final = p.add(a.call("sum", a.args[0]), "sum(%s)", sumWire(a.kinds[0]))
	case one && (name == "fsum" || name == "kahan_sum" || name == "sumkahan"):
		a.final = p.add(a.call("fsum", a.args[0]), "fsum(%s)", "")
	case name == "favg" && one:
		s, n := p.add(a.call("fsum", a.args[0]), "fsum(%s)", ""), p.countOf(a, a.args[0])
		a.final = s + " / " + n
	case one && (name == "avg" || name == "mean"):
		return p.takeAverage(a)
	case combinable[name] && one:
		a.final = p.add(a.call(name, a.args[0]), name+"(%s)", "")
	case moments[name].name != "" && one:
		p.takeMoments(a)
	case extremeBy(name) != "" && len(a.args) == 2:
		p.takeExtremeBy(a, extremeBy(name))
	default:
		return unsplittable(name + " needs all records at once")
	}
	return nil
}

func (p *parts) takeCount(a *aggregate, arg string) {
	a.final = p.countOf(a, arg)
}

func (p *parts) countOf(a *aggregate, arg string) string {
	return "coalesce(" + p.add(a.call("count", arg), "sum(%s)", "") + ", 0)"
}

// sumWire is the type in which a sum of values of a type crosses: sums of 64
// bits fit into 38 digits, which cost less than text.
func sumWire(kind string) string {
	switch kind {
	case "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT":
		return "DECIMAL(38,0)"
	}
	return ""
}

// extremeBy is min or max for an aggregate of the value that goes with the
// least or the greatest of another.
func extremeBy(name string) string {
	switch name {
	case "arg_min", "argmin", "min_by":
		return "min"
	case "arg_max", "argmax", "max_by":
		return "max"
	}
	return ""
}

// takeExtremeBy carries the value and what it goes with. DuckDB leaves out rows
// in which either is NULL; of equals it keeps the first, and so does the merge.
func (p *parts) takeExtremeBy(a *aggregate, extreme string) {
	seen := fmt.Sprintf("(%s) IS NOT NULL", a.args[0])
	filter := fmt.Sprintf(" FILTER (WHERE %s)", seen)
	if a.filter != "" {
		inner := strings.TrimSuffix(strings.TrimPrefix(a.filter, " FILTER (WHERE "), ")")
		filter = fmt.Sprintf(" FILTER (WHERE (%s) AND (%s))", inner, seen)
	}
	by := p.add(fmt.Sprintf("%s(%s)%s", extreme, a.args[1], filter), extreme+"(%s)", "")
	a.final = p.add(a.call("arg_"+extreme, strings.Join(a.args, ", ")), fmt.Sprintf("arg_%s(%%s, %s)", extreme, by), "")
}

// takeMoments carries count, mean and the sum of squared deviations of each
// batch, combined pairwise as Chan, Golub and LeVeque do.
func (p *parts) takeMoments(a *aggregate) {
	x := fmt.Sprintf("CAST(%s AS DOUBLE)", a.args[0])
	n := a.call("count", x)
	column := p.add(
		fmt.Sprintf("struct_pack(n := %s, m := %s, s := %s * %s)", n, a.call("avg", x), a.call("var_pop", x), n),
		"list_reduce(list(%[1]s) FILTER (WHERE %[1]s.n > 0), lambda a, b: struct_pack("+
			"n := a.n + b.n, "+
			"m := a.m + (b.m - a.m) * b.n / (a.n + b.n), "+
			"s := a.s + b.s + (b.m - a.m) * (b.m - a.m) * a.n * b.n / (a.n + b.n)))", "")
	formula := moments[a.name()]
	value := fmt.Sprintf(formula.value, column)
	a.final = fmt.Sprintf("CASE WHEN %[1]s.n > 0 THEN CASE WHEN isfinite(%[2]s) OR (%[2]s) IS NULL THEN %[2]s"+
		" ELSE CAST(error('%[3]s is out of range!') AS DOUBLE) END END", column, value, formula.name)
}
