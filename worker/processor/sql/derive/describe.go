package derive

import (
	"context"
	"errors"
	"fmt"
	"strings"

	pb "github.com/millrace/millrace/api/millracev1"
)

// describe gives the columns of a query's answer. Both tables stand for an
// empty one of the columns given.
func (d *deriver) describe(ctx context.Context, t *tree, over []*pb.Column) ([]*pb.Column, error) {
	empty, err := d.empty(ctx, over)
	if err != nil {
		return nil, err
	}
	t = t.copy()
	replaceTables(t.root(), func(n node) node {
		r := subqueryRef(copyOf(empty), alias(n))
		r["column_name_alias"] = n["column_name_alias"]
		return r
	})
	query, err := printOne(ctx, d.q, t)
	if err != nil {
		return nil, err
	}
	rows, err := d.q.Rows(ctx, "DESCRIBE "+query)
	if err != nil {
		return nil, refusal(err)
	}
	columns := make([]*pb.Column, len(rows))
	for i, r := range rows {
		columns[i] = &pb.Column{Name: r[0], Type: r[1]}
	}
	return columns, nil
}

// describeText is describe of a query's text.
func (d *deriver) describeText(ctx context.Context, query string, over []*pb.Column) ([]*pb.Column, error) {
	t, err := parse(ctx, d.q, query)
	if err != nil {
		return nil, err
	}
	return d.describe(ctx, t, over)
}

// empty is a SELECT of no rows of the columns given.
func (d *deriver) empty(ctx context.Context, columns []*pb.Column) (node, error) {
	items := make([]string, len(columns))
	for i, c := range columns {
		items[i] = fmt.Sprintf("CAST(NULL AS %s) AS %s", c.GetType(), quote(c.GetName()))
	}
	query := "SELECT " + strings.Join(items, ", ") + " WHERE false"
	if n := d.empties[query]; n != nil {
		return n, nil
	}
	t, err := parse(ctx, d.q, query)
	if err != nil {
		return nil, fmt.Errorf("a table of the input's columns: %w", err)
	}
	d.empties[query] = t.root()
	return t.root(), nil
}

// replaceTables puts something else where input or batch are read, in place.
func replaceTables(root node, with func(n node) node) {
	rewriteNode(root, func(n node) (node, bool) {
		if isTable(n) && isData(n) {
			return with(n), true
		}
		return n, false
	})
}

func isData(n node) bool {
	name := tableName(n)
	return isTable(n) && (name == wholeInput || name == microBatch)
}

// alias is the name by which a query knows a table.
func alias(n node) string {
	if a := text(n, "alias"); a != "" {
		return a
	}
	return text(n, "table_name")
}

// overBatch makes a query read batch where it reads input, in place.
func overBatch(root node) {
	replaceTables(root, func(n node) node {
		n["alias"], n["table_name"] = alias(n), microBatch
		return n
	})
}

// refusal takes what DuckDB says of a query for the query's fault, unless the
// caller gave up.
func refusal(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	message, _, _ := strings.Cut(err.Error(), "\n\nLINE ")
	return &Refusal{Message: strings.TrimSpace(message), Position: -1}
}
