package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/thrift/lib/go/thrift"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// Pages compares the pages of a job's Parquet files with their checksums, where
// their writers gave them any: DuckDB and the Go reader don't. Its zero value is
// ready, and safe for use by several goroutines.
type Pages struct {
	whole sync.Map // of rowGroup: those found undamaged, which batches may share
}

// rowGroup is a row group of a fragment.
type rowGroup struct {
	fragment uint32
	index    int
}

// Check checks the row groups of a split that were not checked before. Files
// without checksums cost one small read. The error is fatal for a damaged page.
func (p *Pages) Check(ctx context.Context, s *pb.Split, o Options) error {
	f := s.GetSource()
	in, err := openChecked(f, o)
	if err != nil {
		return err
	}
	defer in.Close()
	if !hasChecksums(in, f) {
		return nil
	}
	taking := false
	var page *brokenPage
	err = protect(&taking, func() error { return p.checkGroups(ctx, in, s) })
	switch {
	case errors.As(err, &page):
		return processor.Fatal("%s: %v: the file is damaged, fetch it again", f.GetPath(), page)
	case err != nil:
		return brokenFile(f, "Parquet", err)
	}
	return nil
}

// brokenPage is a page that is not what its writer wrote.
type brokenPage struct {
	column string
	at     int64
}

// Error says which page.
func (b *brokenPage) Error() string {
	return fmt.Sprintf("the page of column %q at byte %d does not match its checksum", b.column, b.at)
}

// hasChecksums looks at the first page, which lies behind the file's mark.
// Writers give a checksum to all pages or to none.
func hasChecksums(in File, f *pb.Fragment) bool {
	const mark = 4
	h, err := readPageHeader(bufio.NewReaderSize(io.NewSectionReader(in, mark, f.GetSizeBytes()-mark), 512))
	return err == nil && h.hasCRC
}

func (p *Pages) checkGroups(ctx context.Context, in File, s *pb.Split) error {
	pf, err := file.NewParquetReader(section(in, s.GetSource().GetSizeBytes()))
	if err != nil {
		return err
	}
	groups, _ := rowGroups(pf, s)
	for _, g := range groups {
		key := rowGroup{s.GetFragment(), g}
		if _, whole := p.whole.Load(key); whole {
			continue
		}
		if err := checkGroup(ctx, in, pf.MetaData().RowGroup(g)); err != nil {
			return err
		}
		p.whole.Store(key, nil)
	}
	return nil
}

func checkGroup(ctx context.Context, in File, group *metadata.RowGroupMetaData) error {
	for c := range group.NumColumns() {
		column, err := group.ColumnChunk(c)
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = checkColumn(in, column)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkColumn checks the pages of one column in one row group.
func checkColumn(in File, column *metadata.ColumnChunkMetaData) error {
	at := column.DataPageOffset()
	if d := column.DictionaryPageOffset(); column.HasDictionaryPage() && d > 0 {
		at = min(at, d)
	}
	return checkChain(io.NewSectionReader(in, at, column.TotalCompressedSize()), at, column.PathInSchema().String())
}

// checkChain checks pages that follow each other, the first of which lies at a
// place of the file.
func checkChain(in io.Reader, at int64, column string) error {
	counted := &counter{Reader: in}
	r := bufio.NewReaderSize(counted, 256<<10)
	for {
		start := at + counted.n - int64(r.Buffered())
		if _, err := r.Peek(1); err == io.EOF {
			return nil
		}
		h, err := readPageHeader(r)
		if err != nil {
			return fmt.Errorf("the page of column %q at byte %d: %w", column, start, err)
		}
		sum := crc32.NewIEEE()
		if _, err := io.CopyN(sum, r, int64(h.size)); err != nil {
			return fmt.Errorf("the page of column %q at byte %d: %w", column, start, err)
		}
		if h.hasCRC && sum.Sum32() != h.crc {
			return &brokenPage{column, start}
		}
	}
}

// counter counts what is read.
type counter struct {
	io.Reader
	n int64
}

// Read reads on.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// pageHeader is what of a page's header is needed here.
type pageHeader struct {
	size   int32 // of the page behind it, as it is compressed
	crc    uint32
	hasCRC bool
}

// headerLimits bounds a header, whose statistics may be long, as Arrow's own
// reader does.
var headerLimits = &thrift.TConfiguration{MaxMessageSize: 16 << 20}

var errPageHeader = errors.New("its header can't be read")

// readPageHeader reads a header, and nothing behind it.
func readPageHeader(r *bufio.Reader) (h pageHeader, err error) {
	const sizeField, crcField = 3, 4
	ctx := context.Background() // of a read of a few bytes
	in := thrift.NewTCompactProtocolConf(&thrift.StreamTransport{Reader: r}, headerLimits)
	for {
		_, kind, id, err := in.ReadFieldBegin(ctx)
		switch {
		case err != nil:
			return h, err
		case kind == thrift.STOP && h.size < 0:
			return h, errPageHeader
		case kind == thrift.STOP:
			return h, nil
		case kind == thrift.I32 && id == sizeField:
			h.size, err = in.ReadI32(ctx)
		case kind == thrift.I32 && id == crcField:
			var crc int32
			crc, err = in.ReadI32(ctx)
			h.crc, h.hasCRC = uint32(crc), true
		default:
			err = in.Skip(ctx, kind)
		}
		if err != nil {
			return h, err
		}
	}
}
