// Package derive turns a user's query over the table `input` into the queries
// that give the same answer batch by batch: a partial query for each
// micro-batch, a query that combines neighbouring partials into one, and a
// merge query over what is left. It decides which queries may be split, by an
// allow-list of parse trees; everything else is answered in one batch, with the
// reason told. DuckDB parses and prints the SQL; nothing here runs over the
// user's data, reads files, or decides how the input is cut.
package derive

import (
	"context"
	"fmt"

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
	// ResultColumns are the columns of the answer.
	ResultColumns []*pb.Column
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
