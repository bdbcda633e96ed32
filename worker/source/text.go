package source

import (
	"bytes"
	"context"
	"io"
	"sync"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// headSize is how much of a file's start is looked at together: the byte order
// mark and the header line.
const headSize = 64 << 10

var heads = sync.Pool{New: func() any {
	b := make([]byte, headSize)
	return &b
}}

func isBOM(b []byte) bool { return string(b[:min(3, len(b))]) == "\xef\xbb\xbf" }

// isUTF16 knows UTF-16 by the mark at its start.
func isUTF16(b []byte) bool {
	return len(b) >= 2 && (b[0] == 0xff && b[1] == 0xfe || b[0] == 0xfe && b[1] == 0xff)
}

// isBareUTF16 knows Latin text in UTF-16 without a mark: every other byte is
// zero.
func isBareUTF16(b []byte) bool {
	const least, most = 8, 64
	b = b[:min(len(b)&^1, most)]
	if len(b) < least {
		return false
	}
	var zero [2]int
	for i, c := range b {
		if c == 0 {
			zero[i%2]++
		}
	}
	return zero[0] == 0 && zero[1] == len(b)/2 || zero[1] == 0 && zero[0] == len(b)/2
}

func utf16Error(path string) error {
	return processor.Fatal("%s: is UTF-16 text, which isn't read: convert it to UTF-8 first (iconv -f UTF-16 -t UTF-8)", path)
}

// textReader reads the records that start in a range of a plain file.
type textReader struct {
	ctx      context.Context
	reader   *Reader
	fragment *pb.Fragment
	file     File
	from, to int64

	pos     int64   // the next byte to read from the file
	start   int64   // the first byte that was given
	last    byte    // the byte before pos, once one was read
	head    *[]byte // holds pending, where it is not nil
	pending []byte  // read from the file, and not given yet
	ended   bool    // the last record's end was read
	tail    int64   // bytes read behind to
}

func (r *Reader) openText(ctx context.Context, s *pb.Split) (*textReader, error) {
	f := s.GetSource()
	file, err := openChecked(f, r.options)
	if err != nil {
		return nil, err
	}
	t := &textReader{
		ctx: ctx, reader: r, fragment: f, file: file,
		from: s.GetFrom(), to: min(s.GetTo(), f.GetSizeBytes()), pos: s.GetFrom(), start: s.GetFrom(),
	}
	if t.from > 0 {
		err = t.align()
	} else {
		err = t.readHead()
	}
	if err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// Start is where the first byte given lies in the file.
func (t *textReader) Start() int64 { return t.start }

// align finds the first record that starts at from or behind it: behind the
// first newline at from-1 or later. There is none when that lies behind to.
func (t *textReader) align() error {
	buf := heads.Get().(*[]byte)
	defer heads.Put(buf)
	size := 512
	for at := t.from - 1; at < t.to-1; {
		b := (*buf)[:min(int64(size), t.to-1-at)]
		if err := t.readAt(b, at); err != nil {
			return err
		}
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			t.pos = at + int64(i) + 1
			t.start = t.pos
			return nil
		}
		at += int64(len(b))
		size = headSize
	}
	t.pos, t.start, t.ended = t.to, t.to, true
	return nil
}

// readAt fills b from the file.
func (t *textReader) readAt(b []byte, at int64) error {
	n, err := t.file.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == io.EOF {
		return gone(t.fragment, "is shorter than when it was planned")
	}
	return err
}

// readHead drops the byte order mark and the header line.
func (t *textReader) readHead() error {
	if t.fragment.GetSizeBytes() == 0 {
		t.ended = true
		return nil
	}
	t.head = heads.Get().(*[]byte)
	buf := (*t.head)[:min(headSize, t.fragment.GetSizeBytes())]
	for {
		if err := t.readAt(buf, 0); err != nil {
			return err
		}
		skip, whole, err := t.reader.headLength(t.fragment, buf)
		if err != nil {
			return err
		}
		if whole || int64(len(buf)) == t.fragment.GetSizeBytes() {
			t.begin(buf, skip)
			return nil
		}
		if int64(len(buf)) > t.reader.max {
			return tooLong(t.fragment, 0, t.reader.max)
		}
		buf = make([]byte, min(int64(2*len(buf)), t.fragment.GetSizeBytes()))
	}
}

// begin starts with what is behind the head.
func (t *textReader) begin(buf []byte, skip int) {
	t.start = int64(skip)
	n := min(int64(len(buf)), t.to)
	if t.start < n {
		t.pending, t.pos, t.last = buf[skip:n], n, buf[n-1]
		return
	}
	t.pos = t.start
	t.ended = t.pos >= t.fragment.GetSizeBytes() || t.reader.hasHeader() && t.pos >= t.to
}

// headLength is how many bytes at a file's start are no records, and whether
// text was enough to know.
func (r *Reader) headLength(f *pb.Fragment, text []byte) (n int, whole bool, err error) {
	if isUTF16(text) {
		return 0, false, utf16Error(f.GetPath())
	}
	if isBOM(text) {
		n = 3
	}
	if !r.hasHeader() {
		return n, true, nil
	}
	if end := r.dialect.RecordEnd(text[n:]); end >= 0 {
		return n + end, true, nil
	}
	return len(text), false, nil
}

func (r *Reader) hasHeader() bool {
	return r.format == pb.Format_FORMAT_CSV && r.csv.GetHeader()
}

func tooLong(f *pb.Fragment, at, limit int64) error {
	return processor.Fatal("%s: the record at byte %d is longer than %d bytes: is the format right? (source.max_record_bytes raises the limit)", f.GetPath(), at, limit)
}

// Read reads on: what was left of the head, then straight from the file into
// p, then the rest of the last record.
func (t *textReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(t.pending) > 0 {
		n := copy(p, t.pending)
		t.pending = t.pending[n:]
		return n, nil
	}
	t.dropHead()
	if err := t.ctx.Err(); err != nil {
		return 0, err
	}
	switch {
	case t.ended:
		return 0, t.finish()
	case t.pos < t.to:
		p = p[:min(int64(len(p)), t.to-t.pos)]
		if err := t.readAt(p, t.pos); err != nil {
			return 0, err
		}
		t.pos += int64(len(p))
		t.last = p[len(p)-1]
		return len(p), nil
	case t.last == '\n' || t.pos >= t.fragment.GetSizeBytes():
		t.ended = true
		return 0, t.finish()
	}
	return t.readTail(p)
}

// readTail reads the end of the record that goes on behind to.
func (t *textReader) readTail(p []byte) (int, error) {
	p = p[:min(int64(len(p)), headSize, t.fragment.GetSizeBytes()-t.pos)]
	if err := t.readAt(p, t.pos); err != nil {
		return 0, err
	}
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		p = p[:i+1]
		t.ended = true
	}
	t.pos += int64(len(p))
	if t.tail += int64(len(p)); t.tail > t.reader.max {
		return 0, t.tailTooLong()
	}
	return len(p), nil
}

// tailTooLong looks back for where the record starts.
func (t *textReader) tailTooLong() error {
	buf := heads.Get().(*[]byte)
	defer heads.Put(buf)
	at := t.to
	for at > t.start {
		b := (*buf)[:min(headSize, at-t.start)]
		if err := t.readAt(b, at-int64(len(b))); err != nil {
			return err
		}
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			return tooLong(t.fragment, at-int64(len(b))+int64(i)+1, t.reader.max)
		}
		at -= int64(len(b))
	}
	return tooLong(t.fragment, t.start, t.reader.max)
}

func (t *textReader) finish() error {
	if err := verify(t.file, t.fragment); err != nil {
		return err
	}
	return io.EOF
}

func (t *textReader) dropHead() {
	if t.head != nil {
		heads.Put(t.head)
		t.head = nil
	}
}

// Close ends the reading.
func (t *textReader) Close() error {
	t.pending = nil
	t.dropHead()
	return t.file.Close()
}

// streamReader reads a compressed file, all of it.
type streamReader struct {
	*decompressor
	start   int64
	pending []byte
}

func (r *Reader) openStream(f *pb.Fragment) (*streamReader, error) {
	d, err := openCompressed(f, r.options)
	if err != nil {
		return nil, err
	}
	s := &streamReader{decompressor: d}
	if err := s.readHead(r); err != nil {
		d.Close()
		return nil, err
	}
	return s, nil
}

func (s *streamReader) readHead(r *Reader) error {
	buf := make([]byte, 0, 4<<10)
	for {
		n, err := io.ReadFull(s.decompressor, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		ended := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !ended {
			return err
		}
		skip, whole, err := r.headLength(s.fragment, buf)
		if err != nil {
			return err
		}
		if whole || ended {
			s.start, s.pending = int64(skip), buf[skip:]
			return nil
		}
		if int64(len(buf)) > r.max {
			return tooLong(s.fragment, 0, r.max)
		}
		buf = append(make([]byte, 0, 4*cap(buf)), buf...)
	}
}

// Start is where the first byte given lies in the decompressed file.
func (s *streamReader) Start() int64 { return s.start }

// Read reads on.
func (s *streamReader) Read(p []byte) (int, error) {
	if len(s.pending) > 0 {
		n := copy(p, s.pending)
		s.pending = s.pending[n:]
		return n, nil
	}
	return s.decompressor.Read(p)
}
