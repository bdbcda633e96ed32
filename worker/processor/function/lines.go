package function

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/millrace/millrace/worker/format"
	"github.com/millrace/millrace/worker/processor"
	"github.com/millrace/millrace/worker/source"
)

const (
	// chunkBytes is how much text is read at once. What is kept of a record
	// keeps so much alive.
	chunkBytes = 256 << 10
	minChunk   = 4 << 10
)

// lines cuts text into records.
type lines struct {
	env  *env
	kept bool // never use a chunk again: records may be kept
	each func(record []byte) error
	// split is how long the first record of text is, its newline included; -1
	// when it doesn't end there. Nil for lines.
	split func(text []byte) int

	chunk      []byte
	start, end int   // what of chunk is not yet cut
	read       int64 // bytes read since they were last counted
	records    int64 // records since they were last counted
}

// recordEnd is a split for CSV. Records without quotes are just lines.
func recordEnd(d *format.Dialect) func(text []byte) int {
	return func(text []byte) int {
		end := bytes.IndexByte(text, '\n')
		if end >= 0 && (d.Quote == 0 || bytes.IndexByte(text[:end], d.Quote) < 0) {
			return end + 1
		}
		return d.RecordEnd(text)
	}
}

// begin says where the next text comes from.
func (l *lines) begin(file string, offset int64) { l.env.at = place{file, offset} }

func (l *lines) readPart(ctx context.Context, part processor.Part) error {
	text, err := part.Open(ctx)
	if err != nil {
		return err
	}
	offset := part.Offset
	if s, ok := text.(source.Starter); ok {
		offset = s.Start()
	}
	l.begin(part.Name, offset)
	return errors.Join(l.consume(ctx, text, part.Bytes), text.Close())
}

// consume cuts all of text, of about size bytes, into records.
func (l *lines) consume(ctx context.Context, text io.Reader, size int64) error {
	if len(l.chunk) == 0 {
		l.chunk = make([]byte, min(max(size+size/4, minChunk), chunkBytes))
	}
	for {
		l.room()
		n, err := text.Read(l.chunk[l.end:])
		l.end += n
		l.read += int64(n)
		if fault := l.cut(err == io.EOF); fault != nil {
			return fault
		}
		l.count()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ended(ctx)
		}
	}
}

// count reports what was read.
func (l *lines) count() {
	l.env.Read(l.records, l.read)
	l.records, l.read = 0, 0
}

// room makes room to read into: what is not yet cut moves to the front of a
// chunk, which is a new one where records may be kept, or where one fills it.
func (l *lines) room() {
	if len(l.chunk)-l.end > len(l.chunk)/8 {
		return
	}
	size := chunkBytes
	if left := l.end - l.start; left > size/2 {
		size = 2 * left
	}
	next := l.chunk
	if l.kept || size > len(l.chunk) {
		next = make([]byte, size)
	}
	l.end = copy(next, l.chunk[l.start:l.end])
	l.start, l.chunk = 0, next
}

// cut gives each record at hand to the function; also one without a newline
// when it is the last.
func (l *lines) cut(last bool) error {
	for l.start < l.end {
		text := l.chunk[l.start:l.end]
		size := l.next(text)
		if size < 0 {
			if !last {
				return nil
			}
			size = len(text)
		}
		l.records++
		if err := l.each(trim(text[:size])); err != nil {
			return err
		}
		l.start += size
		if l.env.at.offset >= 0 {
			l.env.at.offset += int64(size)
		}
	}
	return nil
}

func (l *lines) next(text []byte) int {
	if l.split != nil {
		return l.split(text)
	}
	if end := bytes.IndexByte(text, '\n'); end >= 0 {
		return end + 1
	}
	return -1
}

// trim takes the end of the line off.
func trim(line []byte) []byte {
	n := len(line)
	if n == 0 || line[n-1] != '\n' {
		return line
	}
	if n > 1 && line[n-2] == '\r' {
		return line[:n-2]
	}
	return line[:n-1]
}
