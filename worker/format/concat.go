package format

import (
	"context"
	"io"
	"sort"

	"github.com/millrace/millrace/worker/processor"
)

// Concatenation is the text of many parts as one stream: each part's records,
// with a newline added after a part that lacks its last one. A Read fills its
// whole buffer as long as there is more, and a part's bytes go straight into
// it.
type Concatenation struct {
	ctx   context.Context
	parts []processor.Part
	runs  []run // of the parts opened so far
	in    io.ReadCloser
	at    int64 // bytes read so far
	last  byte
}

// run is where a part's text begins, in the concatenation and in its file.
type run struct {
	at, start int64
}

// starter is text that knows where in its file it begins; -1 where that says
// nothing.
type starter interface{ Start() int64 }

// Concat starts a concatenation of text parts; Close it.
func Concat(ctx context.Context, parts []processor.Part) *Concatenation {
	return &Concatenation{ctx: ctx, parts: parts}
}

// Read reads on; io.EOF after the last part.
func (c *Concatenation) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		m, err := c.read(p[n:])
		n += m
		c.at += int64(m)
		if err == io.EOF && n > 0 {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// read reads on in a part, or moves to the next.
func (c *Concatenation) read(p []byte) (int, error) {
	if c.in == nil {
		return 0, c.next()
	}
	n, err := c.in.Read(p)
	if n > 0 {
		c.last = p[n-1]
	}
	if err != io.EOF {
		return n, err
	}
	if n == len(p) {
		return n, nil // the end comes again, with room for a newline
	}
	if c.last != '\n' {
		p[n] = '\n'
		n++
	}
	err = c.in.Close()
	c.in = nil
	return n, err
}

func (c *Concatenation) next() error {
	i := len(c.runs)
	if i == len(c.parts) {
		return io.EOF
	}
	in, err := c.parts[i].Open(c.ctx)
	if err != nil {
		return err
	}
	start := c.parts[i].Offset
	if s, ok := in.(starter); ok {
		start = s.Start()
	}
	c.in, c.last = in, '\n'
	c.runs = append(c.runs, run{c.at, start})
	return nil
}

// Close ends the reading. What was read so far can still be located.
func (c *Concatenation) Close() error {
	if c.in == nil {
		return nil
	}
	in := c.in
	c.in = nil
	return in.Close()
}

// Locate tells which part an offset of the concatenation lies in, and where in
// the part's file (decompressed) that is; -1 where that says nothing. Offsets
// that were not read yet are taken to lie in the part read last.
func (c *Concatenation) Locate(offset int64) (part int, inFile int64) {
	part = sort.Search(len(c.runs), func(i int) bool { return c.runs[i].at > offset }) - 1
	if part < 0 {
		return 0, -1
	}
	r := c.runs[part]
	if r.start < 0 {
		return part, -1
	}
	return part, r.start + offset - r.at
}
