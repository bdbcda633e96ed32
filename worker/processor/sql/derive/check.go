package derive

import (
	"fmt"
	"strconv"
	"strings"
)

// tableFunctions make rows of their arguments alone.
var tableFunctions = map[string]bool{
	"range": true, "generate_series": true, "unnest": true, "json_each": true,
	"json_tree": true, "repeat": true, "repeat_row": true,
}

// The tables that a query may read.
const (
	wholeInput = "input"
	microBatch = "batch"
)

// check refuses what a query may not do, and says which of the two tables it
// reads, and how often.
func check(root node) (inputs, batches int, err error) {
	defined := cteNames(root)
	for _, name := range []string{wholeInput, microBatch} {
		if defined[name] > 0 {
			return 0, 0, refuse("the name %q is taken by the data: give the WITH query another name", name)
		}
	}
	walk(root, func(n node) bool {
		switch {
		case err != nil:
		case isTable(n):
			err = checkTable(n, defined)
		case kind(n) == "TABLE_FUNCTION":
			err = checkTableFunction(n)
		case kind(n) == "SHOW_REF":
			err = at(n, "only a SELECT statement can be run over input or batch")
		case class(n) == "PARAMETER":
			err = at(n, "a query has no parameters: write the value itself")
		}
		if err == nil && isTable(n) {
			inputs += count(tableName(n) == wholeInput)
			batches += count(tableName(n) == microBatch)
		}
		return err == nil
	})
	return inputs, batches, err
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func checkTable(n node, defined map[string]int) error {
	if text(n, "schema_name") != "" || text(n, "catalog_name") != "" {
		return at(n, "tables have no schema here: a query reads input (all of it) or batch (the micro-batch)")
	}
	name := tableName(n)
	if name == wholeInput || name == microBatch || defined[name] > 0 {
		return nil
	}
	return at(n, fmt.Sprintf("there is no table %s: a query reads input (all of it) or batch (the micro-batch), and nothing else",
		quote(text(n, "table_name"))))
}

func checkTableFunction(n node) error {
	name := strings.ToLower(text(child(n, "function"), "function_name"))
	if tableFunctions[name] {
		return nil
	}
	return at(n, fmt.Sprintf("the table function %s is not allowed: a query reads input (all of it) or batch (the micro-batch), and nothing else", name))
}

// at is a refusal with the place of n.
func at(n node, message string) error {
	r := &Refusal{Message: message, Position: -1}
	if p, err := strconv.Atoi(fmt.Sprint(n["query_location"])); err == nil {
		r.Position = p
	}
	return r
}

// cteNames counts the names that WITH defines, in lower case.
func cteNames(root node) map[string]int {
	names := map[string]int{}
	walk(root, func(n node) bool {
		for _, e := range nodes(child(n, "cte_map"), "map") {
			names[strings.ToLower(text(e, "key"))]++
		}
		return true
	})
	return names
}
