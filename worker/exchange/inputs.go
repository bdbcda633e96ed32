package exchange

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"google.golang.org/protobuf/proto"

	"github.com/millrace/millrace/api"
	"github.com/millrace/millrace/api/dataplane"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// readBuffer is how many bytes of an input that is read as records gather. Many
// may be read at once.
const readBuffer = 64 << 10

// maxReason is how many bytes a reason for a missing output has at most.
const maxReason = 500

// Fetcher fetches outputs that other workers hold, as api/dataplane does.
type Fetcher interface {
	// Open opens an output: its bytes as they are in its holder's spool. Its
	// errors, and the reader's, are dataplane.ErrGone, dataplane.ErrUnreachable,
	// and those of the context.
	Open(ctx context.Context, addresses []string, ticket []byte) (io.ReadCloser, error)
}

// Inputs are the outputs that one attempt reads. They remember which of them
// could not be had, whatever a processor makes of that: an attempt that missed
// one has no result. Safe for use by several goroutines.
type Inputs struct {
	spool *Spool
	fetch Fetcher
	refs  []*pb.OutputRef

	mu      sync.Mutex
	missing map[string]*pb.MissingOutput
}

// Inputs makes outputs the input of an attempt: those that the spool holds come
// from there, others by fetch, which may be nil where there are no others.
func (s *Spool) Inputs(refs []*pb.OutputRef, fetch Fetcher) *Inputs {
	return &Inputs{spool: s, fetch: fetch, refs: refs}
}

// Parts are the outputs as a step reads them.
func (in *Inputs) Parts() []processor.Part {
	parts := make([]processor.Part, len(in.refs))
	for i, ref := range in.refs {
		parts[i] = in.part(ref)
	}
	return parts
}

func (in *Inputs) part(ref *pb.OutputRef) processor.Part {
	part := processor.Part{Bytes: ref.GetBytes(), Whole: true}
	if ref.GetKind() == pb.OutputKind_OUTPUT_KIND_BYTES {
		part.Open = func(ctx context.Context) (io.ReadCloser, error) { return in.open(ctx, ref) }
	} else {
		part.Records = func(ctx context.Context) processor.Records { return in.records(ctx, ref) }
	}
	return part
}

// Missing are the outputs that could not be had, in their order as inputs; none
// when all could that were asked for.
func (in *Inputs) Missing() []*pb.MissingOutput {
	in.mu.Lock()
	defer in.mu.Unlock()
	var list []*pb.MissingOutput
	for _, ref := range in.refs {
		if m := in.missing[ref.GetId()]; m != nil {
			list = append(list, m)
		}
	}
	return list
}

// Failure is the failure of an attempt that missed inputs; nil for one that did
// not.
func (in *Inputs) Failure() error {
	missing := in.Missing()
	if len(missing) == 0 {
		return nil
	}
	return missed(len(missing), missing[0].GetReason())
}

func missed(n int, reason string) error {
	return processor.Fail(pb.OutcomeClass_OUTCOME_CLASS_OUTPUT_MISSING, "%d of the outputs that it reads can't be had: %s", n, reason)
}

// open opens an output, here or elsewhere.
func (in *Inputs) open(ctx context.Context, ref *pb.OutputRef) (io.ReadCloser, error) {
	r, err := in.source(ctx, ref)
	if err != nil {
		return nil, in.judge(ctx, ref, err, false)
	}
	return &checked{ReadCloser: r, in: in, ctx: ctx, ref: ref}, nil
}

func (in *Inputs) source(ctx context.Context, ref *pb.OutputRef) (io.ReadCloser, error) {
	r, err := in.spool.Open(ref.GetJob(), ref.GetId())
	switch {
	case err == nil:
		return r, nil
	case !errors.Is(err, ErrNotHeld) || ref.GetWorker() == in.spool.worker:
		return nil, err
	case in.fetch == nil:
		return nil, fmt.Errorf("%w: this worker fetches none", dataplane.ErrUnreachable)
	}
	ticket, err := proto.Marshal(&pb.OutputTicket{Job: ref.GetJob(), Output: ref.GetId()})
	if err != nil {
		return nil, err
	}
	return in.fetch.Open(ctx, ref.GetAddresses(), ticket)
}

// judge notes that an output can't be had, unless it is only that nobody wants
// it any more, and returns the error that the step sees.
func (in *Inputs) judge(ctx context.Context, ref *pb.OutputRef, err error, begun bool) error {
	gone := errors.Is(err, dataplane.ErrGone) || errors.Is(err, ErrNotHeld) || errors.Is(err, ErrDamaged)
	if !gone && (ctx.Err() != nil || errors.Is(err, context.Canceled)) {
		return err
	}
	reason := api.Clip(fmt.Sprintf("output %s of worker %s: %v", ref.GetId(), ref.GetWorker(), err), maxReason)
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.missing == nil {
		in.missing = map[string]*pb.MissingOutput{}
	}
	in.missing[ref.GetId()] = &pb.MissingOutput{Id: ref.GetId(), Gone: gone, Reason: reason}
	if !gone && !begun {
		in.alike(ref, reason)
	}
	return missed(1, reason)
}

// alike notes the other outputs of a worker that could not be reached: each
// would have to wait for the same.
func (in *Inputs) alike(ref *pb.OutputRef, reason string) {
	for _, other := range in.refs {
		if other.GetWorker() == ref.GetWorker() && in.missing[other.GetId()] == nil {
			in.missing[other.GetId()] = &pb.MissingOutput{Id: other.GetId(), Reason: reason}
		}
	}
}

// checked reads an output, and fails when it is not as long as it should be.
type checked struct {
	io.ReadCloser
	in   *Inputs
	ctx  context.Context
	ref  *pb.OutputRef
	read int64
}

// Read reads on.
func (c *checked) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.read += int64(n)
	if err == nil && c.read > c.ref.GetBytes() || err == io.EOF && c.read != c.ref.GetBytes() {
		err = fmt.Errorf("%w: it has %d bytes, where %d were told", ErrDamaged, c.read, c.ref.GetBytes())
	}
	if err == nil || err == io.EOF {
		return n, err
	}
	return n, c.in.judge(c.ctx, c.ref, err, true)
}

// records streams an output that is an Arrow IPC stream.
func (in *Inputs) records(ctx context.Context, ref *pb.OutputRef) processor.Records {
	return func(yield func(arrow.RecordBatch, error) bool) {
		source, err := in.open(ctx, ref)
		if err != nil {
			yield(nil, err)
			return
		}
		defer source.Close()
		if err := in.decode(ctx, source, ref, yield); err != nil {
			yield(nil, err)
		}
	}
}

// decode yields the records of a stream, and returns what is wrong with it.
func (in *Inputs) decode(ctx context.Context, source io.Reader, ref *pb.OutputRef, yield func(arrow.RecordBatch, error) bool) error {
	buffered := bufio.NewReaderSize(source, int(min(readBuffer, max(ref.GetBytes(), 16))))
	reader, err := ipc.NewReader(buffered)
	if err != nil {
		return undecoded(buffered, ref, err)
	}
	defer reader.Release()
	for reader.Next() {
		if !yield(reader.RecordBatch(), ctx.Err()) || ctx.Err() != nil {
			return nil
		}
	}
	if err := reader.Err(); err != nil {
		return undecoded(buffered, ref, err)
	}
	return drain(buffered)
}

// drain reads to the end. A decoder stops where the stream says that it ends, or
// where its bytes do: only this shows whether all of it was there.
func drain(source io.Reader) error {
	_, err := io.Copy(io.Discard, source)
	return err
}

// undecoded is the error of a stream that can't be decoded: that of its bytes, if
// they are not what was written. If they are, making it again would not help.
func undecoded(source io.Reader, ref *pb.OutputRef, err error) error {
	var judged *processor.Failure
	if errors.As(err, &judged) {
		return judged
	}
	if err := drain(source); err != nil {
		return err
	}
	return fmt.Errorf("decode the output %s of worker %s: %w", ref.GetId(), ref.GetWorker(), err)
}
