package api

import (
	"context"
	"errors"
	"io"
	"iter"

	"google.golang.org/grpc"

	pb "github.com/millrace/millrace/api/millracev1"
)

// Result is a job's result as it streams in, in source order. It is read once,
// by one goroutine, either as bytes (it is an io.Reader) or output by output.
type Result struct {
	stream grpc.ServerStreamingClient[pb.ReadResultResponse]
	cancel context.CancelFunc
	header *pb.ResultHeader
	data   []byte // received, and not yet read
	begins bool   // data begins an output that has not been handed out
	err    error  // ended the stream; io.EOF at its end
}

// Result opens the result of a job that has no file sink, and waits until it is
// known what it is made of. The caller must Close it. A job that fails ends the
// result with an error of code Failed, before or after bytes were read.
func (c *Client) Result(ctx context.Context, id string) (*Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := c.jobs.ReadResult(ctx, &pb.ReadResultRequest{Id: id})
	if err != nil {
		cancel()
		return nil, wire(err)
	}
	r := &Result{stream: stream, cancel: cancel, header: &pb.ResultHeader{}}
	if err := r.receive(); err != nil && !errors.Is(err, io.EOF) {
		cancel()
		return nil, err
	}
	return r, nil
}

// Header tells what the bytes are.
func (r *Result) Header() *pb.ResultHeader { return r.header }

// Close ends the reading. What was not read is lost.
func (r *Result) Close() error {
	r.cancel()
	return nil
}

// receive takes the next message. It is called only when all data was read.
func (r *Result) receive() error {
	if r.err != nil {
		return r.err
	}
	answer, err := r.stream.Recv()
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
