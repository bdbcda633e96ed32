package source

import (
	"context"
	"io"
	"slices"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/format"
)

const (
	// maxChunk is how far apart the cuts of a large file are, in bytes.
	maxChunk = 1 << 20
	minChunk = 4 << 10
	// manyChunks is about how many cuts a small file gets.
	manyChunks = 256
	// largeFile is a size from which one file is worth several threads.
	largeFile = 8 << 20
)

// IndexRequest says what an index is for.
type IndexRequest struct {
	// Format and Csv as sniffed.
	Format pb.Format
	Csv    *pb.Csv
	// MinBytes is the size below which a file won't be cut, and so needs no
	// index. It is ignored when EveryRecords is set.
	MinBytes int64
	// EveryRecords asks for cuts at every so many records, and for the number
	// of records; 0 for cuts wherever a CSV file may be cut. An empty line
	// counts as a record; the header line doesn't.
	EveryRecords int64
}

// Index finds where fragments may be cut, and sets their Cuts (and Records,
// with EveryRecords). A CSV file without a newline inside quotes may be cut
// anywhere, and gets no cuts; one that has some gets a cut about every MiB
// (closer together in a small one). What can't be cut, or must not since it
// wasn't looked at, is made whole.
func Index(ctx context.Context, fragments []*pb.Fragment, r IndexRequest, o Options) error {
	x := &indexer{ctx: ctx, request: r, options: o, dialect: lines}
	if r.Format == pb.Format_FORMAT_CSV {
		x.dialect = format.NewDialect(r.Csv)
		x.header = r.Csv.GetHeader()
	}
	var small []*pb.Fragment
	for _, f := range fragments {
		switch {
		case !x.wants(f):
		case f.SizeBytes < largeFile || f.Compression != pb.Compression_COMPRESSION_NONE:
			small = append(small, f)
		default:
			if err := x.file(f, o.threads()); err != nil {
				return err
			}
		}
	}
	return each(ctx, len(small), o.threads(), func(i int) error { return x.file(small[i], 1) })
}

// lines is the automaton of text without quotes.
var lines = func() *format.Dialect {
	none := ""
	return format.NewDialect(&pb.Csv{Quote: &none})
}()

type indexer struct {
	ctx     context.Context
	request IndexRequest
	options Options
	dialect *format.Dialect
	header  bool
}

// wants says whether a fragment is to be looked at, and deals with those that
// aren't.
func (x *indexer) wants(f *pb.Fragment) bool {
	n := x.request.EveryRecords
	switch {
	case f.Unit != pb.Unit_UNIT_BYTES && n > 0:
		every(f, n)
		return false
	case f.Unit != pb.Unit_UNIT_BYTES || !isText(x.request.Format):
		return false
	case n > 0:
		return true
	case f.Whole || x.dialect.Quote == 0:
		return false
	}
	if f.SizeBytes < x.request.MinBytes {
		f.Whole = true
		return false
	}
	return true
}

// every cuts rows or inline records at every n, which needs no reading. An
// Arrow file is cut at the first of its own boundaries behind each.
func every(f *pb.Fragment, n int64) {
	var cuts []int64
	if len(f.Cuts) > 0 {
		wanted := n
		for _, c := range f.Cuts {
			if c >= wanted {
				cuts = append(cuts, c)
				wanted = c + n
			}
		}
	} else {
		for c := n; c < f.Extent; c += n {
			cuts = append(cuts, c)
		}
	}
	f.Cuts, f.Whole = cuts, len(cuts) == 0
}

func isText(f pb.Format) bool {
	return f != pb.Format_FORMAT_PARQUET && f != pb.Format_FORMAT_ARROW
}

// file indexes one text file.
func (x *indexer) file(f *pb.Fragment, threads int) error {
	if f.Compression != pb.Compression_COMPRESSION_NONE && f.Compression != pb.Compression_COMPRESSION_UNSPECIFIED {
		return x.compressed(f)
	}
	file, err := openChecked(f, x.options)
	if err != nil {
		return err
	}
	defer file.Close()
	in := newChunked(file, f.SizeBytes)
	if x.request.EveryRecords == 0 {
		quoted, err := in.holds(x.ctx, threads, x.dialect.Quote)
		if err != nil {
			return indexError(f, err)
		}
		if !quoted {
			return verify(file, f) // and so no newline is
		}
	}
	chunks := make([]chunk, in.count)
	err = in.each(x.ctx, threads, func(i int, text []byte) { chunks[i] = x.look(text) })
	if err != nil {
		return indexError(f, err)
	}
	if x.request.EveryRecords > 0 {
		err = x.byRecords(f, in, chunks, threads)
	} else {
		x.byQuotes(f, in, chunks)
	}
	if err != nil {
		return indexError(f, err)
	}
	return verify(file, f)
}

func indexError(f *pb.Fragment, err error) error {
	if err == io.ErrUnexpectedEOF || err == io.EOF {
		return gone(f, "is shorter than when it was listed")
	}
	return err
}

// chunk is what a piece of a file does to each state that it may begin in.
type chunk [format.States]format.Scanned

// look composes the automaton over a piece of text. States that meet in its
// first bytes are followed together from there: most often two remain, that
// of quoted text and that of all other.
func (x *indexer) look(text []byte) chunk {
	const head = 8
	var c chunk
	n := min(head, len(text))
	var met []format.State
	for s := range c {
		c[s] = x.dialect.Scan(format.State(s), text[:n])
		if !slices.Contains(met, c[s].End) {
			met = append(met, c[s].End)
		}
	}
	var rest chunk
	for _, s := range met {
		rest[s] = x.dialect.Scan(s, text[n:])
	}
	for s := range c {
		c[s] = join(c[s], rest[c[s].End], n)
	}
	return c
}

// join is what two neighbouring pieces do, the second n bytes behind the
// first.
func join(a, b format.Scanned, n int) format.Scanned {
	if a.First < 0 && b.First >= 0 {
		a.First = b.First + n
	}
	return format.Scanned{End: b.End, Records: a.Records + b.Records, First: a.First, Inside: a.Inside + b.Inside}
}

// byQuotes cuts behind the start of every chunk, if any newline of the file
// lies in quotes.
func (x *indexer) byQuotes(f *pb.Fragment, in *chunked, chunks []chunk) {
	var cuts []int64
	inside := 0
	s := format.RecordStart
	for i := range chunks {
		here := &chunks[i][s]
		if at := in.cut(i, s, here); at >= 0 && (len(cuts) == 0 || at > cuts[len(cuts)-1]) {
			cuts = append(cuts, at)
		}
		inside += here.Inside
		s = here.End
	}
	if inside == 0 {
		return
	}
	f.Cuts, f.Whole = cuts, len(cuts) == 0
}

// cut is the first start of a record in chunk i; -1 where there is none, or
// none to cut at.
func (in *chunked) cut(i int, s format.State, here *format.Scanned) int64 {
	from, _ := in.bounds(i)
	at := from + int64(here.First)
	switch {
	case i == 0:
		return -1
	case s == format.RecordStart:
		return from
	case here.First < 0 || at >= in.size:
		return -1
	}
	return at
}

// byRecords cuts at every EveryRecords-th record.
func (x *indexer) byRecords(f *pb.Fragment, in *chunked, chunks []chunk, threads int) error {
	n, at := x.request.EveryRecords, x.before()
	s := format.RecordStart
	begins := make([]begin, len(chunks))
	for i := range chunks {
		begins[i] = begin{s, at}
		at += int64(chunks[i][s].Records)
		s = chunks[i][s].End
	}
	found := make([][]int64, len(chunks))
	err := in.each(x.ctx, threads, func(i int, text []byte) {
		from, _ := in.bounds(i)
		found[i] = x.starts(begins[i], text, from, n, in.size)
	})
	if err != nil {
		return err
	}
	f.Cuts = nil
	for _, c := range found {
		f.Cuts = append(f.Cuts, c...)
	}
	f.Whole, f.Records = len(f.Cuts) == 0, total(at, s, in)
	return nil
}

// begin is the state at the start of a chunk, and the index of the last
// record that started before.
type begin struct {
	state  format.State
	record int64
}

// before is the index of the record that starts with the file.
func (x *indexer) before() int64 {
	if x.header {
		return -1
	}
	return 0
}

// total is how many records a file has whose last start, seen or due at its
// end, has index at.
func total(at int64, end format.State, in *chunked) int64 {
	if end == format.RecordStart || in.size == in.base {
		return max(at, 0)
	}
	return at + 1
}

// starts finds the starts of records whose index is a multiple of n.
func (x *indexer) starts(p begin, text []byte, from, n, size int64) []int64 {
	var cuts []int64
	for off := 0; off < len(text); {
		step := min(len(text)-off, 512)
		r := x.dialect.Scan(p.state, text[off:off+step])
		if (p.record+int64(r.Records))/n != p.record/n || p.record < 0 {
			cuts = x.within(p, text[off:off+step], from+int64(off), n, size, cuts)
		}
		p.state, p.record = r.End, p.record+int64(r.Records)
		off += step
	}
	return cuts
}

func (x *indexer) within(p begin, text []byte, from, n, size int64, cuts []int64) []int64 {
	for i, b := range text {
		if p.state = x.dialect.Step(p.state, b); p.state != format.RecordStart {
			continue
		}
		p.record++
		if at := from + int64(i) + 1; p.record > 0 && p.record%n == 0 && at < size {
			cuts = append(cuts, at)
		}
	}
	return cuts
}

// compressed counts the records of a compressed file, which is never cut.
func (x *indexer) compressed(f *pb.Fragment) error {
	f.Whole, f.Cuts = true, nil
	plain := Reader{format: pb.Format_FORMAT_LINES, options: x.options, max: api.DefaultRecordBytes}
	r, err := plain.openStream(f)
	if err != nil {
		return err
	}
	defer r.Close()
	in := &chunked{}
	buf := make([]byte, maxChunk)
	p := begin{format.RecordStart, x.before()}
	for err == nil && x.ctx.Err() == nil {
		var n int
		n, err = r.Read(buf)
		s := x.dialect.Scan(p.state, buf[:n])
		p.state, p.record = s.End, p.record+int64(s.Records)
		in.size += int64(n)
	}
	if err != io.EOF {
		return firstError(err, x.ctx.Err())
	}
	f.Records = total(p.record, p.state, in)
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
