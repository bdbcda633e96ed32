package sql

import (
	"bytes"
	"context"
	"io"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// lineColumns are the columns of text lines.
var lineColumns = []*pb.Column{
	{Name: "line", Type: "VARCHAR"},
	{Name: "file", Type: "VARCHAR"},
	{Name: "offset", Type: "BIGINT"},
}

// lineSchema has the file as a dictionary of one: it is the same for a whole
// record batch.
var lineSchema = arrow.NewSchema([]arrow.Field{
	{Name: "line", Type: arrow.BinaryTypes.String},
	{Name: "file", Type: fileType},
	{Name: "offset", Type: arrow.PrimitiveTypes.Int64},
}, nil)

var fileType = &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}

// linesRead is how much text becomes one record batch, unless one line is
// longer.
const linesRead = 1 << 20

// lines streams the lines of all parts. DuckDB's CSV reader can't be told to
// leave a line alone whatever bytes it holds, so the lines are found here.
func (r *run) lines(ctx context.Context) processor.Records {
	return func(yield func(arrow.RecordBatch, error) bool) {
		l := &liner{r: r, buffer: make([]byte, linesRead)}
		for _, part := range r.in.Parts {
			if !l.part(ctx, part, yield) {
				return
			}
		}
	}
}

// liner makes record batches of lines.
type liner struct {
	r      *run
	name   string
	at     int64  // where buffer begins in the file; -1 where that says nothing
	buffer []byte // text that was read
	held   int    // how much of it there is
}

// starter is a part's text that knows where it begins in its file.
type starter interface{ Start() int64 }

// part streams the lines of one part; false when nobody wants more.
func (l *liner) part(ctx context.Context, part processor.Part, yield func(arrow.RecordBatch, error) bool) bool {
	in, err := part.Open(ctx)
	if err != nil {
		return yield(nil, err)
	}
	defer in.Close()
	l.name, l.at, l.held = part.Name, part.Offset, 0
	if s, ok := in.(starter); ok {
		l.at = s.Start()
	}
	for end := false; !end; {
		n, err := io.ReadFull(in, l.buffer[l.held:])
		l.held += n
		end = err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !end {
			yield(nil, err)
			return false
		}
		batch, err := l.take(end)
		if err != nil {
			yield(nil, err)
			return false
		}
		if batch == nil {
			continue
		}
		more := yield(batch, nil)
		batch.Release()
		if !more {
			return false
		}
	}
	return true
}

// take makes a batch of the whole lines that are held, and of the rest at the
// end.
func (l *liner) take(end bool) (arrow.RecordBatch, error) {
	text := l.buffer[:l.held]
	if !end {
		text = text[:bytes.LastIndexByte(text, '\n')+1]
	}
	if int64(len(text)) == 0 {
		return nil, l.widen(end)
	}
	batch, err := l.batch(text)
	rest := copy(l.buffer, l.buffer[len(text):l.held])
	l.held = rest
	if l.at >= 0 {
		l.at += int64(len(text))
	}
	return batch, err
}

// widen makes room for a line that is longer than the buffer.
func (l *liner) widen(end bool) error {
	if end || l.held < len(l.buffer) {
		return nil
	}
	if int64(l.held) > l.r.in.MaxRecordBytes {
		return l.tooLong()
	}
	l.buffer = append(l.buffer, make([]byte, len(l.buffer))...)
	return nil
}

func (l *liner) tooLong() error {
	return processor.Fatal("%s: the line at byte %d is longer than %d bytes: raise max_record_bytes", l.name, l.at, l.r.in.MaxRecordBytes)
}

// batch makes a batch of text that is whole lines, the last of which may lack
// its newline. The lines are put next to each other in memory of their own, as
// Arrow wants them.
func (l *liner) batch(text []byte) (arrow.RecordBatch, error) {
	if !utf8.Valid(text) {
		return l.careful(text)
	}
	b := newLineBatch(l, len(text))
	for rest := text; len(rest) > 0; {
		line, after, _ := bytes.Cut(rest, newline)
		if int64(len(line)) > l.r.in.MaxRecordBytes {
			return nil, l.tooLong()
		}
		b.add(line, len(text)-len(rest))
		rest = after
	}
	l.r.read(int64(len(b.offsets)), int64(len(text)))
	return b.finish(), nil
}

// careful makes a batch of text that holds bad lines, leaving them out if that
// is allowed.
func (l *liner) careful(text []byte) (arrow.RecordBatch, error) {
	b := newLineBatch(l, len(text))
	for rest := text; len(rest) > 0; {
		line, after, _ := bytes.Cut(rest, newline)
		if !utf8.Valid(line) {
			if err := l.bad(line, len(text)-len(rest)); err != nil {
				return nil, err
			}
		} else {
			b.add(line, len(text)-len(rest))
		}
		rest = after
	}
	l.r.read(int64(len(b.offsets)), int64(len(text)))
	return b.finish(), nil
}

func (l *liner) bad(line []byte, at int) error {
	return l.r.a.Skip(&pb.BadRecord{
		File: l.name, Offset: l.offset(at), Record: excerpt(line), Reason: "invalid UTF-8",
	})
}

// offset in the file of a place in the buffer.
func (l *liner) offset(at int) int64 {
	if l.at < 0 {
		return -1
	}
	return l.at + int64(at)
}

var newline = []byte{'\n'}

// lineBatch is a batch that is being made.
type lineBatch struct {
	l       *liner
	bytes   []byte
	ends    []int32
	offsets []int64
}

func newLineBatch(l *liner, size int) *lineBatch {
	lines := size/32 + 1
	return &lineBatch{
		l: l, bytes: make([]byte, 0, size),
		ends: append(make([]int32, 0, lines+1), 0), offsets: make([]int64, 0, lines),
	}
}

// add adds a line, without the carriage return that ends it.
func (b *lineBatch) add(line []byte, at int) {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	b.bytes = append(b.bytes, line...)
	b.ends = append(b.ends, int32(len(b.bytes)))
	b.offsets = append(b.offsets, b.l.offset(at))
}

// finish is the batch; the caller releases it.
func (b *lineBatch) finish() arrow.RecordBatch {
	n := len(b.offsets)
	line := array.NewData(arrow.BinaryTypes.String, n, []*memory.Buffer{
		nil, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(b.ends)), memory.NewBufferBytes(b.bytes),
	}, nil, 0, 0)
	offset := array.NewData(arrow.PrimitiveTypes.Int64, n, []*memory.Buffer{
		nil, memory.NewBufferBytes(arrow.Int64Traits.CastToBytes(b.offsets)),
	}, nil, 0, 0)
	return array.NewRecordBatch(lineSchema, []arrow.Array{
		array.MakeFromData(line), fileColumn(b.l.name, n), array.MakeFromData(offset),
	}, int64(n))
}

// fileColumn is a column that has the same name in each of n rows.
func fileColumn(name string, n int) arrow.Array {
	names := array.NewStringBuilder(memory.DefaultAllocator)
	names.Append(name)
	dictionary := names.NewArray()
	defer dictionary.Release()
	indices := array.NewData(arrow.PrimitiveTypes.Int8, n, []*memory.Buffer{nil, memory.NewBufferBytes(make([]byte, n))}, nil, 0, 0)
	return array.NewDictionaryArray(fileType, array.MakeFromData(indices), dictionary)
}
