package attempt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// output is where the last step of a chain writes.
type output interface {
	processor.Output
	Finish() (*pb.OutputRef, error)
	Abandon()
}

// link is one step of a chain, ready to run.
type link struct {
	step processor.Step
	// format of the bytes that the step writes, if it writes bytes.
	format pb.Format
	// encodes says that the step only writes the records of the one before in
	// another form.
	encodes bool
}

// run runs the links one after the other over in, all at once: each reads what
// the one before writes, while it writes it. It returns the first error of the
// link that is nearest to the source, since the others follow from it.
func run(ctx context.Context, a *processor.Attempt, links []link, in processor.Input, out processor.Output) error {
	if len(links) == 1 {
		return guarded(ctx, a, links[0].step, in, out)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	pipe := newPipe(ctx)
	upstream := make(chan error, 1)
	go func() {
		err := guarded(ctx, a, links[0].step, in, pipe)
		pipe.end(err)
		upstream <- err
	}()
	rest, err := pipe.input(links[0].format, in.MaxRecordBytes)
	if err == nil {
		err = run(ctx, inner(a), links[1:], rest, out)
	}
	if err != nil {
		cancel(err)
	}
	pipe.stop(err)
	if first := <-upstream; first != nil && !follows(first, err) {
		return first
	}
	return err
}

// follows says that a step ended with an error because a later one had failed:
// it was told so, or it was stopped for that.
func follows(err, later error) bool {
	return errors.Is(err, errUnwanted) || later != nil && (errors.Is(err, later) || errors.Is(err, context.Canceled))
}

// inner is the attempt as later steps see it: what they read is no input.
func inner(a *processor.Attempt) *processor.Attempt {
	later := *a
	later.Read = func(int64, int64) {}
	return &later
}

// guarded runs a step; a panic of its code is a failure.
func guarded(ctx context.Context, a *processor.Attempt, step processor.Step, in processor.Input, out processor.Output) error {
	return caught(func() error { return step.Run(ctx, a, in, out) })
}

// caught turns a panic into a failure.
func caught(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			failure := processor.Fail(pb.OutcomeClass_OUTCOME_CLASS_RETRYABLE, "the processor panicked: %v", p)
			failure.Detail.Detail = string(debug.Stack())
			err = failure
		}
	}()
	return f()
}

// errUnwanted tells a step that the next one failed: what it still has to say
// is of no use.
var errUnwanted = errors.New("the next step has failed")

// pipe carries the output of one step to the next, as bytes or as records,
// whichever it turns out to write. At most one write is under way.
type pipe struct {
	ctx   context.Context
	kind  chan pb.OutputKind // what is written, known with the first write; closed at the end
	once  sync.Once
	bytes chan []byte
	batch chan arrow.RecordBatch
	taken chan struct{} // the reader is done with the last batch or bytes
	done  chan struct{} // the reader has ended
	err   error         // why the writer ended; valid once ended is closed
	ended chan struct{}
	quit  error // what later writes are told; valid once done is closed
}

func newPipe(ctx context.Context) *pipe {
	return &pipe{
		ctx:  ctx,
		kind: make(chan pb.OutputKind, 1), bytes: make(chan []byte), batch: make(chan arrow.RecordBatch),
		taken: make(chan struct{}), done: make(chan struct{}), ended: make(chan struct{}),
	}
}

// Write hands bytes to the reader and returns when they are used up.
func (p *pipe) Write(data []byte) (int, error) {
	if len(data) == 0 {
		return 0, nil
	}
	p.once.Do(func() { p.kind <- pb.OutputKind_OUTPUT_KIND_BYTES })
	return len(data), hand(p, p.bytes, data)
}

// WriteRecords hands a batch to the reader and returns when it is used up.
func (p *pipe) WriteRecords(batch arrow.RecordBatch) error {
	p.once.Do(func() { p.kind <- pb.OutputKind_OUTPUT_KIND_ARROW })
	return hand(p, p.batch, batch)
}

// hand gives one item to the reader and waits until it is used. A reader that
// has ended well wanted no more: the rest is dropped.
func hand[T any](p *pipe, to chan T, item T) error {
	select {
	case to <- item:
	case <-p.done:
		return p.quit
	}
	select {
	case <-p.taken:
		return nil
	case <-p.done:
		return p.quit
	}
}

// end says that nothing more will be written, and why.
func (p *pipe) end(err error) {
	p.err = err
	p.once.Do(func() { close(p.kind) })
	close(p.ended)
}

// stop says that nothing more will be read: err, if any, is why.
func (p *pipe) stop(err error) {
	if err != nil {
		p.quit = errUnwanted
	}
	close(p.done)
}

// input waits for the first write, and is what the next step reads.
func (p *pipe) input(format pb.Format, maxRecord int64) (processor.Input, error) {
	in := processor.Input{Format: format, MaxRecordBytes: maxRecord, Csv: writtenCsv()}
	kind, wrote := <-p.kind
	switch {
	case !wrote && p.failed() != nil:
		return in, errUnwanted
	case !wrote:
		return in, nil
	case kind == pb.OutputKind_OUTPUT_KIND_ARROW:
		in.Format = pb.Format_FORMAT_ARROW
		in.Parts = []processor.Part{{Records: p.records}}
	default:
		in.Parts = []processor.Part{{Open: func(context.Context) (io.ReadCloser, error) { return &pipeReader{pipe: p}, nil }}}
	}
	return in, nil
}

// failed is the writer's error, once it has ended.
func (p *pipe) failed() error {
	<-p.ended
	return p.err
}

func (p *pipe) records(context.Context) processor.Records {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for {
			select {
			case batch := <-p.batch:
				if !yield(batch, nil) {
					return
				}
				p.taken <- struct{}{}
			case <-p.ended:
				if p.err != nil {
					yield(nil, p.err)
				}
				return
			}
		}
	}
}

// pipeReader reads the bytes of a pipe.
type pipeReader struct {
	pipe *pipe
	rest []byte
}

// Read copies what was written.
func (r *pipeReader) Read(into []byte) (int, error) {
	for len(r.rest) == 0 {
		select {
		case r.rest = <-r.pipe.bytes:
		case <-r.pipe.ended:
			if r.pipe.err != nil {
				return 0, r.pipe.err
			}
			return 0, io.EOF
		}
	}
	n := copy(into, r.rest)
	r.rest = r.rest[n:]
	if len(r.rest) == 0 {
		r.pipe.taken <- struct{}{}
	}
	return n, nil
}

// Close is there for the interface; the chain itself stops the writer.
func (r *pipeReader) Close() error { return nil }

// writtenCsv is how steps write CSV to each other.
func writtenCsv() *pb.Csv {
	delimiter, quote, header := ",", `"`, false
	return &pb.Csv{Delimiter: &delimiter, Quote: &quote, Escape: &quote, Header: &header}
}

// tap counts the records and bytes that pass through an output.
type tap struct {
	processor.Output
	records, bytes atomic.Int64
	midLine        bool
}

// Write counts lines.
func (t *tap) Write(p []byte) (int, error) {
	if len(p) > 0 {
		t.records.Add(int64(bytes.Count(p, []byte{'\n'})))
		t.bytes.Add(int64(len(p)))
		t.midLine = p[len(p)-1] != '\n'
	}
	return t.Output.Write(p)
}

// WriteRecords counts rows.
func (t *tap) WriteRecords(batch arrow.RecordBatch) error {
	t.records.Add(batch.NumRows())
	return t.Output.WriteRecords(batch)
}

// total is the records so far; a line without its end is one.
func (t *tap) total() int64 {
	if t.midLine {
		return t.records.Load() + 1
	}
	return t.records.Load()
}

// tapped counts what a step writes on its way to the next.
type tapped struct {
	processor.Step
	count func(processor.Output) processor.Output
}

// Run runs the step with its output counted.
func (s tapped) Run(ctx context.Context, a *processor.Attempt, in processor.Input, out processor.Output) error {
	return s.Step.Run(ctx, a, in, s.count(out))
}

// concat copies its input as it is: the merge of outputs that are merely put
// one after the other.
type concat struct{}

// Run copies every part.
func (concat) Run(ctx context.Context, _ *processor.Attempt, in processor.Input, out processor.Output) error {
	for _, part := range in.Parts {
		if err := copyPart(ctx, part, out); err != nil {
			return err
		}
	}
	return nil
}

func copyPart(ctx context.Context, part processor.Part, out processor.Output) error {
	if part.Open == nil {
		for batch, err := range part.Records(ctx) {
			if err != nil {
				return err
			}
			if err := out.WriteRecords(batch); err != nil {
				return err
			}
		}
		return nil
	}
	r, err := part.Open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{r}, make([]byte, 256<<10)); err != nil {
		return fmt.Errorf("copy an output: %w", err)
	}
	return nil
}

// Close has nothing to free.
func (concat) Close() error { return nil }
