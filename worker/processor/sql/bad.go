package sql

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/duckdb"
	"github.com/millrace/millrace/worker/format"
)

// maxCheckRounds bounds how often a batch is looked through for bad records; in
// each round some are found, and the next is over what remains.
const maxCheckRounds = 1000

// badMarks are in those of DuckDB's messages that are about the text that it
// read, and not about what a query made of it.
var badMarks = []string{
	"CSV Error on Line", "CSV Parser state machine", "Parallel CSV Reader", "aximum line size",
	"Malformed JSON in file", "JSON transform error in file", "maximum_object_size",
}

// isBad says that a query failed on the text that it read.
func isBad(err error) bool {
	if err == errTooLong {
		return true
	}
	if kind, ok := duckdb.KindOf(err); !ok || kind == duckdb.KindMemory || kind == duckdb.KindInterrupt {
		return false
	}
	return slices.ContainsFunc(badMarks, func(mark string) bool { return strings.Contains(err.Error(), mark) })
}

// badSpan is a bad record's place in the gathered text.
type badSpan struct {
	from, to int
	reason   string
}

// finder looks for the bad records of a batch, with an instance of its own.
type finder struct {
	r    *run
	g    *gathered
	i    *instance
	text []byte
	bad  []badSpan // in order
	last error     // why the query failed
	cuts []int     // starts of records, about csvWindow apart, and the end
	seen int       // up to where the text was looked at since it was forgotten
}

// csvWindow is how much CSV text is tried at a time when bad records are looked
// for, in bytes.
const csvWindow = 32 << 20

// without finds all bad records of a batch whose query failed, reports them,
// and if they may be left out runs the query over the others, which are then
// all that the gathered text has.
func (r *run) without(ctx context.Context, i *instance, g *gathered, first error) error {
	if r.a.Status != nil {
		r.a.Status("looking for bad records")
	}
	checker, err := r.q.engine.open(ctx, inMemory, r.a)
	if err != nil {
		return err
	}
	defer checker.close()
	f := &finder{r: r, g: g, i: checker, text: g.mem.Bytes(), last: first}
	if err := f.find(ctx); err != nil {
		return err
	}
	if len(f.bad) == 0 {
		return first
	}
	if err := f.report(); err != nil {
		return err
	}
	g.mem.Truncate(f.compact())
	if err := g.mem.Seal(); err != nil {
		return err
	}
	g.recount()
	if len(g.mem.Bytes()) == 0 {
		return r.empty(ctx)
	}
	return r.queryText(ctx, i, g)
}

// find finds all bad records.
func (f *finder) find(ctx context.Context) error {
	if f.g.dialect == nil {
		f.scanLines()
		return f.findJSON(ctx)
	}
	f.scanCSV()
	return f.findCSV(ctx)
}

// report reports the bad records in the order of their places.
func (f *finder) report() error {
	for _, bad := range f.bad {
		file, offset := f.g.locate(bad.from)
		err := f.r.a.Skip(&pb.BadRecord{
			File: file, Offset: offset, Record: excerpt(f.text[bad.from:bad.to]), Reason: bad.reason,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// add notes bad records.
func (f *finder) add(bad ...badSpan) {
	f.bad = append(f.bad, bad...)
	slices.SortFunc(f.bad, func(a, b badSpan) int { return cmp.Compare(a.from, b.from) })
	f.bad = slices.CompactFunc(f.bad, func(a, b badSpan) bool { return a.from == b.from })
}

// remainder is text without its bad records.
type remainder struct {
	text []byte
	runs []keptRun
}

// keptRun says that the remainder's text from `at` on is the original's from
// `from` on.
type keptRun struct{ at, from int }

// rest is what remains of a part of the text.
func (f *finder) rest(from, to int) remainder {
	rest := remainder{text: make([]byte, 0, to-from)}
	keep := func(end int) {
		if end > from {
			rest.runs = append(rest.runs, keptRun{len(rest.text), from})
			rest.text = append(rest.text, f.text[from:end]...)
		}
	}
	at, _ := slices.BinarySearchFunc(f.bad, from, func(b badSpan, from int) int { return cmp.Compare(b.from, from) })
	for _, bad := range f.bad[at:] {
		if bad.from >= to {
			break
		}
		keep(bad.from)
		from = bad.to
	}
	keep(to)
	return rest
}

// compact moves the text together, without its bad records, and tells how long
// it is then.
func (f *finder) compact() (to int) {
	from := 0
	for _, bad := range append(f.bad, badSpan{from: len(f.text), to: len(f.text)}) {
		for from < bad.from {
			f.forget(from)
			end := min(from+pieceBytes, bad.from)
			if to == from {
				end = bad.from // it is there already
			} else {
				copy(f.text[to:], f.text[from:end])
			}
			to, from = to+end-from, end
		}
		from = max(from, bad.to)
	}
	f.g.mem.Forget()
	return to
}

// forget lets go of what was looked at, now and then.
func (f *finder) forget(at int) {
	if at < f.seen || at-f.seen > pieceBytes {
		f.seen = at
		f.g.mem.Forget()
	}
}

// original is where a place of the remainder is in the text.
func (r *remainder) original(at int) int {
	i, ok := slices.BinarySearchFunc(r.runs, at, func(k keptRun, at int) int { return cmp.Compare(k.at, at) })
	if !ok {
		i--
	}
	return r.runs[i].from + at - r.runs[i].at
}

// fill makes a file hold text.
func fill(mem *duckdb.MemFile, text []byte) error {
	if err := mem.Reset(); err != nil {
		return err
	}
	space, err := mem.Space(len(text))
	if err != nil {
		return err
	}
	mem.Advance(copy(space, text))
	return mem.Seal()
}

// scanCSV finds the records that DuckDB's reader would not report: too long
// ones, those with an open quote, and carriage returns outside quotes.
func (f *finder) scanCSV() {
	cut := 0
	for from := 0; from < len(f.text); {
		f.forget(from)
		if from-cut >= csvWindow {
			f.cuts, cut = append(f.cuts, from), from
		}
		to, open := f.recordEnd(from)
		if open {
			to = f.lineEnd(from)
			f.add(badSpan{from, to, "a quoted value has no end"})
		} else if reason := f.faultCSV(f.text[from:to]); reason != "" {
			f.bad = append(f.bad, badSpan{from, to, reason})
		}
		from = to
	}
	f.cuts = append(f.cuts, len(f.text))
}

// recordEnd is where the record ends that begins at a place, and whether that
// is the text's end, between quotes.
func (f *finder) recordEnd(from int) (to int, open bool) {
	if n := f.g.dialect.RecordEnd(f.text[from:min(from+usualRecord, len(f.text))]); n >= 0 {
		return from + n, false
	}
	state := format.RecordStart
	for from < len(f.text) {
		f.forget(from)
		end := min(from+usualRecord, len(f.text))
		scan := f.g.dialect.Scan(state, f.text[from:end])
		if scan.First >= 0 {
			return from + scan.First, false
		}
		from, state = end, scan.End
	}
	return from, state == format.Quoted || state == format.Escaped
}

func (f *finder) lineEnd(from int) int {
	if n := bytes.IndexByte(f.text[from:], '\n'); n >= 0 {
		return from + n + 1
	}
	return len(f.text)
}

func (f *finder) faultCSV(record []byte) string {
	if int64(len(record)) > f.r.in.MaxRecordBytes {
		return f.tooLong()
	}
	if reason := widthFault(f.g.dialect, record, len(f.r.columns)); reason != "" {
		return reason
	}
	if f.g.newline == "\n" && bytes.IndexByte(record, '\r') >= 0 && f.strayReturn(record) {
		return "a carriage return stands outside quotes"
	}
	return ""
}

// strayReturn says that a record has a carriage return outside quotes.
func (f *finder) strayReturn(record []byte) bool {
	state := format.RecordStart
	for _, b := range record {
		if b == '\r' && state != format.Quoted && state != format.Escaped {
			return true
		}
		state = f.g.dialect.Step(state, b)
	}
	return false
}

func (f *finder) tooLong() string {
	return "the record is longer than " + strconv.FormatInt(f.r.in.MaxRecordBytes, 10) + " bytes"
}

// findCSV finds the bad records of one window after the other.
func (f *finder) findCSV(ctx context.Context) error {
	from := 0
	for _, to := range f.cuts {
		if err := f.findWithin(ctx, from, to); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// findWithin lets DuckDB note all bad records of what remains of a window, until
// there are none.
func (f *finder) findWithin(ctx context.Context, from, to int) error {
	for range maxCheckRounds {
		f.forget(from)
		rest := f.rest(from, to)
		if len(rest.text) == 0 {
			return nil
		}
		if err := fill(f.i.mem, rest.text); err != nil {
			return err
		}
		if err := f.discard(ctx, rejecting); err != nil {
			return err
		}
		found, err := f.rejects(ctx, &rest)
		if err != nil || len(found) == 0 {
			return err
		}
		f.add(found...)
	}
	return f.last
}

// discard runs the query over the checker's text for its errors alone.
func (f *finder) discard(ctx context.Context, more string) error {
	reader := textReader{path: f.i.mem.Path(), newline: f.g.newline, longest: f.r.in.MaxRecordBytes, more: more}
	if err := f.r.openText(ctx, f.i, reader); err != nil {
		return err
	}
	result, err := f.i.db.Query(ctx, f.r.q.sql)
	if err != nil {
		return err
	}
	defer result.Close()
	for _, err := range result.Records() {
		if err != nil {
			return err
		}
	}
	return nil
}

// rejects are the records that DuckDB noted, each once.
func (f *finder) rejects(ctx context.Context, rest *remainder) ([]badSpan, error) {
	rows, err := f.i.db.Rows(ctx, `SELECT CAST(line_byte_position AS VARCHAR), first(CAST(error_type AS VARCHAR) ORDER BY column_idx),
		first(error_message ORDER BY column_idx) FROM reject_errors GROUP BY line_byte_position`)
	if err != nil {
		return nil, err
	}
	var found []badSpan
	for _, row := range rows {
		at, err := strconv.Atoi(row[0]) // from 1
		if err != nil || at < 1 || at > len(rest.text) {
			return nil, f.last
		}
		found = append(found, f.rejected(rest, at-1, row[1], row[2]))
	}
	return found, f.i.db.Exec(ctx, dropRejects)
}

// rejected is the bad record at a place of the remainder. DuckDB counts the
// empty lines before a record to it.
func (f *finder) rejected(rest *remainder, at int, kind, message string) badSpan {
	lead := len(rest.text[at:]) - len(bytes.TrimLeft(rest.text[at:], "\r\n"))
	from := rest.original(at + lead)
	to := len(f.text)
	if n := f.g.dialect.RecordEnd(f.text[from:]); n >= 0 {
		to = from + n
	}
	if kind == "INVALID ENCODING" || !utf8.Valid(f.text[from:to]) {
		message = "invalid UTF-8"
	}
	return badSpan{from, to, message}
}
