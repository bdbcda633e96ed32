package exchange_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/protobuf/proto"

	"github.com/millrace/millrace/api/dataplane"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// remote is another worker, as a test wants it to be: what it sends, and the
// error after that.
type remote struct {
	data []byte
	err  error
	// never says that it does not even begin.
	never bool
	asked *pb.OutputTicket
}

// Open answers as the test wants.
func (r *remote) Open(_ context.Context, addresses []string, ticket []byte) (io.ReadCloser, error) {
	r.asked = &pb.OutputTicket{}
	if err := proto.Unmarshal(ticket, r.asked); err != nil || len(addresses) == 0 {
		return nil, fmt.Errorf("asked with %x at %v: %v", ticket, addresses, err)
	}
	if r.never {
		return nil, r.err
	}
	after := r.err
	if after == nil {
		after = io.EOF
	}
	return io.NopCloser(io.MultiReader(bytes.NewReader(r.data), failing{after})), nil
}

type failing struct{ error }

// Read fails.
func (f failing) Read([]byte) (int, error) { return 0, f.error }

func elsewhere(kind pb.OutputKind, size int) *pb.OutputRef {
	return &pb.OutputRef{Id: "o", Worker: "w2", Kind: kind, Bytes: int64(size), Job: 9, Addresses: []string{"w2:1"}}
}

// encoded is an Arrow stream of some batches of one column.
func encoded(t *testing.T, batches int) []byte {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil)
	var b bytes.Buffer
	w := ipc.NewWriter(&b, ipc.WithSchema(schema))
	for i := range batches {
		column := array.NewInt64Builder(memory.DefaultAllocator)
		column.AppendValues([]int64{int64(i), int64(i)}, nil)
		if err := w.Write(array.NewRecordBatch(schema, []arrow.Array{column.NewArray()}, 2)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// consume reads all of a part, and returns how many bytes or rows there were.
func consume(ctx context.Context, part processor.Part) (n int64, err error) {
	if part.Open != nil {
		r, err := part.Open(ctx)
		if err != nil {
			return 0, err
		}
		defer r.Close()
		return io.Copy(io.Discard, r)
	}
	for batch, err := range part.Records(ctx) {
		if err != nil {
			return n, err
		}
		n += batch.NumRows()
	}
	return n, nil
}

func TestOutputsOfOthersAreFetched(t *testing.T) {
	s := open(t, 1<<20)
	text := []byte("a\nb\n")
	other := &remote{data: text}
	in := s.Inputs([]*pb.OutputRef{elsewhere(pb.OutputKind_OUTPUT_KIND_BYTES, len(text))}, other)
	if n, err := consume(t.Context(), in.Parts()[0]); n != 4 || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
	if other.asked.GetJob() != 9 || other.asked.GetOutput() != "o" {
		t.Errorf("asked for %v", other.asked)
	}
	records := encoded(t, 3)
	in = s.Inputs([]*pb.OutputRef{elsewhere(pb.OutputKind_OUTPUT_KIND_ARROW, len(records))}, &remote{data: records})
	if n, err := consume(t.Context(), in.Parts()[0]); n != 6 || err != nil || in.Failure() != nil {
		t.Errorf("read %d rows, %v, %v", n, err, in.Failure())
	}
}

// An output that comes in part, or not at all, is missing, and never merely
// shorter.
func TestWhatDoesNotComeWholeIsMissing(t *testing.T) {
	lost, away := fmt.Errorf("%w: dropped", dataplane.ErrGone), fmt.Errorf("%w: refused", dataplane.ErrUnreachable)
	records, text := encoded(t, 3), []byte("one\ntwo\n")
	batch := len(encoded(t, 2)) - len(encoded(t, 1))
	cases := map[string]struct {
		kind   pb.OutputKind
		size   int
		remote remote
		gone   bool
	}{
		"not there":                   {pb.OutputKind_OUTPUT_KIND_BYTES, 8, remote{err: lost, never: true}, true},
		"out of reach":                {pb.OutputKind_OUTPUT_KIND_BYTES, 8, remote{err: away, never: true}, false},
		"any other error":             {pb.OutputKind_OUTPUT_KIND_BYTES, 8, remote{err: errors.New("odd"), never: true}, false},
		"broken off":                  {pb.OutputKind_OUTPUT_KIND_BYTES, 8, remote{data: text[:4], err: away}, false},
		"dropped meanwhile":           {pb.OutputKind_OUTPUT_KIND_BYTES, 8, remote{data: text[:4], err: lost}, true},
		"short":                       {pb.OutputKind_OUTPUT_KIND_BYTES, 8, remote{data: text[:4]}, true},
		"long":                        {pb.OutputKind_OUTPUT_KIND_BYTES, 7, remote{data: text}, true},
		"empty":                       {pb.OutputKind_OUTPUT_KIND_BYTES, 8, remote{}, true},
		"records not there":           {pb.OutputKind_OUTPUT_KIND_ARROW, 8, remote{err: lost, never: true}, true},
		"records broken off":          {pb.OutputKind_OUTPUT_KIND_ARROW, len(records), remote{data: records[:len(records)/2], err: away}, false},
		"records between two batches": {pb.OutputKind_OUTPUT_KIND_SORTED, len(records), remote{data: records[:len(records)-8-batch]}, true},
		"records without their end":   {pb.OutputKind_OUTPUT_KIND_ARROW, len(records), remote{data: records[:len(records)-8]}, true},
		"records and more":            {pb.OutputKind_OUTPUT_KIND_ARROW, len(records), remote{data: append(bytes.Clone(records), 0)}, true},
		"no records":                  {pb.OutputKind_OUTPUT_KIND_ARROW, len(records), remote{}, true},
	}
	for name, c := range cases {
		in := open(t, 1<<20).Inputs([]*pb.OutputRef{elsewhere(c.kind, c.size)}, &c.remote)
		_, err := consume(t.Context(), in.Parts()[0])
		var failure *processor.Failure
		if !errors.As(err, &failure) || failure.Class != pb.OutcomeClass_OUTCOME_CLASS_OUTPUT_MISSING {
			t.Errorf("%s: reading ends with %v, want OUTPUT_MISSING", name, err)
		}
		if m := in.Missing(); len(m) != 1 || m[0].GetGone() != c.gone || m[0].GetReason() == "" || in.Failure() == nil {
			t.Errorf("%s: missing are %v, want gone %v", name, m, c.gone)
		}
	}
}

// Who stops reading, or is stopped, has missed nothing.
func TestWhatNobodyWantsIsNotMissing(t *testing.T) {
	records := encoded(t, 3)
	away := &remote{data: records[:len(records)/2], err: dataplane.ErrUnreachable}
	in := open(t, 1<<20).Inputs([]*pb.OutputRef{elsewhere(pb.OutputKind_OUTPUT_KIND_ARROW, len(records))}, away)
	for range in.Parts()[0].Records(t.Context()) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := consume(ctx, in.Parts()[0]); err == nil {
		t.Error("a cancelled reading went on")
	}
	if m := in.Missing(); m != nil || in.Failure() != nil {
		t.Errorf("missing are %v", m)
	}
}

// A worker that can't be reached is not asked for each of its outputs in turn.
func TestAllOfAWorkerOutOfReachIsTold(t *testing.T) {
	s := open(t, 1<<20)
	refs := make([]*pb.OutputRef, 4)
	for i := range refs {
		refs[i] = elsewhere(pb.OutputKind_OUTPUT_KIND_BYTES, 1)
		refs[i].Id = fmt.Sprint(i)
	}
	refs[1].Worker = "w3"
	refs[3] = keep(t, s, 9, "own")
	in := s.Inputs(refs, &remote{err: dataplane.ErrUnreachable, never: true})
	if _, err := consume(t.Context(), in.Parts()[2]); err == nil {
		t.Fatal("it was read")
	}
	if m := in.Missing(); len(m) != 2 || m[0].GetId() != "0" || m[1].GetId() != "2" {
		t.Errorf("missing are %v, want 0 and 2", m)
	}
}

// A stream that is what was written and can't be decoded all the same would come
// out so again: it is not missing.
func TestAnUndecodableOutputIsNotMissing(t *testing.T) {
	s := open(t, 1<<20)
	w := s.Create(1, pb.OutputKind_OUTPUT_KIND_ARROW, 0)
	if _, err := io.WriteString(w, "this is no Arrow stream, and never was one"); err != nil {
		t.Fatal(err)
	}
	ref, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	in := s.Inputs([]*pb.OutputRef{ref}, nil)
	if _, err := consume(t.Context(), in.Parts()[0]); err == nil || in.Missing() != nil {
		t.Errorf("reading ends with %v, missing are %v", err, in.Missing())
	}
}
