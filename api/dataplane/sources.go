package dataplane

import (
	"context"
	"hash/crc32"
	"io"
	"iter"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

// partsAhead is how many parts are opened before they are read. Each holds at
// most WindowBytes.
const partsAhead = 4

// source gives a part of a result piece by piece, each valid until the next, and
// io.EOF after the last.
type source interface {
	next() ([]byte, error)
	close()
}

// ahead opens parts before they are read.
type ahead struct {
	ctx  context.Context
	pool *Pool
	open []*opening // of parts that follow each other
}

// opening is a part being opened.
type opening struct {
	at     int
	done   chan struct{}
	cancel context.CancelFunc
	source *reader
	err    error
}

// take waits for a part, and begins to open those behind it.
func (a *ahead) take(parts []*pb.ResultPart, at int) (source, error) {
	for len(a.open) > 0 && a.open[0].at != at {
		a.open[0].forget()
		a.open = a.open[1:]
	}
	for next := at + len(a.open); next < min(len(parts), at+1+partsAhead); next++ {
		a.open = append(a.open, a.begin(parts[next], next))
	}
	o := a.open[0]
	a.open = a.open[1:]
	<-o.done
	if o.err != nil {
		o.cancel()
		return nil, o.err
	}
	return o, nil
}

func (a *ahead) begin(part *pb.ResultPart, at int) *opening {
	o := &opening{at: at, done: make(chan struct{})}
	ctx, cancel := context.WithCancel(a.ctx)
	o.cancel = cancel
	go func() {
		defer close(o.done)
		o.source, o.err = a.pool.begin(ctx, part.GetAddresses(), part.GetTicket())
	}()
	return o
}

// forget gives up what is open.
func (a *ahead) forget() {
	for _, o := range a.open {
		o.forget()
	}
	a.open = nil
}

// next reads on.
func (o *opening) next() ([]byte, error) { return o.source.next() }

func (o *opening) close() {
	o.cancel()
	o.source.Close()
}

// forget closes a part that nobody reads.
func (o *opening) forget() {
	o.cancel()
	go func() {
		<-o.done
		if o.source != nil {
			o.source.Close()
		}
	}()
}

// resumed gives the rest of a part whose beginning was given out already, if it
// begins in the same way.
type resumed struct {
	source
	left      int64 // bytes of the beginning that are still to come
	sum, want uint32
}

func (r *resumed) next() ([]byte, error) {
	data, err := r.source.next()
	if r.left == 0 || err != nil && err != io.EOF {
		return data, err
	}
	old := min(r.left, int64(len(data)))
	r.sum = crc32.Update(r.sum, castagnoli, data[:old])
	r.left -= old
	if err == io.EOF && r.left > 0 || r.left == 0 && r.sum != r.want {
		return nil, errChanged
	}
	return data[old:], err
}

// through reads parts through the coordinator.
type through struct {
	result *api.Result
	at     int // the part that comes next
	pull   func() (io.Reader, error, bool)
	stop   func()
	buffer []byte
}

// newThrough reads a result that begins with the part of this index.
func newThrough(result *api.Result, at int) *through {
	t := &through{result: result, at: at, buffer: make([]byte, 128<<10)}
	t.pull, t.stop = iter.Pull2(result.Outputs())
	return t
}

func (t *through) end() {
	t.stop()
	t.result.Close()
}

// part is the next part.
func (t *through) part() (source, error) {
	output, err, ok := t.pull()
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errChanged
	}
	t.at++
	return &throughPart{t, output}, nil
}

// throughPart is a part that comes through the coordinator.
type throughPart struct {
	through *through
	output  io.Reader
}

func (p *throughPart) next() ([]byte, error) {
	n, err := p.output.Read(p.through.buffer)
	if n > 0 {
		return p.through.buffer[:n], nil
	}
	return nil, err
}

// close leaves the stream to the parts that follow.
func (p *throughPart) close() {}
