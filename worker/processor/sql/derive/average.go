package derive

import (
	"fmt"
	"strconv"
	"strings"
)

// takeAverage carries sum and count, both exact. Their quotient may differ from
// DuckDB's in the last digit: DuckDB divides in the machine's long floats, which
// have 80 bits on some machines and 64 or 128 on others.
func (p *parts) takeAverage(a *aggregate) error {
	kind := a.kinds[0]
	sum := p.add(a.call("sum", a.args[0]), "sum(%s)", sumWire(kind))
	count := p.countOf(a, a.args[0])
	switch {
	case kind == "FLOAT" || kind == "DOUBLE" || kind == "UHUGEINT":
		a.final = fmt.Sprintf("%s / %s", sum, count)
	case strings.HasPrefix(kind, "DECIMAL("):
		return takeDecimalAverage(a, kind, sum, count)
	case sumWire(kind) != "" || kind == "HUGEINT":
		a.final = fmt.Sprintf("CAST(%s AS DOUBLE) / %s", sum, count)
	default:
		return unsplittable("an average of " + kind + " needs all records at once")
	}
	return nil
}

// takeDecimalAverage divides the sum's digits by count and scale.
func takeDecimalAverage(a *aggregate, kind, sum, count string) error {
	scale, ok := scaleOf(kind)
	if !ok || scale > 18 {
		return unsplittable("an average of " + kind + " needs all records at once")
	}
	digits := fmt.Sprintf("CAST(replace(CAST(%s AS VARCHAR), '.', '') AS HUGEINT)", sum)
	divisor := fmt.Sprintf("CAST(%s AS HUGEINT) * 1%s", count, strings.Repeat("0", scale))
	a.final = fmt.Sprintf("CAST(%s AS DOUBLE) / CAST(%s AS DOUBLE)", digits, divisor)
	return nil
}

// scaleOf is how many digits a DECIMAL(width,scale) has after its point.
func scaleOf(kind string) (scale int, ok bool) {
	_, digits, found := strings.Cut(strings.TrimSuffix(kind, ")"), ",")
	scale, err := strconv.Atoi(strings.TrimSpace(digits))
	return scale, found && err == nil
}
