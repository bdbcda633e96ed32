package planner

import (
	"context"
	"errors"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
	"github.com/millrace/millrace/worker/processor/sql"
	"github.com/millrace/millrace/worker/processor/sql/derive"
)

// addQuery adds the stages of a query.
func (b *builder) addQuery(ctx context.Context, s *pb.Stage, i int) error {
	if err := b.queryable(ctx, i); err != nil {
		return err
	}
	d, err := b.derive(ctx, s.GetSql())
	if err != nil {
		return b.queryError(s, err)
	}
	for _, name := range d.PerBatch {
		b.plan.Notes = append(b.plan.Notes, "stage "+b.name+": "+name+"() is called anew in each batch, and again when a batch is tried again")
	}
	switch {
	case b.lone:
		return b.addLast(d.Whole, d, "")
	case d.Kind == derive.Direct:
		b.visible = b.visible || d.PerMicroBatch
		return b.addLast(d.Partial, d, d.Reason)
	case d.Kind == derive.PartialMerge:
		return b.addSplit(d)
	default:
		b.collect("")
		return b.addLast(d.Whole, d, d.Reason)
	}
}

// queryable sees to it that the columns that a query reads are known.
func (b *builder) queryable(ctx context.Context, i int) error {
	switch {
	case i == 0:
		if err := b.typeColumns(ctx); err != nil {
			return err
		}
		b.flow.columns = b.plan.GetColumns()
	case b.flow.format == pb.Format_FORMAT_LINES:
		b.flow.columns = sql.LineColumns()
	case len(b.flow.columns) == 0:
		return processor.Fatal("stage %s can't query the output of the stage before: its columns are not known while planning. "+
			"Let that stage print lines, which a query sees as the columns line, file and offset", b.name)
	}
	return nil
}

// derive has a query derived over what the steps so far make.
func (b *builder) derive(ctx context.Context, query string) (*derive.Derivation, error) {
	engine, err := b.engine()
	if err != nil {
		return nil, err
	}
	if _, err := engine.Check(ctx, query, b.flow.columns); err != nil {
		return nil, err
	}
	if b.flow.carried {
		return derive.DeriveCarried(ctx, engine, query, b.flow.columns)
	}
	return derive.Derive(ctx, engine, query, b.flow.columns)
}

func (b *builder) queryError(s *pb.Stage, err error) error {
	var refused *derive.Refusal
	if errors.As(err, &refused) {
		err = processor.Fatal("%s", refused.Message)
	}
	var known *processor.Failure
	if errors.As(err, &known) && len(b.spec.GetStages()) > 1 {
		return processor.Fatal("stage %s: %s", b.name, known.Error())
	}
	return err
}

// batchColumns are the columns that the table `batch` of the next query has.
func (b *builder) batchColumns() ([]*pb.Column, error) {
	if !b.flow.carried {
		return b.flow.columns, nil
	}
	_, wire, err := derive.Carried(b.flow.columns)
	return wire, err
}

// addLast adds the query whose answer is the stage's.
func (b *builder) addLast(query string, d *derive.Derivation, reason string) error {
	columns, err := b.batchColumns()
	if err != nil {
		return processor.Fatal("stage %s: %v", b.name, err)
	}
	return b.answer(query, columns, d, reason)
}

// answer adds a query over a table of the columns given. Where another query
// reads its answer, that is made fit to cross.
func (b *builder) answer(query string, columns []*pb.Column, d *derive.Derivation, reason string) error {
	step := &pb.SqlStep{Query: query, Columns: columns, Result: d.ResultColumns}
	out := flow{format: pb.Format_FORMAT_ARROW, columns: d.ResultColumns}
	b.open()
	if b.next.GetSql() != "" {
		carrying, seen, wire, err := derive.Carry(query, d.ResultColumns)
		if err != nil {
			return processor.Fatal("stage %s: its answer can't be queried again: %v", b.name, err)
		}
		step.Query, step.Result = carrying, wire
		out.columns, out.carried = seen, true
	}
	b.flow = out
	explain(b.addSQL(step), reason)
	return nil
}

func (b *builder) addSQL(step *pb.SqlStep) *pb.StagePlan {
	return b.add(&pb.Step{Processor: &pb.Step_Sql{Sql: step}}, "sql")
}

// addSplit adds a stage of partials and one that merges them.
func (b *builder) addSplit(d *derive.Derivation) error {
	columns, err := b.batchColumns()
	if err != nil {
		return processor.Fatal("stage %s: %v", b.name, err)
	}
	b.open()
	b.flow = flow{format: pb.Format_FORMAT_ARROW, columns: d.PartialColumns}
	stage := b.addSQL(&pb.SqlStep{Query: d.Partial, Columns: columns, Result: d.PartialColumns})
	explain(stage, d.Reason)
	stage.PrefixLimit = d.PrefixLimit
	if d.Combine != "" {
		stage.Combine = &pb.Step{Processor: &pb.Step_Sql{Sql: &pb.SqlStep{
			Query: d.Combine, Columns: d.PartialColumns, Result: d.PartialColumns,
		}}}
	}
	b.end()
	return b.answer(d.Merge, d.MergeColumns, d, "one batch: the partials are merged")
}
