package format

import (
	"bytes"
	"io"
)

// CSV reads delimited text record by record, as its Dialect takes it apart.
type CSV struct {
	buffer
	dialect *Dialect
	raw     []byte
	offset  int64
	fields  [][]byte
	scratch []byte // the values of fields that aren't as they are written
	ends    []int  // where each value ends in scratch
	bad     string
}

// NewCSV reads records of at most limit bytes; start is the offset of the
// first.
func NewCSV(in io.Reader, d *Dialect, start, limit int64) *CSV {
	return &CSV{buffer: newBuffer(in, start, limit), dialect: d}
}

// Next moves to the next record; false at the end, and at a failure. An empty
// line is a record of one empty field.
func (c *CSV) Next() bool {
	c.bad = ""
	n, ok := c.record()
	if !ok {
		return false
	}
	if int64(n) > c.limit+1 {
		c.err = &TooLong{Offset: c.at, Limit: c.limit}
		c.a = c.b
		return false
	}
	c.offset = c.at
	c.raw = c.use(n)
	c.split()
	return true
}

// record finds the end of the next record: its length with its newline.
func (c *CSV) record() (n int, ok bool) {
	s := RecordStart
	for seen := 0; ; {
		text := c.text()
		if n, s = c.end(text, seen, s); n >= 0 {
			return n, true
		}
		seen = len(text)
		if c.more() {
			continue
		}
		if c.failure() != nil || seen == 0 {
			return 0, false
		}
		if s == Quoted || s == Escaped {
			c.bad = "a quote is never closed"
		}
		return seen, true
	}
}

// end looks for a record's end behind seen bytes; -1 when there is none yet.
func (c *CSV) end(text []byte, seen int, s State) (int, State) {
	d := c.dialect
	rest := text[seen:]
	nl := bytes.IndexByte(rest, '\n')
	line := rest
	if nl >= 0 {
		line = rest[:nl+1]
	}
	quiet := d.Quote == 0 || bytes.IndexByte(line, d.Quote) < 0
	if nl >= 0 && quiet && s != Quoted && s != Escaped {
		return seen + nl + 1, RecordStart
	}
	for i, b := range rest {
		if s = d.next[s][b]; s == RecordStart {
			return seen + i + 1, s
		}
	}
	return -1, s
}

// split takes the record apart.
func (c *CSV) split() {
	line := c.raw
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	line = dropCR(line)
	c.fields = c.fields[:0]
	if c.dialect.Quote != 0 && bytes.IndexByte(line, c.dialect.Quote) >= 0 {
		c.splitQuoted(line)
		return
	}
	for {
		i := bytes.IndexByte(line, c.dialect.Delimiter)
		if i < 0 {
			break
		}
		c.fields = append(c.fields, line[:i])
		line = line[i+1:]
	}
	c.fields = append(c.fields, line)
}

func (c *CSV) splitQuoted(line []byte) {
	d, s := c.dialect, RecordStart
	c.scratch, c.ends = c.scratch[:0], c.ends[:0]
	spaces := 0
	for i, b := range line {
		next := d.next[s][b]
		switch next {
		case FieldStart:
			c.ends = append(c.ends, len(c.scratch))
		case FieldSpace, Unquoted:
			c.scratch = append(c.scratch, b)
		case Quoted:
			c.quoted(s, b, i > 0 && line[i-1] == d.Quote, spaces)
			spaces = 0
		case Closed:
			if s == Closed && b == ' ' {
				spaces++
			} else if s == Closed {
				c.complain()
			}
		}
		s = next
	}
	c.ends = append(c.ends, len(c.scratch))
	from := 0
	for _, end := range c.ends {
		c.fields = append(c.fields, c.scratch[from:end])
		from = end
	}
}

// quoted adds a byte that led into quotes, or kept there.
func (c *CSV) quoted(from State, b byte, doubled bool, spaces int) {
	switch from {
	case Quoted, Escaped:
		c.scratch = append(c.scratch, b)
	case FieldSpace: // the space before an opening quote is no content
		c.scratch = c.scratch[:len(c.scratch)-1]
	case Closed:
		for range spaces {
			c.scratch = append(c.scratch, ' ')
		}
		if doubled && spaces == 0 {
			c.scratch = append(c.scratch, b)
		}
	}
}

func (c *CSV) complain() {
	if c.bad == "" {
		c.bad = "there is text behind a closing quote"
	}
}

// Fields are the record's values. They are valid until Next.
func (c *CSV) Fields() [][]byte { return c.fields }

// Empty says that the record is an empty line.
func (c *CSV) Empty() bool {
	return len(c.fields) == 1 && len(dropCR(bytes.TrimSuffix(c.raw, newline))) == 0
}

// Raw is the record as it is written, with its newline. It is valid until
// Next.
func (c *CSV) Raw() []byte { return c.raw }

// Offset is where the record starts.
func (c *CSV) Offset() int64 { return c.offset }

// Bad says why the record breaks the rules of quoting; empty when it doesn't.
func (c *CSV) Bad() string { return c.bad }

// Err is what went wrong: *TooLong, or the reader's error.
func (c *CSV) Err() error { return c.failure() }

// AppendField appends a value as d writes it: quoted where it has to be.
func (d *Dialect) AppendField(b, value []byte) []byte {
	if !d.needsQuotes(value) {
		return append(b, value...)
	}
	b = append(b, d.Quote)
	for _, v := range value {
		if v == d.Quote || v == d.Escape {
			b = append(b, d.Escape)
		}
		b = append(b, v)
	}
	return append(b, d.Quote)
}

func (d *Dialect) needsQuotes(value []byte) bool {
	if d.Quote == 0 || len(value) == 0 {
		return false
	}
	for _, v := range value {
		if v == d.Delimiter || v == d.Quote || v == '\n' || v == '\r' {
			return true
		}
	}
	return false
}
