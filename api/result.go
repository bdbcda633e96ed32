package api

import (
	"context"
	"errors"
	"io"
	"iter"

	pb "github.com/millrace/millrace/api/millracev1"
)

// Result is a job's result as it comes in, in source order. It is read once, by
// one goroutine, either as bytes (it is an io.Reader) or output by output.
type Result struct {
	next   func() (*pb.ReadResultResponse, error)
	end    func()
	header *pb.ResultHeader
	data   []byte // received, and not yet read
	begins bool   // data begins an output that has not been handed out
	err    error  // ended the result; io.EOF at its end
}

// NewResult makes a result of messages that come from elsewhere than ReadResult:
// next gives them in its order, the header in the first, and io.EOF after the
// last. It waits for the first. end is called by Close, and when NewResult fails.
func NewResult(next func() (*pb.ReadResultResponse, error), end func()) (*Result, error) {
	r := &Result{next: next, end: end, header: &pb.ResultHeader{}}
	if err := r.receive(); err != nil && !errors.Is(err, io.EOF) {
		end()
		return nil, err
	}
	return r, nil
}

// Result opens the result of a job that has no file sink, and waits until it is
// known what it is made of. The caller must Close it. A job that fails ends the
// result with an error of code Failed, before or after bytes were read.
func (c *Client) Result(ctx context.Context, id string) (*Result, error) {
	return c.ResultFrom(ctx, id, 0)
}

// ResultFrom is Result without the first parts of a result that is kept; Locate
// tells which there are.
func (c *Client) ResultFrom(ctx context.Context, id string, skip uint64) (*Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := c.jobs.ReadResult(ctx, &pb.ReadResultRequest{Id: id, SkipParts: skip})
	if err != nil {
		cancel()
		return nil, wire(err)
	}
	return NewResult(stream.Recv, cancel)
}

// Locate tells where the parts of a kept result are, in source order, so that
// they can be fetched from the workers by Arrow Flight. It waits until the job
// is done; what of the result was lost meanwhile is made again first.
func (c *Client) Locate(ctx context.Context, id string) (*pb.ResultHeader, []*pb.ResultPart, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.jobs.LocateResult(ctx, &pb.LocateResultRequest{Id: id})
	if err != nil {
		return nil, nil, wire(err)
	}
	header, parts := &pb.ResultHeader{}, []*pb.ResultPart(nil)
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return header, parts, nil
		}
		if err != nil {
			return nil, nil, wire(err)
		}
		if answer.GetHeader() != nil {
			header = answer.GetHeader()
		}
		parts = append(parts, answer.GetParts()...)
	}
}

// Header tells what the bytes are.
func (r *Result) Header() *pb.ResultHeader { return r.header }

// Close ends the reading. What was not read is lost.
func (r *Result) Close() error {
	r.end()
	return nil
}

// receive takes the next message. It is called only when all data was read.
func (r *Result) receive() error {
	if r.err != nil {
		return r.err
	}
	answer, err := r.next()
	if err != nil {
		r.err = err
		if !errors.Is(err, io.EOF) {
			r.err = wire(err)
		}
		return r.err
	}
	if answer.GetHeader() != nil {
		r.header = answer.GetHeader()
	}
	r.data = answer.GetData()
	r.begins = r.begins || answer.GetBeginsOutput()
	return nil
}

// Read reads the bytes of all outputs, one after the other.
func (r *Result) Read(p []byte) (int, error) {
	for len(r.data) == 0 {
		if err := r.receive(); err != nil {
			return 0, err
		}
	}
	r.begins = false
	n := copy(p, r.data)
	r.data = r.data[n:]
	return n, nil
}

// WriteTo writes the bytes of all outputs to w, as they come.
func (r *Result) WriteTo(w io.Writer) (int64, error) {
	var written int64
	for {
		n, err := w.Write(r.data)
		written += int64(n)
		if err != nil {
			return written, err
		}
		if err := r.receive(); err != nil {
			return written, eofIsNil(err)
		}
	}
}

func eofIsNil(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Outputs reads output by output: for Arrow, each is an IPC stream of its own.
// A reader is good until the next is asked for; what it has not read is skipped.
// The last pair is an error when the result ended with one.
func (r *Result) Outputs() iter.Seq2[io.Reader, error] {
	return func(yield func(io.Reader, error) bool) {
		for {
			if err := r.nextOutput(); err != nil {
				if !errors.Is(err, io.EOF) {
					yield(nil, err)
				}
				return
			}
			if !yield(&outputReader{r}, nil) {
				return
			}
		}
	}
}

// nextOutput skips to where an output begins, and marks it as handed out.
func (r *Result) nextOutput() error {
	for !r.begins {
		if err := r.receive(); err != nil {
			return err
		}
	}
	r.begins = false
	return nil
}

type outputReader struct{ result *Result }

// Read reads up to where the next output begins.
func (o *outputReader) Read(p []byte) (int, error) {
	r := o.result
	for len(r.data) == 0 && !r.begins {
		if err := r.receive(); err != nil {
			return 0, err
		}
	}
	if r.begins {
		return 0, io.EOF
	}
	n := copy(p, r.data)
	r.data = r.data[n:]
	return n, nil
}
