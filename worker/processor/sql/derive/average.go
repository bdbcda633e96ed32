package derive

import (
	"fmt"
	"strconv"
	"strings"
)

// ratio is an average as a quotient of whole numbers. DuckDB divides them in
// 80-bit floats and then rounds to a DOUBLE; a plain division of DOUBLEs is off
// in the last digit now and then. So the quotient is made exactly, in whole
// numbers, and rounded twice as DuckDB does.
type ratio struct {
	sum, count string
}

// takeAverage carries sum and count.
func (p *parts) takeAverage(a *aggregate) error {
	kind := a.kinds[0]
	sum := p.add(a.call("sum", a.args[0]), "sum(%s)", sumWire(kind))
	count := p.countOf(a, a.args[0])
	switch {
	case kind == "TINYINT" || kind == "SMALLINT" || kind == "UTINYINT":
		a.final = fmt.Sprintf("CAST(%s AS DOUBLE) / %s", sum, count)
	case kind == "FLOAT" || kind == "DOUBLE" || kind == "UHUGEINT":
		a.final = fmt.Sprintf("%s / %s", sum, count)
	case strings.HasPrefix(kind, "DECIMAL("):
		return takeDecimalAverage(a, kind, sum, count)
	case sumWire(kind) != "" || kind == "HUGEINT":
		a.ratio = &ratio{sum: sum, count: fmt.Sprintf("CAST(%s AS HUGEINT)", count)}
	default:
		return unsplittable("an average of " + kind + " needs all records at once")
	}
	return nil
}

// takeDecimalAverage divides the sum's digits by count and scale.
func takeDecimalAverage(a *aggregate, kind, sum, count string) error {
	width, scale, ok := decimalOf(kind)
	if !ok || scale > 18 {
		return unsplittable("an average of " + kind + " needs all records at once")
	}
	digits := fmt.Sprintf("CAST(replace(CAST(%s AS VARCHAR), '.', '') AS HUGEINT)", sum)
	divisor := fmt.Sprintf("CAST(%s AS HUGEINT) * 1%s", count, strings.Repeat("0", scale))
	if width <= 4 {
		a.final = fmt.Sprintf("CAST(%s AS DOUBLE) / CAST(%s AS DOUBLE)", digits, divisor)
		return nil
	}
	a.ratio = &ratio{sum: digits, count: divisor}
	return nil
}

func decimalOf(kind string) (width, scale int, ok bool) {
	w, s, found := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(kind, "DECIMAL("), ")"), ",")
	width, werr := strconv.Atoi(strings.TrimSpace(w))
	scale, serr := strconv.Atoi(strings.TrimSpace(s))
	return width, scale, found && werr == nil && serr == nil
}

// ratioSteps are the steps of the division, each over the columns of those
// before; %[1]d tells averages apart. The sum s and the count d are cut to 64
// bits (the count is below 2^58, or the plain quotient is taken); the quotient
// of 66 or 67 bits with the remainder as its sticky bit is rounded to 64 bits,
// half to even, and last to a DOUBLE.
var ratioSteps = []string{
	// The sum's size, and the place of its highest bit, maybe one too high.
	`abs(__rs%[1]d) AS __rn%[1]d,
	 least(CAST(floor(log2(CAST(greatest(abs(__rs%[1]d), 1) AS DOUBLE))) AS INTEGER), 126) AS __rln%[1]d,
	 least(CAST(floor(log2(CAST(greatest(__rd%[1]d, 1) AS DOUBLE))) AS INTEGER), 58) AS __rld%[1]d`,
	// Powers of two by which to cut the sum to 64 bits.
	`CAST(pow(2, greatest(CASE WHEN CAST(pow(2, __rln%[1]d) AS HUGEINT) > __rn%[1]d THEN __rln%[1]d - 64 ELSE __rln%[1]d - 63 END, 0)) AS HUGEINT) AS __rc%[1]d`,
	// The sum cut to 64 bits, half to even.
	`__rn%[1]d // __rc%[1]d + CASE WHEN (__rn%[1]d %% __rc%[1]d) * 2 > __rc%[1]d
	 OR (__rn%[1]d %% __rc%[1]d) * 2 = __rc%[1]d AND (__rn%[1]d // __rc%[1]d) %% 2 = 1 THEN 1 ELSE 0 END AS __rm%[1]d`,
	`least(CAST(floor(log2(CAST(greatest(__rm%[1]d, 1) AS DOUBLE))) AS INTEGER), 64) AS __rlm%[1]d`,
	// The quotient, with enough bits.
	`CAST(pow(2, 66 + __rld%[1]d - __rlm%[1]d) AS HUGEINT) AS __rk%[1]d`,
	`(__rm%[1]d * __rk%[1]d) // __rd%[1]d AS __rq%[1]d, (__rm%[1]d * __rk%[1]d) %% __rd%[1]d AS __rr%[1]d`,
	// What its lowest bits beyond 64 count.
	`CAST(CASE WHEN __rq%[1]d >= 147573952589676412928 THEN 16 WHEN __rq%[1]d >= 73786976294838206464 THEN 8
	 WHEN __rq%[1]d >= 36893488147419103232 THEN 4 WHEN __rq%[1]d >= 18446744073709551616 THEN 2 ELSE 1 END AS HUGEINT) AS __re%[1]d`,
	`__rq%[1]d // __re%[1]d + CASE WHEN (__rq%[1]d %% __re%[1]d) * 2 > __re%[1]d
	 OR (__rq%[1]d %% __re%[1]d) * 2 = __re%[1]d AND __re%[1]d > 1 AND (__rr%[1]d > 0 OR (__rq%[1]d // __re%[1]d) %% 2 = 1)
	 THEN 1 ELSE 0 END AS __rf%[1]d`,
}

// ratioValue is the average once all steps are done.
const ratioValue = `CASE WHEN __rd%[1]d >= 288230376151711744 THEN CAST(__rs%[1]d AS DOUBLE) / CAST(__rd%[1]d AS DOUBLE)
	ELSE sign(__rs%[1]d) * CAST(__rf%[1]d AS DOUBLE) * CAST(__re%[1]d AS DOUBLE) * CAST(__rc%[1]d AS DOUBLE) / CAST(__rk%[1]d AS DOUBLE) END`

// withRatios adds to a table the columns from which the averages come.
func withRatios(from string, aggregates []*aggregate) string {
	first := make([]string, 0, len(aggregates))
	for i, a := range aggregates {
		if a.ratio != nil {
			first = append(first, fmt.Sprintf("CAST(%s AS HUGEINT) AS __rs%d, %s AS __rd%d", a.ratio.sum, i, a.ratio.count, i))
			a.final = fmt.Sprintf(ratioValue, i)
		}
	}
	if len(first) == 0 {
		return from
	}
	from = fmt.Sprintf("(SELECT *, %s FROM %s)", strings.Join(first, ", "), from)
	for _, step := range ratioSteps {
		var columns []string
		for i, a := range aggregates {
			if a.ratio != nil {
				columns = append(columns, fmt.Sprintf(step, i))
			}
		}
		from = fmt.Sprintf("(SELECT *, %s FROM %s)", strings.Join(columns, ", "), from)
	}
	return from
}
