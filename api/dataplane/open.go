package dataplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// errBusy says that a holder has too much to do for now.
var errBusy = errors.New("the worker is busy")

// Open opens an output at one of the addresses of its holder, tried in turn: its
// bytes, exactly as the holder's spool has them. An error of Open, and one of
// the reader's but for io.EOF, is ErrGone, ErrUnreachable, or the cause of the
// context's end. The reader is used by one goroutine, and must be closed; that
// may be done from another.
func (p *Pool) Open(ctx context.Context, addresses []string, ticket []byte) (io.ReadCloser, error) {
	r, err := p.begin(ctx, addresses, ticket)
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (p *Pool) begin(ctx context.Context, addresses []string, ticket []byte) (*reader, error) {
	if len(addresses) == 0 {
		return nil, fmt.Errorf("%w: its worker has told no address", ErrUnreachable)
	}
	var tried []error
	for _, address := range addresses {
		r, err := p.patiently(ctx, address, ticket)
		switch {
		case err == nil:
			return r, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, ErrGone):
			return nil, fmt.Errorf("%s: %w", address, err)
		}
		tried = append(tried, fmt.Errorf("%s: %w", address, err))
	}
	return nil, fmt.Errorf("%w: %w", ErrUnreachable, errors.Join(tried...))
}

// patiently asks a busy holder again, more and more rarely.
func (p *Pool) patiently(ctx context.Context, address string, ticket []byte) (*reader, error) {
	until := time.Now().Add(BusyWithin)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		r, err := p.open(ctx, address, ticket)
		if !errors.Is(err, errBusy) || time.Now().Add(pause).After(until) {
			return r, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// open asks one address, and waits until its answer begins.
func (p *Pool) open(parent context.Context, address string, ticket []byte) (*reader, error) {
	c, err := p.take(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(metadata.AppendToOutgoingContext(parent, RawKey, "1"))
	r := &reader{address: address, ctx: ctx, parent: parent, end: func() {
		cancel(context.Canceled)
		p.give(c)
	}}
	slow := time.AfterFunc(ConnectWithin, func() { cancel(fmt.Errorf("no answer within %s", ConnectWithin)) })
	if err := r.begin(c, ticket); err != nil {
		r.Close()
		return nil, err
	}
	if !slow.Stop() {
		r.Close()
		return nil, context.Cause(ctx)
	}
	return r, nil
}

// reader streams an output.
type reader struct {
	address string
	stream  flight.FlightService_DoGetClient
	ctx     context.Context
	parent  context.Context
	end     func()
	closed  sync.Once
	rest    []byte
	err     error // ended the stream
}

// begin sends the request and waits for the head of the answer.
func (r *reader) begin(c *conn, ticket []byte) (err error) {
	r.stream, err = flight.NewFlightServiceClient(c).DoGet(r.ctx, &flight.Ticket{Ticket: ticket})
	if err != nil {
		return r.classify(err)
	}
	head, err := r.stream.Header()
	if err != nil {
		return r.classify(err)
	}
	if len(head.Get(RawKey)) > 0 {
		return nil
	}
	if _, err = r.stream.Recv(); err != nil && !errors.Is(err, io.EOF) {
		return r.classify(err)
	}
	return errors.New("it does not serve outputs of Millrace")
}

// classify says what an error of the stream means for the output.
func (r *reader) classify(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case r.parent.Err() != nil:
		return context.Cause(r.parent)
	case r.ctx.Err() != nil: // the answer was too slow, or the reader is closed
		return context.Cause(r.ctx)
	}
	s := status.Convert(err)
	switch s.Code() {
	case codes.NotFound, codes.DataLoss:
		return fmt.Errorf("%w: %s", ErrGone, s.Message())
	case codes.ResourceExhausted:
		return fmt.Errorf("%w: %s", errBusy, s.Message())
	}
	return errors.New(s.Message())
}

// Read copies what has come.
func (r *reader) Read(into []byte) (int, error) {
	for len(r.rest) == 0 {
		chunk, err := r.next()
		if err != nil {
			return 0, err
		}
		r.rest = chunk
	}
	n := copy(into, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// next is the next chunk as it came.
func (r *reader) next() ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	message, err := r.stream.Recv()
	if err == nil {
		return message.GetDataBody(), nil
	}
	r.err = r.classify(err)
	if r.err != io.EOF && !errors.Is(r.err, ErrGone) && r.parent.Err() == nil {
		r.err = fmt.Errorf("%w: %s: the stream broke: %w", ErrUnreachable, r.address, r.err)
	}
	return nil, r.err
}

// Close ends the stream.
func (r *reader) Close() error {
	r.closed.Do(r.end)
	return nil
}
