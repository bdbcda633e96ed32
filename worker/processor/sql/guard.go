package sql

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/millrace/millrace/worker/duckdb"
	"github.com/millrace/millrace/worker/processor"
)

// guard refuses queries that are more than one SELECT over the batch, once for
// a stage. A locked instance alone is not enough: some table functions change
// the instance for the batches to come, or tell about it.
type guard struct {
	once      sync.Once
	err       error
	recursive bool // a recursive query may read its input again and again
}

// check looks at the query's parse tree.
func (g *guard) check(ctx context.Context, db *duckdb.DB, query string) error {
	g.once.Do(func() {
		var t *tree
		if t, g.err = parse(ctx, db, query); g.err == nil {
			g.err, g.recursive = t.refusal(), t.recursive
		}
	})
	return g.err
}

// tableFunctions are those that depend on their arguments alone.
var tableFunctions = []string{
	"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree",
}

// scalarFunctions are those that do not, or that have an effect.
var scalarFunctions = []string{
	"write_log", "nextval", "currval", "current_setting", "getvariable", "getenv", "json_execute_serialized_sql",
}

// tree is what a parse tree says about what the query reads.
type tree struct {
	tables    []string // by name, schemas included
	ctes      []string
	functions []string // table functions
	scalars   []string
	recursive bool
}

// parse lets DuckDB parse one SELECT. A query that is none is refused with
// DuckDB's own words.
func parse(ctx context.Context, db *duckdb.DB, query string) (*tree, error) {
	if strings.IndexByte(query, 0) >= 0 {
		return nil, processor.Fatal("the query holds a NUL byte")
	}
	rows, err := db.Rows(ctx, "SELECT json_serialize_sql(CAST(? AS VARCHAR))", query)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Error      bool              `json:"error"`
		Message    string            `json:"error_message"`
		Type       string            `json:"error_type"`
		Position   json.Number       `json:"position"`
		Statements []json.RawMessage `json:"statements"`
	}
	if err := json.Unmarshal([]byte(rows[0][0]), &answer); err != nil {
		return nil, fmt.Errorf("read DuckDB's parse tree: %w", err)
	}
	switch {
	case answer.Error && answer.Type == "parser":
		return nil, syntaxError(query, answer.Message, answer.Position)
	case answer.Error:
		return nil, processor.Fatal("only a SELECT can be run here, not %s (%s)", firstWord(query), answer.Message)
	case len(answer.Statements) != 1:
		return nil, processor.Fatal("the query must be one statement, not %d", len(answer.Statements))
	}
	var node any
	if err := json.Unmarshal(answer.Statements[0], &node); err != nil {
		return nil, fmt.Errorf("read DuckDB's parse tree: %w", err)
	}
	t := &tree{}
	t.walk(node)
	return t, nil
}

// firstWord is what a query asks for: COPY, ATTACH.
func firstWord(query string) string {
	if words := strings.Fields(query); len(words) > 0 {
		return strings.ToUpper(words[0])
	}
	return "nothing"
}

// walk visits every node.
func (t *tree) walk(node any) {
	switch n := node.(type) {
	case []any:
		for _, child := range n {
			t.walk(child)
		}
	case map[string]any:
		t.visit(n)
		for _, child := range n {
			t.walk(child)
		}
	}
}

// visit notes what one node says.
func (t *tree) visit(n map[string]any) {
	switch text(n, "type") {
	case "BASE_TABLE":
		t.tables = append(t.tables, qualified(n))
	case "SHOW_REF":
		if name := text(n, "table_name"); name != "" {
			t.tables = append(t.tables, strings.Trim(name, `"`))
		}
	case "TABLE_FUNCTION":
		if f, ok := n["function"].(map[string]any); ok {
			t.functions = append(t.functions, text(f, "function_name"))
		}
	case "RECURSIVE_CTE_NODE":
		t.recursive = true
		t.ctes = append(t.ctes, text(n, "cte_name"))
	case "FUNCTION":
		t.scalars = append(t.scalars, text(n, "function_name"))
	}
	if _, ok := n["key"]; ok { // an entry of a map of CTEs
		t.ctes = append(t.ctes, text(n, "key"))
	}
}

// qualified is a table's name, with catalog and schema where it has them.
func qualified(n map[string]any) string {
	var parts []string
	for _, key := range []string{"catalog_name", "schema_name", "table_name"} {
		if part := text(n, key); part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ".")
}

func text(n map[string]any, key string) string {
	s, _ := n[key].(string)
	return s
}

// refusal is why the query may not run; nil when it may.
func (t *tree) refusal() error {
	for _, name := range t.tables {
		if !t.readable(name) {
			return processor.Fatal("a query sees its input and nothing else: it can't read %q", name)
		}
	}
	for _, name := range t.functions {
		if !slices.Contains(tableFunctions, strings.ToLower(name)) {
			return processor.Fatal("a query sees its input and nothing else: it can't call %s()", name)
		}
	}
	for _, name := range t.scalars {
		if slices.Contains(scalarFunctions, strings.ToLower(name)) {
			return processor.Fatal("a query depends on its input alone: it can't call %s()", name)
		}
	}
	return nil
}

// readable says that a name is the batch, by either of its names, or a CTE.
func (t *tree) readable(name string) bool {
	return strings.EqualFold(name, "batch") || strings.EqualFold(name, "input") ||
		slices.ContainsFunc(t.ctes, func(cte string) bool { return strings.EqualFold(cte, name) })
}

// syntaxError shows the place in the query, as DuckDB would.
func syntaxError(query, message string, position json.Number) error {
	at, err := position.Int64()
	if err != nil || at < 0 || at > int64(len(query)) {
		return processor.Fatal("%s", message)
	}
	start := strings.LastIndexByte(query[:at], '\n') + 1
	line := query[start:]
	if end := strings.IndexByte(line, '\n'); end >= 0 {
		line = line[:end]
	}
	head := fmt.Sprintf("LINE %d: ", strings.Count(query[:at], "\n")+1)
	caret := strings.Repeat(" ", len(head)+len([]rune(query[start:at]))) + "^"
	return processor.Fatal("Parser Error: %s\n\n%s%s\n%s", message, head, strings.ReplaceAll(line, "\t", " "), caret)
}

// trim is a query without the semicolons that end it.
func trim(query string) string { return strings.TrimRight(query, "; \t\r\n") }
