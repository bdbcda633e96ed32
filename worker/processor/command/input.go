package command

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync/atomic"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/format"
	"github.com/millrace/millrace/worker/processor"
	"github.com/millrace/millrace/worker/source"
)

// input is a batch on its way to a program.
type input struct {
	attempt *processor.Attempt
	cancel  context.CancelFunc

	// text is the batch as text; nil when it goes as Arrow records.
	text    io.ReadCloser
	arrow   func(to io.Writer) error
	counter counter
	// file is the one file that the batch is: the program reads it by itself,
	// and text is read only to count.
	file *os.File
	// limit is how far into file there is something to count.
	limit atomic.Int64
	over  atomic.Bool // the program has ended
}

// wanted is the format of a program's standard input.
func (p *program) wanted(in processor.Input) pb.Format {
	want := p.step.GetOptions().GetInputFormat()
	switch {
	case want != pb.Format_FORMAT_UNSPECIFIED:
		return want
	case in.Format == pb.Format_FORMAT_PARQUET || in.Format == pb.Format_FORMAT_ARROW:
		return pb.Format_FORMAT_CSV
	}
	return in.Format
}

// openInput makes a batch ready for a program.
func (p *program) openInput(ctx context.Context, a *processor.Attempt, in processor.Input) (*input, error) {
	ctx, cancel := context.WithCancel(ctx)
	i := &input{attempt: a, cancel: cancel}
	want := p.wanted(in)
	if want == pb.Format_FORMAT_ARROW {
		i.arrow = func(to io.Writer) error { return writeArrow(ctx, a, in, to) }
		return i, nil
	}
	header := want == pb.Format_FORMAT_CSV && (in.Format != pb.Format_FORMAT_CSV || in.Csv.GetHeader())
	i.counter = newCounter(in, want, header)
	if want == in.Format && len(in.Parts) == 1 {
		if err := i.openWhole(ctx, in.Parts[0], header); err != nil || i.file != nil {
			return i, err
		}
	}
	if i.text != nil {
		i.text.Close()
	}
	var err error
	if i.text, err = textOf(ctx, a, in, want, header); err != nil {
		cancel()
	}
	return i, err
}

// textOf is a batch as text: as the bytes that it has where it can be.
func textOf(ctx context.Context, a *processor.Attempt, in processor.Input, want pb.Format, header bool) (io.ReadCloser, error) {
	switch {
	case want != in.Format || header:
		return format.Text(ctx, in, want, header, a.Skip)
	case len(in.Parts) == 1:
		return in.Parts[0].Open(ctx)
	}
	return source.Concat(ctx, in.Parts), nil
}

// openWhole opens the one file that a batch is, if the program can read it as
// it lies there.
func (i *input) openWhole(ctx context.Context, part processor.Part, header bool) error {
	if !part.Whole || part.File == nil || part.Open == nil || compressed(part.Name) {
		return nil
	}
	file, err := part.File()
	if err != nil {
		return nil // the source says what is wrong
	}
	if i.text, err = part.Open(ctx); err != nil {
		file.Close()
		i.cancel()
		return err
	}
	start, ok := i.text.(source.Starter)
	info, statErr := file.Stat()
	if !ok || (start.Start() > 0) != header || start.Start() < 0 || statErr != nil || !info.Mode().IsRegular() || !plain(file) {
		file.Close()
		return nil
	}
	if header {
		i.counter.skip = 0 // the reader leaves the header out
	}
	i.file = file
	i.limit.Store(info.Size())
	return nil
}

// compressed says whether a name is that of a compressed file.
func compressed(name string) bool {
	for _, suffix := range []string{".gz", ".zst", ".zstd", ".bz2"} {
		if strings.HasSuffix(strings.ToLower(name), suffix) {
			return true
		}
	}
	return false
}

// marks are how files begin that a program can't be given as they are:
// compressed ones, and those with a byte order mark.
var marks = [][]byte{{0x1f, 0x8b}, {0x28, 0xb5, 0x2f, 0xfd}, []byte("BZh"), {0xef, 0xbb, 0xbf}}

// plain says that a file begins as plain text does.
func plain(file *os.File) bool {
	head := make([]byte, 4)
	n, _ := file.ReadAt(head, 0)
	for _, mark := range marks {
		if bytes.HasPrefix(head[:n], mark) {
			return false
		}
	}
	return true
}

// writeTo writes the batch to a program.
func (i *input) writeTo(pipe *os.File) error {
	if i.arrow != nil {
		widen(pipe)
		return i.arrow(pipe)
	}
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	for large := false; ; {
		n, err := i.read(*buffer)
		if n == len(*buffer) && !large {
			large = true
			widen(pipe)
		}
		if _, writeErr := pipe.Write((*buffer)[:n]); writeErr != nil {
			return writeErr
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// read reads text and counts it.
func (i *input) read(p []byte) (int, error) {
	n, err := i.text.Read(p)
	records := i.counter.count(p[:n], errors.Is(err, io.EOF))
	if i.attempt.Read != nil {
		i.attempt.Read(records, int64(n))
	}
	return n, err
}

// follow counts what the program reads by itself.
func (i *input) follow() error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	for read := int64(0); read < i.limit.Load(); {
		n, err := i.read(*buffer)
		read += int64(n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ended says that the program has ended. What it did not read of its file is
// not counted; where it read without moving the file's offset, all of it is.
func (i *input) ended() {
	if i.file == nil {
		i.over.Store(true)
		i.cancel()
		return
	}
	if at, err := i.file.Seek(0, io.SeekCurrent); err == nil && at > 0 {
		i.limit.Store(at)
	}
}

func (i *input) close() {
	i.cancel()
	if i.text != nil {
		i.text.Close()
	}
	if i.file != nil {
		i.file.Close()
	}
}

// counter counts the records in text.
type counter struct {
	dialect *format.Dialect // of CSV; nil for lines
	state   format.State
	skip    int64 // header lines not yet passed
	open    bool  // a record has begun and not ended
}

func newCounter(in processor.Input, want pb.Format, header bool) counter {
	c := counter{}
	if want == pb.Format_FORMAT_CSV {
		dialect := in.Csv
		if in.Format != pb.Format_FORMAT_CSV {
			dialect = nil
		}
		c.dialect = format.NewDialect(dialect)
	}
	if header {
		c.skip = 1
	}
	return c
}

// count is how many records end in text; last says that nothing follows.
func (c *counter) count(text []byte, last bool) (records int64) {
	if n := len(text); n > 0 {
		if c.dialect == nil {
			records = int64(bytes.Count(text, []byte{'\n'}))
		} else {
			scanned := c.dialect.Scan(c.state, text)
			records, c.state = int64(scanned.Records), scanned.End
		}
		c.open = text[n-1] != '\n'
	}
	if last && c.open {
		records, c.open = records+1, false
	}
	skipped := min(c.skip, records)
	c.skip -= skipped
	return records - skipped
}
