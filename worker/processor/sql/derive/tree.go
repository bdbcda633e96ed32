package derive

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// node is a part of DuckDB's parse tree: an object as json_serialize_sql writes
// it. Numbers stay json.Number, since some need all 64 bits.
type node = map[string]any

// tree is a whole statement.
type tree struct {
	document node
}

// root is the statement's query node.
func (t *tree) root() node {
	statement, _ := list(t.document, "statements")[0].(node)
	return child(statement, "node")
}

func (t *tree) setRoot(n node) {
	statement, _ := list(t.document, "statements")[0].(node)
	statement["node"] = n
}

// copy is a deep copy.
func (t *tree) copy() *tree { return &tree{document: copyOf(t.document)} }

// parse gives the tree of one SELECT statement. Everything else is refused.
func parse(ctx context.Context, q Querier, query string) (*tree, error) {
	rows, err := q.Rows(ctx, "SELECT json_serialize_sql(CAST(? AS VARCHAR))", query)
	if err != nil {
		return nil, refusal(err)
	}
	document, err := decode(rows[0][0])
	if err != nil {
		return nil, fmt.Errorf("read the parse tree: %w", err)
	}
	if failed, _ := document["error"].(bool); failed {
		return nil, parseError(document)
	}
	switch n := len(list(document, "statements")); {
	case n == 0:
		return nil, refuse("the query is empty: write a SELECT over input or batch")
	case n > 1:
		return nil, refuse("%d statements where one SELECT is meant: remove all but one", n)
	}
	return &tree{document: document}, nil
}

func parseError(document node) error {
	if text(document, "error_type") == "not implemented" {
		return refuse("only a SELECT statement can be run over input or batch")
	}
	position, err := strconv.Atoi(text(document, "position"))
	if err != nil {
		position = -1
	}
	return &Refusal{Message: "Parser Error: " + text(document, "error_message"), Position: position}
}

func decode(document string) (node, error) {
	d := json.NewDecoder(strings.NewReader(document))
	d.UseNumber()
	var n node
	return n, d.Decode(&n)
}

func encode(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("a parse tree holds what JSON can't: %v", err))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// printed turns trees back into SQL, all in one query.
func printed(ctx context.Context, q Querier, trees ...*tree) ([]string, error) {
	if len(trees) == 0 {
		return nil, nil
	}
	calls := make([]string, len(trees))
	documents := make([]string, len(trees))
	for i, t := range trees {
		calls[i] = "json_deserialize_sql(CAST(? AS JSON))"
		documents[i] = encode(t.document)
	}
	rows, err := q.Rows(ctx, "SELECT "+strings.Join(calls, ", "), documents...)
	if err != nil {
		return nil, fmt.Errorf("print the query: %w", err)
	}
	return rows[0], nil
}

func printOne(ctx context.Context, q Querier, t *tree) (string, error) {
	texts, err := printed(ctx, q, t)
	if err != nil {
		return "", err
	}
	return texts[0], nil
}

// printExpressions turns expressions into SQL.
func printExpressions(ctx context.Context, q Querier, expressions []node) ([]string, error) {
	trees := make([]*tree, len(expressions))
	for i, e := range expressions {
		bare := copyOf(e)
		if class(bare) != "LAMBDA" {
			bare["alias"] = ""
		}
		trees[i] = statement(selectNode([]any{bare}, node{"type": "EMPTY", "alias": "", "sample": nil}))
	}
	texts, err := printed(ctx, q, trees...)
	for i := range texts {
		texts[i] = strings.TrimPrefix(texts[i], "SELECT ")
	}
	return texts, err
}

func statement(query node) *tree {
	return &tree{document: node{
		"error":      false,
		"statements": []any{node{"node": query, "named_param_map": []any{}}},
	}}
}

func selectNode(items []any, from node) node {
	return node{
		"type": "SELECT_NODE", "modifiers": []any{}, "cte_map": node{"map": []any{}},
		"select_list": items, "from_table": from, "where_clause": nil,
		"group_expressions": []any{}, "group_sets": []any{},
		"aggregate_handling": "STANDARD_HANDLING", "having": nil, "sample": nil, "qualify": nil,
	}
}

func column(names ...string) node {
	parts := make([]any, len(names))
	for i, n := range names {
		parts[i] = n
	}
	return node{"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "column_names": parts}
}

func integer(n int) node {
	return node{
		"class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "",
		"value": node{
			"type": node{"id": "INTEGER", "type_info": nil}, "is_null": false,
			"value": json.Number(strconv.Itoa(n)),
		},
	}
}

func subqueryRef(query node, alias string) node {
	return node{
		"type": "SUBQUERY", "alias": alias, "sample": nil, "column_name_alias": []any{},
		"subquery": node{"node": query, "named_param_map": []any{}},
	}
}

func child(n node, key string) node {
	c, _ := n[key].(node)
	return c
}

func list(n node, key string) []any {
	l, _ := n[key].([]any)
	return l
}

// nodes are the objects of a list.
func nodes(n node, key string) []node {
	var out []node
	for _, v := range list(n, key) {
		if c, ok := v.(node); ok {
			out = append(out, c)
		}
	}
	return out
}

func text(n node, key string) string {
	s, _ := n[key].(string)
	return s
}

func class(n node) string { return text(n, "class") }

func kind(n node) string { return text(n, "type") }

// names are a column reference's parts.
func names(ref node) []string {
	var out []string
	for _, v := range list(ref, "column_names") {
		s, _ := v.(string)
		out = append(out, s)
	}
	return out
}

func copyOf(n node) node {
	c, _ := copyValue(n).(node)
	return c
}

func copyValue(v any) any {
	switch v := v.(type) {
	case node:
		c := make(node, len(v))
		for k, e := range v {
			c[k] = copyValue(e)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, e := range v {
			c[i] = copyValue(e)
		}
		return c
	default:
		return v
	}
}

// quote writes a name as an identifier.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoteText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
