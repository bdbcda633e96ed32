package derive

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// nature is what there is to know about a function before it is split.
type nature int

const (
	// plain functions give the same value for the same arguments.
	plain nature = iota
	// folding functions are aggregates.
	folding
	// volatile functions may give another value each time.
	volatile
	// opaque functions hide aggregates or clocks.
	opaque
)

// known are functions whose nature need not be looked up. Looking one up costs
// as much as planning a whole query does.
var known = map[string]nature{
	"count_star": folding, "count": folding, "sum": folding, "avg": folding, "mean": folding,
	"min": folding, "max": folding, "count_if": folding, "median": folding,
	"lower": plain, "upper": plain, "length": plain, "substring": plain, "substr": plain,
	"trim": plain, "replace": plain, "concat": plain, "regexp_matches": plain, "regexp_extract": plain,
	"starts_with": plain, "date_trunc": plain, "date_part": plain, "strftime": plain, "strptime": plain,
	"round": plain, "abs": plain, "floor": plain, "ceil": plain, "struct_pack": plain,
	"list_value": plain, "struct_extract": plain, "coalesce": plain, "split_part": plain,
	"year": plain, "month": plain, "day": plain, "hour": plain, "unnest": plain,
	"to_days": plain, "to_months": plain, "to_hours": plain, "to_minutes": plain, "trunc": plain,
	"random": volatile, "uuid": volatile, "gen_random_uuid": volatile,
}

// natures tells functions apart, by their names in lower case.
type natures map[string]nature

func (k natures) of(n node) nature {
	return k[strings.ToLower(text(n, "function_name"))]
}

func (k natures) isFolding(n node) bool {
	return class(n) == "FUNCTION" && k.of(n) == folding
}

func (k natures) isOpaque(n node) bool {
	return class(n) == "FUNCTION" && k.of(n) == opaque
}

// functionNames are the names of the functions that v calls, in lower case.
func functionNames(v any) []string {
	var names []string
	walk(v, func(n node) bool {
		if class(n) == "FUNCTION" && n["is_operator"] != true {
			names = append(names, strings.ToLower(text(n, "function_name")))
		}
		return true
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// lookUp finds the nature of every function that is called in a tree.
func lookUp(ctx context.Context, q Querier, v any) (natures, error) {
	found := natures{}
	var unknown []string
	if anywhere(v, isAgeOfToday) {
		found["age"] = opaque
	}
	for _, name := range functionNames(v) {
		if k, ok := known[name]; ok {
			found[name] = k
		} else if found[name] == plain {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return found, nil
	}
	rows, err := q.Rows(ctx, `SELECT lower(function_name), string_agg(DISTINCT function_type),
		coalesce(string_agg(DISTINCT stability), ''), coalesce(any_value(macro_definition), '')
		FROM duckdb_functions() WHERE lower(function_name) IN (`+places(len(unknown))+`) GROUP BY 1 ORDER BY 1`, unknown...)
	if err != nil {
		return nil, fmt.Errorf("look up functions: %w", err)
	}
	for _, r := range rows {
		if found[r[0]], err = natureOf(ctx, q, r[1], r[2], r[3]); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// isAgeOfToday says whether n is an age up to now.
func isAgeOfToday(n node) bool {
	return class(n) == "FUNCTION" && strings.EqualFold(text(n, "function_name"), "age") && len(list(n, "children")) == 1
}

func places(n int) string {
	return strings.TrimSuffix(strings.Repeat("CAST(? AS VARCHAR), ", n), ", ")
}

func natureOf(ctx context.Context, q Querier, types, stability, macro string) (nature, error) {
	switch {
	case strings.Contains(types, "aggregate"):
		return folding, nil
	case strings.Contains(stability, "VOLATILE"):
		return volatile, nil
	case strings.Contains(types, "macro") && macro != "":
		return macroNature(ctx, q, macro)
	default:
		return plain, nil
	}
}

// macroNature is opaque where a macro does more than compute on its arguments.
func macroNature(ctx context.Context, q Querier, definition string) (nature, error) {
	t, err := parse(ctx, q, "SELECT "+definition)
	if err != nil {
		return opaque, nil //nolint:nilerr // what can't be read is not split
	}
	inner, err := lookUp(ctx, q, t.root())
	if err != nil {
		return opaque, err
	}
	if anywhere(t.root(), isClock) {
		return opaque, nil
	}
	for _, k := range inner {
		if k != plain {
			return opaque, nil
		}
	}
	return plain, nil
}
