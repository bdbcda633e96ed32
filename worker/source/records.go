package source

import (
	"context"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// rowsPerBatch is how many rows a record batch read from Parquet has.
const rowsPerBatch = 8 << 10

// guarded yields the records of a fragment's file, between two looks at
// whether it is what was planned. Broken content makes some readers panic:
// that is the file's fault, and its failure; a panic of who takes the records
// is not.
func (r *Reader) guarded(f *pb.Fragment, what string, read func(file File, yield func(arrow.RecordBatch) bool) error) processor.Records {
	return func(yield func(arrow.RecordBatch, error) bool) {
		in, err := openChecked(f, r.options)
		if err != nil {
			yield(nil, err)
			return
		}
		defer in.Close()
		var invalid error
		stopped, taking := false, false
		err = protect(&taking, func() error {
			return read(in, func(b arrow.RecordBatch) bool {
				if err := array.ValidateRecordFull(b); err != nil {
					invalid = err
					return false
				}
				taking = true
				stopped = !yield(b, nil)
				taking = false
				return !stopped
			})
		})
		if stopped {
			return
		}
		if err == nil {
			err = invalid
		}
		if changed := verify(in, f); changed != nil {
			err = changed
		} else if err != nil {
			err = brokenFile(f, what, err)
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

func protect(taking *bool, f func() error) (err error) {
	defer func() {
		if *taking {
			return
		}
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return f()
}

func brokenFile(f *pb.Fragment, what string, err error) error {
	if err == context.Canceled || err == context.DeadlineExceeded {
		return err
	}
	return processor.Fatal("%s: can't be read as %s: %v", f.GetPath(), what, err)
}

func section(f File, size int64) *io.SectionReader { return io.NewSectionReader(f, 0, size) }

// parquet reads the rows of a split.
func (r *Reader) parquet(ctx context.Context, s *pb.Split) processor.Records {
	f := s.GetSource()
	return r.guarded(f, "Parquet", func(in File, yield func(arrow.RecordBatch) bool) error {
		pf, err := file.NewParquetReader(section(in, f.GetSizeBytes()))
		if err != nil {
			return err
		}
		groups, skip := rowGroups(pf, s)
		rest := min(s.GetTo(), pf.NumRows()) - s.GetFrom()
		if len(groups) == 0 || rest <= 0 {
			return nil
		}
		fr, err := pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{BatchSize: rowsPerBatch}, memory.DefaultAllocator)
		if err != nil {
			return err
		}
		rows, err := fr.GetRecordReader(ctx, nil, groups)
		if err != nil {
			return err
		}
		defer rows.Release()
		if skip > 0 {
			if err := rows.SeekToRow(skip); err != nil {
				return err
			}
		}
		return take(ctx, rows.Read, rest, yield)
	})
}

// rowGroups are those that a split touches, and how many rows of the first lie
// before it.
func rowGroups(pf *file.Reader, s *pb.Split) (groups []int, skip int64) {
	at := int64(0)
	for i := range pf.NumRowGroups() {
		n := pf.MetaData().RowGroup(i).NumRows()
		if at < s.GetTo() && at+n > s.GetFrom() {
			if len(groups) == 0 {
				skip = s.GetFrom() - at
			}
			groups = append(groups, i)
		}
		at += n
	}
	return groups, skip
}

// take yields the first rest rows that read reads.
func take(ctx context.Context, read func() (arrow.RecordBatch, error), rest int64, yield func(arrow.RecordBatch) bool) error {
	for rest > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := read()
		if err == io.EOF {
			return fmt.Errorf("%d rows are missing at its end", rest)
		}
		if err != nil {
			return err
		}
		if !slice(b, 0, min(rest, b.NumRows()), yield) {
			return nil
		}
		rest -= b.NumRows()
	}
	return nil
}

// slice yields rows [from, to) of a batch.
func slice(b arrow.RecordBatch, from, to int64, yield func(arrow.RecordBatch) bool) bool {
	if from == 0 && to == b.NumRows() {
		return yield(b)
	}
	part := b.NewSlice(from, to)
	defer part.Release()
	return yield(part)
}

// arrow reads the rows of a split of an IPC file, or a whole IPC stream.
func (r *Reader) arrow(ctx context.Context, s *pb.Split) processor.Records {
	f := s.GetSource()
	if f.GetUnit() == pb.Unit_UNIT_ROWS {
		return r.guarded(f, "Arrow", func(in File, yield func(arrow.RecordBatch) bool) error {
			return arrowRows(ctx, in, s, yield)
		})
	}
	return r.guarded(f, "Arrow", func(_ File, yield func(arrow.RecordBatch) bool) error {
		in, err := openCompressed(f, r.options)
		if err != nil {
			return err
		}
		defer in.Close()
		rows, err := ipc.NewReader(in)
		if err != nil {
			return err
		}
		defer rows.Release()
		for rows.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !yield(rows.RecordBatch()) {
				return nil
			}
		}
		return rows.Err()
	})
}

func arrowRows(ctx context.Context, in File, s *pb.Split, yield func(arrow.RecordBatch) bool) error {
	size := s.GetSource().GetSizeBytes()
	counts, err := arrowCounts(in, size)
	if err != nil {
		return err
	}
	fr, err := ipc.NewFileReader(section(in, size))
	if err != nil {
		return err
	}
	defer fr.Close()
	at := int64(0)
	for i, n := range counts {
		from, to := max(s.GetFrom()-at, 0), min(s.GetTo()-at, n)
		at += n
		if from >= to {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := fr.RecordBatchAt(i)
		if err != nil {
			return err
		}
		more := slice(b, from, to, yield)
		b.Release()
		if !more {
			return nil
		}
	}
	return nil
}
