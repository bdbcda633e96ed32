package derive

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// clocks are functions of the time at which a query starts, by the expression
// that they stand for.
var clocks = map[string]string{
	"now": "now()", "current_timestamp": "now()", "get_current_timestamp": "now()",
	"transaction_timestamp": "now()", "today": "current_date", "current_date": "current_date",
	"current_time": "current_time", "get_current_time": "current_time",
	"localtime": "localtime", "localtimestamp": "localtimestamp",
}

// isClock says whether n asks for the time. Names of columns are not told
// apart here from the names that SQL has for functions without parentheses.
func isClock(n node) bool { return clockName(n) != "" }

func clockName(n node) string {
	name := ""
	switch class(n) {
	case "FUNCTION":
		if len(list(n, "children")) == 0 {
			name = text(n, "function_name")
		}
	case "COLUMN_REF":
		if parts := names(n); len(parts) == 1 && !strings.HasPrefix(strings.ToLower(parts[0]), "get_") {
			name = parts[0]
		}
	}
	if name = strings.ToLower(name); clocks[name] == "" {
		return ""
	}
	return name
}

// freeze puts the time of planning in place of every clock, so that all
// batches see the same time. A name that is taken by a column stays.
func freeze(ctx context.Context, q Querier, t *tree, taken map[string]bool) error {
	isFree := func(n node) bool {
		name := clockName(n)
		return name != "" && (class(n) == "FUNCTION" || !taken[name])
	}
	if !anywhere(t.root(), isFree) {
		return nil
	}
	if err := keepNames(ctx, q, t.root(), isFree); err != nil {
		return err
	}
	constants, err := readClocks(ctx, q)
	if err != nil {
		return err
	}
	t.setRoot(rewriteNode(t.root(), func(n node) (node, bool) {
		if !isFree(n) {
			return n, false
		}
		c := copyOf(constants[clocks[clockName(n)]])
		c["alias"] = n["alias"]
		return c, true
	}))
	return nil
}

// keepNames gives the columns of each SELECT that hold a clock the names that
// they would have had.
func keepNames(ctx context.Context, q Querier, root node, isFree func(node) bool) error {
	var unnamed []node
	walk(root, func(n node) bool {
		for _, item := range nodes(n, "select_list") {
			if text(item, "alias") == "" && anywhere(item, isFree) {
				unnamed = append(unnamed, item)
			}
		}
		return true
	})
	texts, err := printExpressions(ctx, q, unnamed)
	for i, name := range texts {
		unnamed[i]["alias"] = strings.TrimPrefix(name, "main.")
	}
	return err
}

// readClocks reads all clocks at once, as constants.
func readClocks(ctx context.Context, q Querier) (map[string]node, error) {
	expressions := slices.Compact(slices.Sorted(maps.Values(clocks)))
	var items []string
	for _, e := range expressions {
		items = append(items, fmt.Sprintf("typeof(%s), CAST(%s AS VARCHAR)", e, e))
	}
	rows, err := q.Rows(ctx, "SELECT "+strings.Join(items, ", "))
	if err != nil {
		return nil, fmt.Errorf("read the clock: %w", err)
	}
	var casts []string
	for i := range expressions {
		casts = append(casts, fmt.Sprintf("CAST(%s AS %s)", quoteText(rows[0][2*i+1]), rows[0][2*i]))
	}
	t, err := parse(ctx, q, "SELECT "+strings.Join(casts, ", "))
	if err != nil {
		return nil, err
	}
	constants := make(map[string]node, len(expressions))
	for i, n := range nodes(t.root(), "select_list") {
		constants[expressions[i]] = n
	}
	return constants, nil
}
