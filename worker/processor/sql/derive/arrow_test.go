//go:build cgo

package derive

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
	"github.com/millrace/millrace/worker/processor/sql"
)

// kept is an output of a step, as the next step reads it.
type kept struct{ batches []arrow.RecordBatch }

func (k *kept) Write([]byte) (int, error) { return 0, errors.New("bytes where records are meant") }

func (k *kept) WriteRecords(b arrow.RecordBatch) error {
	b.Retain()
	k.batches = append(k.batches, b)
	return nil
}

func (k *kept) part() processor.Part {
	return processor.Part{Records: func(context.Context) processor.Records {
		return func(yield func(arrow.RecordBatch, error) bool) {
			for _, b := range k.batches {
				if !yield(b, nil) {
					return
				}
			}
		}
	}}
}

// viaArrow answers a query by its partial and merge with the very steps and
// record batches of a job.
func (w *world) viaArrow(ctx context.Context, d *Derivation) (*answer, error) {
	var partials []*kept
	for _, b := range w.cut() {
		if err := w.batch(b); err != nil {
			return nil, err
		}
		result, err := w.db.Query(ctx, d.Partial)
		if err != nil {
			return nil, err
		}
		k := &kept{}
		for batch, err := range result.Records() {
			if err != nil {
				return nil, err
			}
			_ = k.WriteRecords(batch)
		}
		result.Close()
		partials = append(partials, k)
	}
	if d.Combine != "" && len(partials) > 2 {
		k, err := w.step(ctx, d.Combine, d.PartialColumns, partials[:2])
		if err != nil {
			return nil, err
		}
		partials = append([]*kept{k}, partials[2:]...)
	}
	return w.mergeStep(ctx, d, partials)
}

func (w *world) step(ctx context.Context, query string, columns []*pb.Column, parts []*kept) (*kept, error) {
	step, err := sql.New(&pb.SqlStep{Query: query, Columns: columns}, sql.Options{TempDir: w.t.TempDir()})
	if err != nil {
		return nil, err
	}
	defer step.Close()
	in := processor.Input{Format: pb.Format_FORMAT_ARROW, Columns: columns, MaxRecordBytes: 1 << 20}
	for _, k := range parts {
		in.Parts = append(in.Parts, k.part())
	}
	out := &kept{}
	a := &processor.Attempt{
		Threads: 1, MemoryBytes: 256 << 20,
		Read: func(int64, int64) {}, Status: func(string) {}, Count: func(string, int64) {},
	}
	return out, step.Run(ctx, a, in, out)
}

func (w *world) mergeStep(ctx context.Context, d *Derivation, parts []*kept) (*answer, error) {
	query := "SELECT coalesce(CAST(COLUMNS(*) AS VARCHAR), '<NULL>') FROM (" + d.Merge + ")"
	out, err := w.step(ctx, query, d.MergeColumns, parts)
	if err != nil {
		return nil, fmt.Errorf("merge over Arrow: %w", err)
	}
	got := &answer{}
	for _, c := range d.ResultColumns {
		got.columns = append(got.columns, []string{c.GetName(), c.GetType()})
	}
	for _, b := range out.batches {
		for i := range int(b.NumRows()) {
			row := make([]string, b.NumCols())
			for j := range row {
				row[j] = b.Column(j).ValueStr(i)
			}
			got.rows = append(got.rows, row)
		}
	}
	return got, nil
}
