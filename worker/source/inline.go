package source

import (
	"io"
	"strconv"

	pb "github.com/millrace/millrace/api/millracev1"
)

// inlineReader writes the records of a job, or the integers of its range, as
// lines.
type inlineReader struct {
	next, to int64
	line     func(b []byte, i int64) []byte
	buf      []byte
	pending  []byte
}

func (r *Reader) openInline(s *pb.Split) *inlineReader {
	in := &inlineReader{next: s.GetFrom(), to: s.GetTo()}
	if g := r.source.GetRange(); g != nil {
		in.to = min(in.to, g.GetTo()-g.GetFrom())
		in.line = func(b []byte, i int64) []byte { return strconv.AppendInt(b, g.GetFrom()+i, 10) }
		return in
	}
	records := r.source.GetRecords()
	in.to = min(in.to, int64(len(records)))
	in.line = func(b []byte, i int64) []byte { return append(b, records[i]...) }
	return in
}

// Start is unknown: the records lie in no file.
func (in *inlineReader) Start() int64 { return -1 }

// Read reads on.
func (in *inlineReader) Read(p []byte) (int, error) {
	const enough = 32 << 10
	if len(in.pending) == 0 {
		in.buf = in.buf[:0]
		for in.next < in.to && len(in.buf) < enough {
			in.buf = append(in.line(in.buf, in.next), '\n')
			in.next++
		}
		in.pending = in.buf
	}
	if len(in.pending) == 0 {
		return 0, io.EOF
	}
	n := copy(p, in.pending)
	in.pending = in.pending[n:]
	return n, nil
}

// Close ends the reading.
func (in *inlineReader) Close() error { return nil }
