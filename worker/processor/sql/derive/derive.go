// Package derive turns a user's query over the table `input` into the queries
// that give the same answer batch by batch: a partial query for each
// micro-batch, a query that combines neighbouring partials into one, and a
// merge query over what is left. It decides which queries may be split, by an
// allow-list of parse trees; everything else is answered in one batch, with the
// reason told. DuckDB parses and prints the SQL; nothing here runs over the
// user's data, reads files, or decides how the input is cut.
//
// The merge gives the columns, types and values that DuckDB gives over the whole
// input. Three things depend on the cut, as in DuckDB on its threads: the last
// digits of sums of floats (and of what is made of such sums), which of several
// equal rows arg_min, arg_max, any_value, DISTINCT (0.0 and -0.0) or a LIMIT
// without a total order takes (the first in source order, while the parts are
// read in that order), and whether a sum of HUGEINT or DECIMAL(38) that leaves
// its type on the way fails. An average may differ from DuckDB's in its last
// digit, however the input is cut. Clocks are read once, while planning.
package derive

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	pb "github.com/millrace/millrace/api/millracev1"
)

// Querier asks DuckDB. Arguments are bound as VARCHAR parameters (`?`), every
// value comes back as text, NULL as the empty string.
type Querier interface {
	Rows(ctx context.Context, query string, args ...string) ([][]string, error)
}

// Kind is how a query is answered.
type Kind int

// The kinds, from the least split to the most.
const (
	// One runs the query once, over the whole input.
	One Kind = iota
	// Direct runs the query over each batch; the outputs in source order are
	// the answer.
	Direct
	// PartialMerge runs a partial query over each batch, and a merge once over
	// all partials.
	PartialMerge
)

// String names the kind.
func (k Kind) String() string {
	return [...]string{"one", "direct", "partial+merge"}[k]
}

// Derivation is a query as stages. Its queries read the table `batch`.
type Derivation struct {
	// Kind says which of the queries are set.
	Kind Kind
	// Partial runs over each batch of the input (Direct, PartialMerge). Its
	// `batch` has the columns of the input.
	Partial string
	// PartialColumns are what Partial answers. Their types are such that Arrow
	// carries every value unharmed.
	PartialColumns []*pb.Column
	// Combine makes of several neighbouring partials, one after the other, one
	// partial of the same columns (PartialMerge). It may be applied to any
	// runs of neighbours, any number of times, in a tree. It is empty where a
	// mere concatenation does the same.
	Combine string
	// Merge makes the answer: of all partials (PartialMerge), or of the whole
	// input (One). It runs once, also over no rows at all.
	Merge string
	// MergeColumns are the columns of Merge's `batch`.
	MergeColumns []*pb.Column
	// Whole is the user's query over one batch that is all of the input. It
	// gives the answer whatever the kind.
	Whole string
	// ResultColumns are the columns of the answer.
	ResultColumns []*pb.Column
	// PerMicroBatch says that the query reads `batch`: what it answers depends
	// on where batches begin and end.
	PerMicroBatch bool
	// Reason says in a sentence why the query is split so.
	Reason string
	// PrefixLimit is set when the first so many rows of the partials, in
	// source order, are enough for the merge: later batches need not run.
	PrefixLimit *int64
	// PerBatch names functions in the query whose values differ from batch to
	// batch (random and the like).
	PerBatch []string
}

// Refusal is the error for a query that is wrong in itself: another try would
// meet it again. Its message is DuckDB's own, or says what to do.
type Refusal struct {
	// Message is what was wrong.
	Message string
	// Position is the byte of the query where it was found, -1 if unknown.
	Position int
}

// Error is the refusal's message.
func (r *Refusal) Error() string { return r.Message }

func refuse(format string, args ...any) error {
	return &Refusal{Message: fmt.Sprintf(format, args...), Position: -1}
}

// deriver is what one derivation knows.
type deriver struct {
	q Querier
	// columns are those of the input, and carried are those of its batches:
	// the same, or such as Carry makes.
	columns, carried []*pb.Column
	// restored is the input's columns out of a batch's; nil where they are the
	// same.
	restored node
	natures  natures
	// empties are tables without rows, by the query that makes them.
	empties map[string]node
	// renamed says that the answer's names are not those that the tree gives.
	renamed bool
}

// Derive makes the stages of a user's query over `input`, whose columns are
// given, or over `batch`. A query that is wrong in itself is a *Refusal.
func Derive(ctx context.Context, q Querier, query string, columns []*pb.Column) (*Derivation, error) {
	return derive(ctx, &deriver{q: q, columns: columns, carried: columns, empties: map[string]node{}}, query)
}

func derive(ctx context.Context, d *deriver, query string) (*Derivation, error) {
	q, columns := d.q, d.columns
	t, err := parse(ctx, q, query)
	if err != nil {
		return nil, err
	}
	inputs, batches, err := check(t.root())
	switch {
	case err != nil:
		return nil, err
	case inputs == 0 && batches == 0:
		return nil, refuse("the query reads no data: write FROM input (all of it) or FROM batch (each micro-batch)")
	case inputs > 0 && batches > 0:
		return nil, refuse("the query reads both input and batch: write FROM input (all of it) or FROM batch (each micro-batch)")
	}
	if d.natures, err = lookUp(ctx, q, t.root()); err != nil {
		return nil, err
	}
	if err := freeze(ctx, q, t, d.taken(t.root())); err != nil {
		return nil, err
	}
	result, err := d.describe(ctx, t, columns)
	if err != nil {
		return nil, err
	}
	if err := d.nameAsWritten(ctx, query, t, result); err != nil {
		return nil, err
	}
	whole, err := d.whole(ctx, t.copy(), result)
	if err != nil {
		return nil, err
	}
	var out *Derivation
	if batches > 0 {
		out = d.direct(whole, result, "the query reads batch: each micro-batch is answered on its own")
	} else if out, err = d.overInput(ctx, t, whole, inputs, result); err != nil {
		return nil, err
	}
	out.Whole, out.PerBatch, out.PerMicroBatch = whole, d.perBatch(), batches > 0
	return out, nil
}

// taken are names that mean a column: of the input, or one that the query
// makes.
func (d *deriver) taken(root node) map[string]bool {
	taken := map[string]bool{}
	for _, c := range d.columns {
		taken[strings.ToLower(c.GetName())] = true
	}
	walk(root, func(n node) bool {
		taken[strings.ToLower(text(n, "alias"))] = true
		for _, v := range list(n, "column_name_alias") {
			taken[strings.ToLower(fmt.Sprint(v))] = true
		}
		return true
	})
	return taken
}

func (d *deriver) overInput(ctx context.Context, t *tree, whole string, inputs int, result []*pb.Column) (*Derivation, error) {
	out, err := d.split(ctx, t, whole, inputs, result)
	var why unsplittable
	if errors.As(err, &why) {
		return &Derivation{
			Kind: One, Merge: whole, MergeColumns: d.carried, ResultColumns: result,
			Reason: "one batch: " + string(why),
		}, nil
	}
	return out, err
}

// perBatch are the functions that give other values in each batch.
func (d *deriver) perBatch() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(d.natures)) {
		if d.natures[name] == volatile {
			names = append(names, name)
		}
	}
	return names
}

func (d *deriver) direct(whole string, result []*pb.Column, reason string) *Derivation {
	return &Derivation{
		Kind: Direct, Partial: whole, PartialColumns: result, ResultColumns: result, Reason: reason,
	}
}

// whole is the user's query over batch.
func (d *deriver) whole(ctx context.Context, t *tree, result []*pb.Column) (string, error) {
	d.overBatch(t.root())
	query, err := printOne(ctx, d.q, t)
	if err != nil || !d.renamed {
		return query, err
	}
	return cast(query, result, result), nil
}
