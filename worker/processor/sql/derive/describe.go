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
func (d *deriver) overBatch(root node) {
	replaceTables(root, func(n node) node {
		if d.restored != nil {
			r := subqueryRef(copyOf(d.restored), alias(n))
			r["column_name_alias"] = n["column_name_alias"]
			return r
		}
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

// nameAsWritten gives columns the names that the query's own text makes. The
// tree's differ from them only where there are lambdas and subqueries, which it
// prints anew.
func (d *deriver) nameAsWritten(ctx context.Context, query string, t *tree, columns []*pb.Column) error {
	if !anywhere(t.root(), isClass("LAMBDA")) && !anywhere(t.root(), isClass("SUBQUERY")) {
		return nil
	}
	items := make([]string, len(d.columns))
	for i, c := range d.columns {
		items[i] = fmt.Sprintf("CAST(NULL AS %s) AS %s", c.GetType(), quote(c.GetName()))
	}
	empty := "(SELECT " + strings.Join(items, ", ") + " WHERE false)"
	rows, err := d.q.Rows(ctx, fmt.Sprintf("DESCRIBE WITH input AS %s, batch AS %s SELECT * FROM (\n%s\n)",
		empty, empty, strings.TrimRight(query, "; \t\r\n")))
	if err != nil || len(rows) != len(columns) {
		return ctx.Err() // the tree's names will do
	}
	seen := map[string]bool{}
	for i, c := range columns {
		if !seen[strings.ToLower(c.GetName())] {
			seen[strings.ToLower(c.GetName())] = true
			d.renamed = d.renamed || c.GetName() != rows[i][0]
			c.Name = rows[i][0]
		}
	}
	return nil
}

// cantWrite makes one batch of a query whose merge DuckDB can't parse.
func cantWrite(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return unsplittable("its merge can't be written: " + err.Error())
}
