package format

import (
	"bytes"

	pb "github.com/millrace/millrace/api/millracev1"
)

// Dialect is how CSV text is taken apart, as an automaton over bytes. It
// follows DuckDB to the letter, since both must agree on where records end: a
// quote opens a quoted field at a field's start (also behind a single space
// there) and again behind a closing quote; anywhere else it is a
// letter.
type Dialect struct {
	Delimiter byte
	// Quote and Escape are 0 where there is none.
	Quote, Escape byte
	next          [States][256]State
}

// State is where in a record a place in CSV text lies.
type State uint8

// The states. Every newline outside quotes leads to RecordStart.
const (
	// RecordStart is before the first byte of a record.
	RecordStart State = iota
	// FieldStart is behind a delimiter.
	FieldStart
	// FieldSpace is behind one space at the start of a field.
	FieldSpace
	// Unquoted is inside a field without quotes.
	Unquoted
	// Quoted is between quotes.
	Quoted
	// Closed is behind a closing quote (or the first of two that stand for
	// one).
	Closed
	// Escaped is behind an escape between quotes.
	Escaped

	// States is how many there are.
	States = iota
)

// NewDialect makes the automaton of a dialect; absent fields are RFC 4180's.
func NewDialect(c *pb.Csv) *Dialect {
	d := &Dialect{Delimiter: ',', Quote: '"'}
	if s := c.GetDelimiter(); s != "" {
		d.Delimiter = s[0]
	}
	if c != nil && c.Quote != nil {
		d.Quote = first(c.GetQuote())
	}
	d.Escape = d.Quote
	if s := c.GetEscape(); s != "" && d.Quote != 0 {
		d.Escape = s[0]
	}
	d.build()
	return d
}

func first(s string) byte {
	if s == "" {
		return 0
	}
	return s[0]
}

func (d *Dialect) build() {
	for s := range State(States) {
		for b := range 256 {
			d.next[s][b] = d.rule(s, byte(b))
		}
	}
}

func (d *Dialect) rule(s State, b byte) State {
	quote := d.Quote != 0 && b == d.Quote
	switch {
	case s == Escaped:
		return Quoted
	case s == Quoted && quote:
		return Closed
	case s == Quoted && d.Escape != d.Quote && b == d.Escape:
		return Escaped
	case s == Quoted:
		return Quoted
	case b == '\n':
		return RecordStart
	case b == d.Delimiter:
		return FieldStart
	case quote && s != Unquoted:
		return Quoted
	case s == Closed:
		return Closed
	case s <= FieldStart && b == ' ':
		return FieldSpace
	}
	return Unquoted
}

// Step is the state after one byte.
func (d *Dialect) Step(s State, b byte) State { return d.next[s][b] }

// Simple says that a quote is escaped by doubling it, or that there are no
// quotes: Scan leaps through such text.
func (d *Dialect) simple() bool { return d.Escape == d.Quote }

// Scan follows text from a state to the state behind it. It returns also how
// many records start in the text (a start at its very first byte is the
// state's own, and doesn't count), where the first of them starts (-1 for
// none), and how many newlines lie between quotes.
func (d *Dialect) Scan(s State, text []byte) Scanned {
	r := Scanned{First: -1}
	for i := 0; i < len(text); {
		switch {
		case s == Unquoted:
			s, i = d.leapUnquoted(text, i, &r)
		case s == Quoted && d.simple():
			i = d.leapQuoted(text, i, &r)
			if i < len(text) {
				s, i = Closed, i+1
			}
		default:
			s, i = d.stepCounting(s, text, i, &r), i+1
		}
	}
	r.End = s
	return r
}

// Scanned is what Scan found.
type Scanned struct {
	// End is the state behind the text.
	End State
	// Records is how many records start in it, and First where the first of
	// them does; -1 for none.
	Records int
	First   int
	// Inside is how many newlines lie between quotes.
	Inside int
}

func (r *Scanned) starts(at, n int) {
	if r.First < 0 {
		r.First = at
	}
	r.Records += n
}

func (d *Dialect) stepCounting(s State, text []byte, i int, r *Scanned) State {
	next := d.next[s][text[i]]
	if text[i] == '\n' {
		r.newline(next, i)
	}
	return next
}

// leapUnquoted goes from inside an unquoted field to the next quote, or the
// end; what comes between decides what the quote is.
func (d *Dialect) leapUnquoted(text []byte, i int, r *Scanned) (State, int) {
	j := len(text)
	if d.Quote != 0 {
		if k := bytes.IndexByte(text[i:], d.Quote); k >= 0 {
			j = i + k
		}
	}
	segment := text[i:j]
	if n := bytes.Count(segment, newline); n > 0 {
		r.starts(i+bytes.IndexByte(segment, '\n')+1, n)
	}
	s := d.behind(segment)
	if j == len(text) {
		return s, j
	}
	return d.next[s][d.Quote], j + 1
}

var newline = []byte{'\n'}

// behind is the state behind text without quotes that begins inside an
// unquoted field.
func (d *Dialect) behind(text []byte) State {
	n := len(text)
	switch {
	case n == 0:
		return Unquoted
	case text[n-1] == '\n':
		return RecordStart
	case text[n-1] == d.Delimiter:
		return FieldStart
	case text[n-1] == ' ' && n > 1 && (text[n-2] == d.Delimiter || text[n-2] == '\n'):
		return FieldSpace
	}
	return Unquoted
}

func (d *Dialect) leapQuoted(text []byte, i int, r *Scanned) int {
	j := len(text)
	if k := bytes.IndexByte(text[i:], d.Quote); k >= 0 {
		j = i + k
	}
	r.Inside += bytes.Count(text[i:j], newline)
	return j
}

// newline notes a newline at i that led to a state.
func (r *Scanned) newline(to State, i int) {
	if to == RecordStart {
		r.starts(i+1, 1)
	} else {
		r.Inside++
	}
}

// RecordEnd is how many bytes the first record of text has, its newline
// included; -1 when it doesn't end in text.
func (d *Dialect) RecordEnd(text []byte) int {
	s := RecordStart
	for i, b := range text {
		if s = d.next[s][b]; s == RecordStart {
			return i + 1
		}
	}
	return -1
}
