package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/exchange"
	"github.com/millrace/millrace/worker/session"
)

// gated is an admission over a small spool, and what is in it.
type gated struct {
	*admission
	t     *testing.T
	spool *exchange.Spool
}

func newGated(t *testing.T) *gated {
	t.Helper()
	spool, err := exchange.Open(t.TempDir(), "w", 1000)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { spool.Close() })
	return &gated{newAdmission(spool), t, spool}
}

// fill puts an output of so many bytes into the spool.
func (g *gated) fill(n int) *pb.OutputRef {
	g.t.Helper()
	w := g.spool.Create(1, pb.OutputKind_OUTPUT_KIND_BYTES, 0)
	if _, err := w.Write(make([]byte, n)); err != nil {
		g.t.Fatal(err)
	}
	ref, err := w.Finish()
	if err != nil {
		g.t.Fatal(err)
	}
	return ref
}

// batch is an attempt that has come in, at a position.
func (g *gated) batch(job session.JobID, position int64, change ...func(*pb.Lease)) *running {
	lease := &pb.Lease{Kind: pb.LeaseKind_LEASE_KIND_PROCESS, Position: position}
	for _, c := range change {
		c(lease)
	}
	r := &running{fence: session.Fence{Job: job, Batch: session.BatchID(position + 1)}, work: &work{lease: lease}}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	g.enter(r)
	return r
}

// waiting has an attempt wait; the channel ends when it may run.
func (g *gated) waiting(r *running) <-chan struct{} {
	gone := make(chan struct{})
	go func() { defer close(gone); g.wait(r) }()
	synctest.Wait()
	return gone
}

func over(c <-chan struct{}) bool {
	synctest.Wait()
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestThereIsRoomForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGated(t)
		g.fill(700)
		g.batch(1, 0)
		if late := g.batch(1, 5); !over(g.waiting(late)) {
			t.Error("a batch is held back while there is room")
		}
	})
}

func TestAFullSpoolHoldsBackAllButTheEarliest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGated(t)
		g.fill(800)
		first, second, third := g.batch(1, 0), g.batch(1, 5), g.batch(1, 9)
		one, two, three := g.waiting(first), g.waiting(second), g.waiting(third)
		if !over(one) || over(two) || over(three) {
			t.Fatalf("the earliest runs %v, the others %v %v", over(one), over(two), over(three))
		}
		g.leave(first)
		if !over(two) || over(three) {
			t.Fatalf("after it the next runs %v, the last %v", over(two), over(three))
		}
		g.leave(second)
		if !over(three) {
			t.Error("the last never runs")
		}
	})
}

func TestEachJobHasItsEarliest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGated(t)
		g.fill(800)
		g.batch(1, 0)
		if other := g.batch(2, 7); !over(g.waiting(other)) {
			t.Error("a job waits for another's batch")
		}
	})
}

func TestRoomWakesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGated(t)
		ref := g.fill(800)
		g.batch(1, 0)
		waits := g.waiting(g.batch(1, 5))
		if over(waits) {
			t.Fatal("a batch is not held back")
		}
		g.spool.Drop(ref.GetId())
		g.changed()
		if !over(waits) {
			t.Error("a batch waits though there is room")
		}
	})
}

func TestACancelledBatchWaitsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGated(t)
		g.fill(800)
		g.batch(1, 0)
		late := g.batch(1, 5)
		waits := g.waiting(late)
		late.cancel(errors.New("revoked"))
		if !over(waits) {
			t.Error("a cancelled batch still waits")
		}
	})
}

func TestWhatMakesRoomIsNotHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGated(t)
		g.fill(800)
		g.batch(1, 0)
		for name, change := range map[string]func(*pb.Lease){
			"a merge":            func(l *pb.Lease) { l.Kind = pb.LeaseKind_LEASE_KIND_MERGE },
			"a commit":           func(l *pb.Lease) { l.Kind = pb.LeaseKind_LEASE_KIND_COMMIT },
			"a later stage":      func(l *pb.Lease) { l.Inputs = []*pb.OutputRef{{Id: "a"}} },
			"another job's plan": func(l *pb.Lease) { l.Kind = pb.LeaseKind_LEASE_KIND_PLAN },
		} {
			if !over(g.waiting(g.batch(1, 5, change))) {
				t.Errorf("%s is held back", name)
			}
		}
	})
}
