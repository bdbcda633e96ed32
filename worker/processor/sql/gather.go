package sql

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sort"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/duckdb"
	"github.com/millrace/millrace/worker/format"
	"github.com/millrace/millrace/worker/processor"
)

// gathered is the text of all parts in one file in memory, and where it came
// from.
type gathered struct {
	mem     *duckdb.MemFile
	parts   []processor.Part
	where   *format.Concatenation
	columns int
	dialect *format.Dialect // of CSV
	stats   duckdb.TextStats
	newline string // what ends the records of CSV; empty where DuckDB finds it
	dropped []int  // where carriage returns were left out
}

// gatherStep is how much text is read at a time: what fits into a processor's
// cache, where it is looked at before it goes.
const gatherStep = 256 << 10

// gather copies the text of all parts into the file, once.
func (r *run) gather(ctx context.Context, mem *duckdb.MemFile) (*gathered, error) {
	mem.Reset()
	total := 0
	for _, part := range r.in.Parts {
		total += int(part.Bytes) + 1
	}
	// One more byte than there is, so that the end shows in the same read.
	if _, err := mem.Space(total + 1); err != nil {
		return nil, err
	}
	g := &gathered{mem: mem, parts: r.in.Parts, columns: len(r.columns), where: format.Concat(ctx, r.in.Parts)}
	if r.in.Format == pb.Format_FORMAT_CSV {
		g.dialect = format.NewDialect(r.in.Csv)
	}
	if err := g.read(); err != nil {
		g.where.Close()
		return nil, err
	}
	if g.dialect != nil {
		g.unify()
	}
	return g, mem.Seal()
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
	lf, crlf := int(g.stats.Newlines), bytes.Count(text, []byte("\r\n"))
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
	state, to := format.RecordStart, 0
	for from := 0; from < len(text); {
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
			n = int64(g.dialect.Scan(format.RecordStart, text).Records)
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

// emptyLines counts the lines without anything in them, which DuckDB skips.
func (g *gathered) emptyLines() int64 {
	text := g.mem.Bytes()
	n := g.stats.EmptyLines
	if g.stats.OddQuotes {
		n = pairs(text, "\n\n")
		if bytes.HasPrefix(text, newline) {
			n++
		}
	}
	if g.stats.CarriageReturns > 0 {
		n += pairs(text, "\n\r\n")
		if bytes.HasPrefix(text, []byte("\r\n")) {
			n++
		}
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
	g.stats = duckdb.TextStats{}
	g.look(g.mem.Bytes())
}

// look looks at a piece of the text.
func (g *gathered) look(text []byte) {
	if g.dialect == nil {
		g.stats.Add(text, 0, 0) // quotes don't matter in JSON lines
		return
	}
	g.stats.Add(text, g.dialect.Quote, g.dialect.Delimiter)
}
