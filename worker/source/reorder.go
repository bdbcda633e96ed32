package source

import (
	"context"
	"io"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/format"
	"github.com/millrace/millrace/worker/processor"
)

// reorders says that files may have their columns in another order than the
// source.
func (r *Reader) reorders() bool { return r.hasHeader() && r.csv.GetUnionByName() }

// reorder puts the fields of a file's records in the order of the source's
// columns; those that the file lacks are empty. Where the orders agree the
// bytes pass untouched.
func (r *Reader) reorder(ctx context.Context, s *pb.Split, in io.ReadCloser) (io.ReadCloser, error) {
	names, err := r.fileNames(ctx, s)
	if err != nil {
		in.Close()
		return nil, err
	}
	places := make([]int, len(r.columns))
	same := len(names) == len(places)
	for i, c := range r.columns {
		places[i] = place(names, c.GetName())
		same = same && places[i] == i
	}
	if same {
		return in, nil
	}
	start := s.GetFrom()
	if at, ok := in.(Starter); ok {
		start = at.Start()
	}
	return &reordered{
		below: in, in: format.NewCSV(in, r.dialect, start, r.max), reader: r,
		path: s.GetSource().GetPath(), places: places, fields: len(names),
	}, nil
}

// fileNames are the columns of a split's file.
func (r *Reader) fileNames(ctx context.Context, s *pb.Split) ([]string, error) {
	plain := *r
	plain.csv = nil // so that the header is a record
	in, err := plain.openBytes(ctx, &pb.Split{From: 0, To: 1, Source: s.GetSource()})
	if err != nil {
		return nil, err
	}
	defer in.Close()
	c := format.NewCSV(in, r.dialect, 0, r.max)
	if !c.Next() {
		return nil, c.Err()
	}
	var header []string
	for _, f := range c.Fields() {
		header = append(header, string(f))
	}
	return columnNames(header), nil
}

// reordered writes records with their fields in another order.
type reordered struct {
	below   io.Closer
	in      *format.CSV
	reader  *Reader
	path    string
	places  []int
	fields  int
	buf     []byte
	pending []byte
}

// Start is unknown: offsets in another order say nothing.
func (o *reordered) Start() int64 { return -1 }

// Read reads on.
func (o *reordered) Read(p []byte) (int, error) {
	const enough = 64 << 10
	if len(o.pending) == 0 {
		o.buf = o.buf[:0]
		for len(o.buf) < enough && o.in.Next() {
			o.record()
		}
		o.pending = o.buf
	}
	if len(o.pending) == 0 {
		return 0, o.end()
	}
	n := copy(p, o.pending)
	o.pending = o.pending[n:]
	return n, nil
}

// record writes one record. One that has too few or too many fields is
// written so that it still has: it is for the reader to refuse it.
func (o *reordered) record() {
	fields, d := o.in.Fields(), o.reader.dialect
	if o.in.Empty() && o.fields > 1 {
		return
	}
	for len(fields) > o.fields && len(fields[len(fields)-1]) == 0 {
		fields = fields[:len(fields)-1]
	}
	if len(fields) != o.fields || o.in.Bad() != "" {
		o.ragged(fields)
		return
	}
	for i, at := range o.places {
		if i > 0 {
			o.buf = append(o.buf, d.Delimiter)
		}
		if at >= 0 {
			o.buf = d.AppendField(o.buf, fields[at])
		}
	}
	o.buf = append(o.buf, '\n')
}

// ragged writes a record with fewer or more fields than there are columns;
// empty ones at the end would not count.
func (o *reordered) ragged(fields [][]byte) {
	d := o.reader.dialect
	for i, f := range fields {
		if i > 0 {
			o.buf = append(o.buf, d.Delimiter)
		}
		o.buf = d.AppendField(o.buf, f)
	}
	if len(fields) >= len(o.places) {
		o.buf = append(append(o.buf, d.Delimiter), "(too many fields)"...)
	}
	o.buf = append(o.buf, '\n')
}

func (o *reordered) end() error {
	if err := o.in.Err(); err != nil {
		if t, ok := err.(*format.TooLong); ok {
			return processor.Fatal("%s: %v", o.path, t)
		}
		return err
	}
	return io.EOF
}

// Close ends the reading.
func (o *reordered) Close() error { return o.below.Close() }
