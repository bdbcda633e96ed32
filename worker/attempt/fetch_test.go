package attempt

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/millrace/millrace/api/dataplane"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/exchange"
	"github.com/millrace/millrace/worker/flight"
	"github.com/millrace/millrace/worker/processor"
)

// holder is another worker, which serves what it holds.
type holder struct {
	*exchange.Spool
	addr   string
	server *grpc.Server
}

func newHolder(t *testing.T, name string) *holder {
	t.Helper()
	spool, err := exchange.Open(t.TempDir(), name, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &holder{Spool: spool, addr: listener.Addr().String(), server: grpc.NewServer(flight.ServerOptions()...)}
	flight.New(spool, flight.Options{}).Register(h.server)
	go h.server.Serve(listener)
	t.Cleanup(func() {
		h.server.Stop()
		spool.Close()
	})
	return h
}

// keep holds text as an output of job 1.
func (h *holder) keep(t *testing.T, text string) *pb.OutputRef {
	t.Helper()
	w := h.Create(1, pb.OutputKind_OUTPUT_KIND_BYTES, 0)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	kept, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	ref := proto.CloneOf(kept)
	ref.Addresses = []string{h.addr}
	return ref
}

// fleet is a bench beside two other workers.
func fleet(t *testing.T) (*bench, *holder, *holder) {
	t.Helper()
	b := newBench(t)
	pool := dataplane.NewPool(nil)
	b.Fetch = pool
	t.Cleanup(func() { pool.Close() })
	return b, newHolder(t, "w2"), newHolder(t, "w3")
}

// A stage reads the outputs of three workers in their order.
func TestOutputsOfThreeWorkersAreCollected(t *testing.T) {
	b, second, third := fleet(t)
	own := b.done(b.run(job(program("cat"))))
	merge := reads(pb.LeaseKind_LEASE_KIND_MERGE, third.keep(t, "c\n"), own, second.keep(t, "d\n"), third.keep(t, "e\n"))
	if text := b.content(b.done(b.run(job(program("cat")), merge))); text != "c\na\nb\nd\ne\n" {
		t.Errorf("merged to %q", text)
	}
	count := reads(pb.LeaseKind_LEASE_KIND_PROCESS, third.keep(t, "c\n"), own, second.keep(t, "d\n"))
	if text := b.content(b.done(b.run(job(program("wc", "-l")), count))); strings.TrimSpace(text) != "4" {
		t.Errorf("counted %q lines", text)
	}
}

// An attempt without one of its inputs fails and says which, though its program
// is content with what came.
func TestAMissingInputFailsTheAttempt(t *testing.T) {
	for _, argv := range [][]string{{"cat"}, {"sh", "-c", "cat; true"}, {"wc", "-l"}} {
		b, second, third := fleet(t)
		first, lost, after := second.keep(t, "a\n"), third.keep(t, "b\n"), second.keep(t, "c\n")
		third.Drop(lost.GetId())
		o := b.run(job(program(argv...)), reads(pb.LeaseKind_LEASE_KIND_PROCESS, first, lost, after))
		if o.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_OUTPUT_MISSING || o.GetOutput() != nil {
			t.Errorf("%v: the outcome is %v", argv, o)
		}
		if m := o.GetMissing(); len(m) != 1 || m[0].GetId() != lost.GetId() || !m[0].GetGone() {
			t.Errorf("%v: missing are %v", argv, m)
		}
		b.empty()
	}
}

// A holder that dies while a batch reads what it has is found before anything
// comes of it.
func TestAHolderThatDiesMeanwhile(t *testing.T) {
	b, second, third := fleet(t)
	large := third.keep(t, strings.Repeat("0123456789abcde\n", 4<<20))
	begun := make(chan bool)
	b.steps["slow"] = attemptFunc(func(ctx context.Context, _ *processor.Attempt, in processor.Input, out processor.Output) error {
		for _, part := range in.Parts {
			r, err := part.Open(ctx)
			if err != nil {
				return nil // content with what came
			}
			defer r.Close()
			if _, err := io.CopyN(out, r, 100); err != nil {
				return nil
			}
			begun <- true
			<-begun
			io.Copy(io.Discard, r)
		}
		return nil
	})
	go func() {
		<-begun
		third.server.Stop()
		begun <- true
	}()
	o := b.run(job(function("slow")), reads(pb.LeaseKind_LEASE_KIND_PROCESS, large, second.keep(t, "x")))
	if o.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_OUTPUT_MISSING || o.GetOutput() != nil {
		t.Errorf("the outcome is %v", o)
	}
	if m := o.GetMissing(); len(m) != 1 || m[0].GetId() != large.GetId() || m[0].GetGone() {
		t.Errorf("missing are %v", m)
	}
	b.empty()
}

// Who has no way to other workers says so.
func TestWithoutAWayToOthers(t *testing.T) {
	b := newBench(t)
	o := b.run(job(program("cat")), reads(pb.LeaseKind_LEASE_KIND_PROCESS, &pb.OutputRef{Id: "o", Worker: "w2", Job: 1, Bytes: 1}))
	if m := o.GetMissing(); o.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_OUTPUT_MISSING || len(m) != 1 || m[0].GetGone() {
		t.Errorf("the outcome is %v", o)
	}
}

// What was missing is told only where that is why the attempt failed.
func TestARevokedAttemptMissesNothing(t *testing.T) {
	b, second, _ := fleet(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	b.steps["stopped"] = attemptFunc(func(ctx context.Context, _ *processor.Attempt, in processor.Input, _ processor.Output) error {
		cancel(ErrRevoked)
		_, err := in.Parts[0].Open(ctx)
		return fmt.Errorf("open: %w", err)
	})
	o := b.runIn(ctx, job(function("stopped")), reads(pb.LeaseKind_LEASE_KIND_PROCESS, second.keep(t, "x")))
	if o.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_CANCELLED || o.GetMissing() != nil {
		t.Errorf("the outcome is %v", o)
	}
}
