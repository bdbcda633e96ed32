package function

import (
	"context"
	"errors"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

var errAbandoned = errors.New("the attempt was abandoned")

// gate stands between a function and the attempt that it works for. Once it is
// closed, a function that was abandoned can change nothing any more.
type gate struct {
	attempt *processor.Attempt
	out     processor.Output

	mu     sync.Mutex
	closed bool
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

// through does f while the gate is open.
func (g *gate) through(f func() error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return errAbandoned
	}
	return f()
}

// Write passes bytes on.
func (g *gate) Write(p []byte) (n int, err error) {
	err = g.through(func() (err error) { n, err = g.out.Write(p); return err })
	return n, err
}

// WriteRecords passes records on.
func (g *gate) WriteRecords(batch arrow.RecordBatch) error {
	return g.through(func() error { return g.out.WriteRecords(batch) })
}

// guarded is the attempt behind the gate. Functions that it lacks do nothing.
func (g *gate) guarded() *processor.Attempt {
	a := *g.attempt
	read, status, count, skip := a.Read, a.Status, a.Count, a.Skip
	quietly := func(f func()) { _ = g.through(func() error { f(); return nil }) }
	a.Read = func(records, bytes int64) {
		if read != nil {
			quietly(func() { read(records, bytes) })
		}
	}
	a.Status = func(text string) {
		if status != nil {
			quietly(func() { status(text) })
		}
	}
	a.Count = func(name string, delta int64) {
		if count != nil {
			quietly(func() { count(name, delta) })
		}
	}
	a.Skip = func(bad *pb.BadRecord) error {
		if skip == nil {
			return processor.Fatal("bad record in %s: %s", bad.GetFile(), bad.GetReason())
		}
		return g.through(func() error { return skip(bad) })
	}
	return &a
}

// ended is the error of a context that has ended, with its cause.
func ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
