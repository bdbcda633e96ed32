package source

import (
	"bytes"
	"context"
	"io"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/format"
)

// sampleFiles is from how many files a sample is taken.
const sampleFiles = 16

// Sample returns up to about n bytes of the text of a source, whole records
// without header lines, from several of its files: the first, the last, the
// largest and some between. It is empty for formats that aren't text, and for
// a source without records.
func Sample(ctx context.Context, src *pb.Source, s *Sniffed, fragments []*pb.Fragment, n int64, o Options) ([]byte, error) {
	if !isText(s.Format) {
		return nil, nil
	}
	r := NewReader(src, &pb.Plan{Format: s.Format, Csv: s.Csv, Columns: s.Columns}, o)
	picked := spread(fragments, sampleFiles)
	var out []byte
	for k, i := range picked {
		share := (n - int64(len(out))) / int64(len(picked)-k)
		text, err := r.beginning(ctx, fragments[i], share)
		if err != nil {
			return nil, err
		}
		out = append(out, text...)
		if len(out) > 0 && out[len(out)-1] != '\n' {
			out = append(out, '\n')
		}
	}
	return out, nil
}

// beginning reads the first n bytes of a fragment's text, and goes on to the
// end of a record when no record ends in them.
func (r *Reader) beginning(ctx context.Context, f *pb.Fragment, n int64) ([]byte, error) {
	part := r.part(&pb.Split{To: f.GetExtent(), Source: f})
	in, err := part.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	buf := make([]byte, 0, max(n, 1<<10))
	for {
		m, err := io.ReadFull(in, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+m]
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return buf, nil
		}
		if err != nil {
			return nil, err
		}
		if whole := r.wholeRecords(buf); whole > 0 {
			return buf[:whole], nil
		}
		if int64(len(buf)) > r.max {
			return nil, tooLong(f, 0, r.max)
		}
		buf = append(make([]byte, 0, 4*cap(buf)), buf...)
	}
}

// wholeRecords is how much of a text is whole records.
func (r *Reader) wholeRecords(text []byte) int {
	if r.dialect == nil {
		return bytes.LastIndexByte(text, '\n') + 1
	}
	s, at := format.RecordStart, 0
	for i, b := range text {
		if s = r.dialect.Step(s, b); s == format.RecordStart {
			at = i + 1
		}
	}
	return at
}
