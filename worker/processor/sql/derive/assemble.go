package derive

import (
	"context"
	"slices"

	pb "github.com/millrace/millrace/api/millracev1"
)

// split makes the stages of a query over input, or says by unsplittable why
// there can be only one.
func (d *deriver) split(ctx context.Context, t *tree, whole string, inputs int, result []*pb.Column) (*Derivation, error) {
	if inputs > 1 {
		return nil, unsplittable("the query reads input more than once")
	}
	s, err := d.findSpot(t)
	if err != nil {
		return nil, err
	}
	notRows := d.rowwise(s.target)
	if s.root && notRows == nil && len(list(s.target, "modifiers")) == 0 {
		return d.direct(whole, result, "rows are filtered and projected: each batch is answered on its own, in source order"), nil
	}
	if names := d.perBatch(); len(names) > 0 {
		return nil, unsplittable(names[0] + " gives another value each time")
	}
	columns := result
	if !s.root {
		if columns, err = d.describe(ctx, statement(s.alone()), d.columns); err != nil {
			return nil, unsplittable("its SELECT over input can't stand alone")
		}
	}
	var parts *split
	switch {
	case notRows == nil:
		parts, err = d.splitRows(ctx, s, columns)
	case d.grouped(s.target):
		parts, err = d.splitGroups(ctx, s, columns)
	default:
		err = notRows
	}
	if err != nil {
		return nil, err
	}
	return d.assemble(ctx, t, s, parts, result)
}

// assemble puts the merge in the place of what was split, and has DuckDB check
// all queries against what they are given.
func (d *deriver) assemble(ctx context.Context, t *tree, s *spot, parts *split, result []*pb.Column) (*Derivation, error) {
	s.replace(parts.merge)
	s.forget(t.root())
	merge, err := d.mergeQuery(ctx, t, parts.columns, result)
	if err != nil {
		return nil, err
	}
	out := &Derivation{
		Kind: PartialMerge, Partial: parts.partial, PartialColumns: parts.columns,
		Combine: parts.combine, Merge: merge, MergeColumns: parts.columns,
		ResultColumns: result, Reason: parts.reason, PrefixLimit: parts.prefix,
	}
	if out.Combine == "" {
		return out, nil
	}
	return out, d.verify(ctx, out.Combine, out.PartialColumns, out.PartialColumns)
}

// verify sees to it that a query that was made here answers what it should.
func (d *deriver) verify(ctx context.Context, query string, over, want []*pb.Column) error {
	got, err := d.describeText(ctx, query, over)
	if err != nil {
		return unsplittable("its parts do not bind: " + err.Error())
	}
	if !sameTypes(got, want) {
		return unsplittable("its parts do not keep the types")
	}
	return nil
}

// mergeQuery prints the merge; columns whose types it would change are cast.
func (d *deriver) mergeQuery(ctx context.Context, t *tree, over, result []*pb.Column) (string, error) {
	query, err := printOne(ctx, d.q, t)
	if err != nil {
		return "", err
	}
	got, err := d.describe(ctx, t, over)
	switch {
	case err != nil:
		return "", unsplittable("its merge does not bind: " + err.Error())
	case len(got) != len(result):
		return "", unsplittable("its merge does not keep the columns")
	case sameTypes(got, result) && sameNames(got, result):
		return query, nil
	}
	query = cast(query, got, result)
	return query, d.verify(ctx, query, over, result)
}

func sameNames(a, b []*pb.Column) bool {
	return slices.EqualFunc(a, b, func(a, b *pb.Column) bool { return a.GetName() == b.GetName() })
}
