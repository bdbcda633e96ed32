package source

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/format"
)

// extents says how many positions each fragment has, and finds the columns of
// Parquet and Arrow files on the way.
func (s *sniffer) extents() error {
	for i, f := range s.fragments {
		f.Compression = s.traits[i].compression
		f.Whole = f.Whole || f.Compression != pb.Compression_COMPRESSION_NONE
	}
	if isText(s.result.Format) {
		return nil
	}
	schemas := make([][]*pb.Column, len(s.fragments))
	err := eachOne(s.ctx, len(s.fragments), s.options.threads(), func(i int) (err error) {
		schemas[i], err = s.table(i)
		return err
	})
	if err != nil {
		return err
	}
	return s.sameSchemas(schemas)
}

// sameSchemas compares the columns of all files that have any.
func (s *sniffer) sameSchemas(schemas [][]*pb.Column) error {
	leader := -1
	for i, columns := range schemas {
		if columns == nil {
			continue
		}
		if leader < 0 {
			leader, s.result.Columns = i, columns
			continue
		}
		if d := schemaDifference(schemas[leader], columns); d != "" {
			a, b := s.fragments[leader].GetPath(), s.fragments[i].GetPath()
			return &Problem{Kind: Conflict, Path: a, Other: b, Text: fmt.Sprintf("and %s have different columns: %s", b, d)}
		}
	}
	return nil
}

func schemaDifference(a, b []*pb.Column) string {
	names := func(columns []*pb.Column) (out []string) {
		for _, c := range columns {
			out = append(out, c.GetName())
		}
		return out
	}
	if d := difference(names(a), names(b)); d != "" {
		return d
	}
	for i := range a {
		if a[i].GetType() != b[i].GetType() {
			return fmt.Sprintf("%q is %s in one and %s in the other", a[i].GetName(), a[i].GetType(), b[i].GetType())
		}
	}
	return ""
}

// table looks at one Parquet or Arrow file.
func (s *sniffer) table(i int) (columns []*pb.Column, err error) {
	f := s.fragments[i]
	if f.GetSizeBytes() == 0 {
		return nil, &Problem{Kind: Malformed, Path: f.GetPath(), Text: "is empty, and so no " + FormatName(s.result.Format) + " file"}
	}
	in, err := openChecked(f, s.options)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	never := false
	err = protect(&never, func() (err error) {
		switch {
		case s.result.Format == pb.Format_FORMAT_PARQUET:
			columns, err = parquetTable(in, f)
		case s.traits[i].stream || f.GetCompression() != pb.Compression_COMPRESSION_NONE:
			columns, err = s.arrowStream(f)
		default:
			columns, err = arrowTable(in, f)
		}
		return err
	})
	if err != nil {
		return nil, &Problem{Kind: Malformed, Path: f.GetPath(), Text: "can't be read as " + FormatName(s.result.Format), Err: err}
	}
	return columns, nil
}

func parquetTable(in File, f *pb.Fragment) ([]*pb.Column, error) {
	pf, err := file.NewParquetReader(section(in, f.GetSizeBytes()))
	if err != nil {
		return nil, err
	}
	fr, err := pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	schema, err := fr.Schema()
	if err != nil {
		return nil, err
	}
	rows(f, pf.NumRows())
	return columnsOf(schema), nil
}

// rows makes a fragment one of n rows.
func rows(f *pb.Fragment, n int64) {
	f.Unit, f.Extent, f.Records = pb.Unit_UNIT_ROWS, max(n, 1), n
}

// arrowTable gives a file cuts where its record batches meet.
func arrowTable(in File, f *pb.Fragment) ([]*pb.Column, error) {
	counts, err := arrowCounts(in, f.GetSizeBytes())
	if err != nil {
		return nil, err
	}
	fr, err := ipc.NewFileReader(section(in, f.GetSizeBytes()))
	if err != nil {
		return nil, err
	}
	defer fr.Close()
	at := int64(0)
	f.Cuts = nil
	for _, n := range counts {
		if at > 0 && n > 0 {
			f.Cuts = append(f.Cuts, at)
		}
		at += n
	}
	rows(f, at)
	f.Whole = len(f.Cuts) == 0
	return columnsOf(fr.Schema()), nil
}

func (s *sniffer) arrowStream(f *pb.Fragment) ([]*pb.Column, error) {
	f.Whole = true
	in, err := openCompressed(f, s.options)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	r, err := ipc.NewReader(in)
	if err != nil {
		return nil, err
	}
	defer r.Release()
	return columnsOf(r.Schema()), nil
}

func columnsOf(schema *arrow.Schema) []*pb.Column {
	var columns []*pb.Column
	for _, field := range schema.Fields() {
		columns = append(columns, &pb.Column{Name: field.Name, Type: format.TypeName(field.Type)})
	}
	return columns
}
