package sql

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"sort"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/duckdb"
	"github.com/millrace/millrace/worker/format"
	"github.com/millrace/millrace/worker/processor"
)

// gathered is the text of all parts in one file, and where it came from.
type gathered struct {
	mem     *duckdb.MemFile
	parts   []processor.Part
	where   *format.Concatenation
	columns int
	dialect *format.Dialect // of CSV
	stats   duckdb.TextStats
	lines   lineMeter
	crlf    int64  // carriage returns before a newline
	last    byte   // of the text that was looked at
	newline string // what ends the records of CSV; empty where DuckDB finds it
	dropped []int  // where carriage returns were left out
}

// gatherStep is how much text is read at a time: what fits into a processor's
// cache, where it is looked at before it goes.
const gatherStep = 256 << 10

// gather copies the text of all parts into the file, once.
func (r *run) gather(ctx context.Context, mem *duckdb.MemFile) (*gathered, error) {
	if err := mem.Reset(); err != nil {
		return nil, err
	}
	total := 0
	for _, part := range r.in.Parts {
		total += int(part.Bytes) + 1
	}
	// One more byte than there is, so that the end shows in the same read.
	if err := mem.Reserve(total + 1); err != nil {
		return nil, err
	}
	g := &gathered{lines: lineMeter{limit: r.in.MaxRecordBytes}, mem: mem, parts: r.in.Parts, columns: len(r.columns), where: format.Concat(ctx, r.in.Parts)}
	if r.in.Format == pb.Format_FORMAT_CSV {
		g.dialect = format.NewDialect(r.in.Csv)
	}
	err := g.read()
	if err == nil {
		err = mem.Seal()
	}
	if err == nil && g.dialect != nil {
		g.unify()
		err = mem.Seal()
	}
	if err != nil {
		g.where.Close()
	}
	return g, err
}

// read copies the text and looks at it on the way.
func (g *gathered) read() error {
	for {
		space, err := g.mem.Space(gatherStep)
		if err != nil {
			return err
		}
		n, err := g.where.Read(space[:gatherStep])
		g.look(space[:n])
		g.mem.Advance(n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// unify makes all records end alike, since DuckDB refuses a text where they do
// not: parts with different newlines, or without a last one, lie here side by
// side.
func (g *gathered) unify() {
	text := g.mem.Bytes()
	g.newline = "\n"
	if g.stats.CarriageReturns == 0 {
		return
	}
	lf, crlf := int(g.stats.Newlines), int(g.crlf)
	switch {
	case lf == 1 && bytes.HasSuffix(text, newline) && int(g.stats.CarriageReturns) > crlf:
		g.newline = "" // an old Mac's file, perhaps
		g.mem.Truncate(len(text) - 1)
	case lf == crlf && lf > 0:
		g.newline = "\r\n"
	case lf == crlf+1 && crlf > 0 && !bytes.HasSuffix(text, []byte("\r\n")):
		g.newline = "\r\n"
		g.mem.Truncate(len(text) - 1) // the newline that only the last record has
	case crlf > 0:
		g.drop(text)
	}
	if len(g.mem.Bytes()) != len(text) {
		g.recount()
	}
}

// drop leaves out the carriage returns that end records.
func (g *gathered) drop(text []byte) {
	state, to, looked := format.RecordStart, 0, 0
	for from := 0; from < len(text); {
		if from-looked > pieceBytes {
			looked = from
			g.mem.Forget()
		}
		end := from + bytes.IndexByte(text[from:], '\n') + 1
		if end == from {
			end = len(text)
		}
		line := text[from:end]
		state = g.dialect.Scan(state, line).End
		from = end
		if state == format.RecordStart && bytes.HasSuffix(line, []byte("\r\n")) {
			to += copy(text[to:], line[:len(line)-2])
			g.dropped = append(g.dropped, to)
			text[to] = '\n'
			to++
			continue
		}
		to += copy(text[to:], line)
	}
	g.mem.Truncate(to)
}

// locate tells in which file, and where in it, a place of the text lies.
func (g *gathered) locate(at int) (file string, offset int64) {
	if len(g.parts) == 0 {
		return "", -1
	}
	part, offset := g.where.Locate(int64(at + sort.SearchInts(g.dropped, at)))
	return g.parts[part].Name, offset
}

// count counts the records: the newlines outside quotes. Where a quote stands
// for itself, the dialect says which those are.
func (g *gathered) count() int64 {
	text := g.mem.Bytes()
	n := g.stats.Newlines
	if g.dialect != nil && g.dialect.Quote != 0 && g.stats.Quotes > 0 {
		n -= g.stats.QuotedNewlines
		if g.stats.OddQuotes || g.dialect.Escape != g.dialect.Quote {
			n = g.scanned()
		}
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		n++
	}
	if g.columns == 1 && g.dialect != nil {
		return n // an empty line is a NULL
	}
	return n - g.emptyLines()
}

// scanned counts the records by the dialect.
func (g *gathered) scanned() (n int64) {
	state := format.RecordStart
	for piece := range g.pieces(0) {
		scan := g.dialect.Scan(state, piece)
		n, state = n+int64(scan.Records), scan.End
	}
	return n
}

// emptyLines counts the lines without anything in them, which DuckDB skips.
func (g *gathered) emptyLines() int64 {
	text := g.mem.Bytes()
	n := g.stats.EmptyLines
	if g.stats.OddQuotes {
		n = g.pairs("\n\n")
		if bytes.HasPrefix(text, newline) {
			n++
		}
	}
	if g.stats.CarriageReturns > 0 {
		n += g.pairs("\n\r\n")
		if bytes.HasPrefix(text, []byte("\r\n")) {
			n++
		}
	}
	return n
}

// pairs counts how often newlines follow each other in the whole text.
func (g *gathered) pairs(pair string) (n int64) {
	for piece := range g.pieces(len(pair) - 1) {
		n += pairs(piece, pair)
	}
	return n
}

// pairs counts how often newlines follow each other in the way given, each of
// which may be the first of one and the second of another.
func pairs(text []byte, pair string) (n int64) {
	for {
		i := bytes.Index(text, []byte(pair))
		if i < 0 {
			return n
		}
		n++
		text = text[i+len(pair)-1:]
	}
}

// recount looks at the text again, once it is another.
func (g *gathered) recount() {
	g.stats, g.lines, g.crlf, g.last = duckdb.TextStats{}, lineMeter{limit: g.lines.limit}, 0, 0
	for piece := range g.pieces(0) {
		for step := range slices.Chunk(piece, gatherStep) {
			g.look(step)
		}
	}
}

// pieceBytes is how much of the text is looked at before it is forgotten again.
const pieceBytes = 16 << 20

// pieces gives the text piece by piece, each with some bytes more of the next.
func (g *gathered) pieces(more int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		text := g.mem.Bytes()
		for from := 0; from < len(text); from += pieceBytes {
			ok := yield(text[from:min(from+pieceBytes+more, len(text))])
			g.mem.Forget()
			if !ok {
				return
			}
		}
	}
}

// look looks at a piece of the text.
func (g *gathered) look(text []byte) {
	if len(text) == 0 {
		return
	}
	g.lines.add(text)
	if g.dialect == nil {
		g.stats.Add(text, 0, 0) // quotes don't matter in JSON lines
		return
	}
	returns := g.stats.CarriageReturns
	g.stats.Add(text, g.dialect.Quote, g.dialect.Delimiter)
	if g.stats.CarriageReturns > returns {
		g.crlf += int64(bytes.Count(text, []byte("\r\n")))
	}
	if g.last == '\r' && text[0] == '\n' {
		g.crlf++
	}
	g.last = text[len(text)-1]
}
