package derive

import (
	"context"
	"fmt"
	"strings"

	pb "github.com/millrace/millrace/api/millracev1"
)

// DeriveCarried is Derive over the output of another query, through Carry: the
// batches have the columns of Carry, of the same names, and those given are the
// ones that the user's query sees.
func DeriveCarried(ctx context.Context, q Querier, query string, columns []*pb.Column) (*Derivation, error) {
	wire, err := wired(columns)
	if err != nil {
		return nil, err
	}
	d := &deriver{q: q, columns: columns, carried: wire, empties: map[string]node{}}
	if !sameTypes(columns, wire) {
		t, err := parse(ctx, q, "SELECT "+castList(wire, columns)+" FROM batch")
		if err != nil {
			return nil, err
		}
		d.restored = t.root()
	}
	return derive(ctx, d, query)
}

// Carry makes a query whose answer goes to another query answer in columns that
// carry every value unharmed, and have names of their own. It tells the columns
// as the next query is to see them, and as they cross.
func Carry(query string, columns []*pb.Column) (carrying string, seen, wire []*pb.Column, err error) {
	seen, wire, err = Carried(columns)
	switch {
	case err != nil:
		return "", nil, nil, err
	case sameTypes(columns, wire) && sameNames(columns, wire):
		return query, seen, wire, nil
	}
	return cast(query, columns, wire), seen, wire, nil
}

// Carried are columns as the next query is to see them, and as they cross.
func Carried(columns []*pb.Column) (seen, wire []*pb.Column, err error) {
	seen = distinctNames(columns)
	wire, err = wired(seen)
	return seen, wire, err
}

// distinctNames numbers the columns whose names are taken by one before, as
// DuckDB does.
func distinctNames(columns []*pb.Column) []*pb.Column {
	taken := map[string]bool{}
	for _, c := range columns {
		taken[strings.ToLower(c.GetName())] = false
	}
	out := make([]*pb.Column, len(columns))
	for i, c := range columns {
		name := c.GetName()
		for n := 1; taken[strings.ToLower(name)]; n++ {
			if again := fmt.Sprintf("%s_%d", c.GetName(), n); !hasKey(taken, strings.ToLower(again)) {
				name = again
			}
		}
		taken[strings.ToLower(name)] = true
		out[i] = &pb.Column{Name: name, Type: c.GetType()}
	}
	return out
}

// cast gives a query's answer the names and types that are wanted.
func cast(query string, got, want []*pb.Column) string {
	inner, items := make([]string, len(got)), make([]string, len(got))
	for i, c := range want {
		inner[i] = quote(rowName(i, len(got)))
		items[i] = inner[i] + " AS " + quote(c.GetName())
		if got[i].GetType() != c.GetType() {
			items[i] = fmt.Sprintf("CAST(%s AS %s) AS %s", inner[i], c.GetType(), quote(c.GetName()))
		}
	}
	return fmt.Sprintf("SELECT %s FROM (%s) AS made(%s)", strings.Join(items, ", "), query, strings.Join(inner, ", "))
}
