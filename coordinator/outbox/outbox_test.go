package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/millrace/millrace/api/millracev1"
)

func TestWhatGathersGoesOutInOneMessage(t *testing.T) {
	b := New(100)
	put(t, b, &pb.SessionResponse{Grants: leases(0, 2), Heartbeat: 3})
	put(t, b, &pb.SessionResponse{Grants: leases(2, 3), Acks: []*pb.OutcomeAck{{}}, Heartbeat: 4})
	put(t, b, &pb.SessionResponse{Drain: true, DrainWithin: durationpb.New(5), Leave: true, EndedJobs: []uint64{7}})
	m := take(t, b)
	if got := batches(m); !slices.Equal(got, []uint64{0, 1, 2}) || len(m.Acks) != 1 ||
		m.Heartbeat != 4 || !m.Drain || m.DrainWithin.GetNanos() != 5 || !m.Leave || !slices.Equal(m.EndedJobs, []uint64{7}) {
		t.Fatalf("took %v", m)
	}
}

func TestLoneOrderIsTakenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(100)
		taken := make(chan *pb.SessionResponse, 1)
		go func() {
			m, _ := b.Take(t.Context())
			taken <- m
		}()
		synctest.Wait()
		put(t, b, &pb.SessionResponse{Grants: leases(0, 1)})
		synctest.Wait()
		if len(taken) != 1 {
			t.Fatal("a lone lease is held back")
		}
	})
}

func TestFloodIsCutIntoMessagesAndKeepsItsOrder(t *testing.T) {
	const n = 10_000
	b := New(2 * n)
	jobs := []*pb.JobContext{{Digest: "a"}}
	put(t, b, &pb.SessionResponse{Jobs: jobs, Grants: leases(0, n), Heartbeat: 9, EndedJobs: []uint64{1}})
	var got []uint64
	for i := 0; ; i++ {
		m := take(t, b)
		got = append(got, batches(m)...)
		if first := i == 0; first != (m.Heartbeat == 9) || first != (len(m.Jobs) == 1) {
			t.Fatalf("message %d: %d contexts, heartbeat %d", i, len(m.Jobs), m.Heartbeat)
		}
		if size := leaseSize(m.Grants[0]) * len(m.Grants); size > MessageBytes+leaseBytes {
			t.Fatalf("message %d holds about %d bytes", i, size)
		}
		if len(m.EndedJobs) > 0 {
			break
		}
	}
	if len(got) != n || !slices.IsSorted(got) {
		t.Fatalf("%d leases came, sorted: %v", len(got), slices.IsSorted(got))
	}
}

func TestBoxOfASlowWorkerEnds(t *testing.T) {
	b := New(16)
	put(t, b, &pb.SessionResponse{Grants: leases(0, 100)})
	if err := b.Put(&pb.SessionResponse{Grants: leases(100, 101)}); !errors.Is(err, ErrSlow) {
		t.Fatalf("an item more got %v", err)
	}
	if _, err := b.Take(t.Context()); !errors.Is(err, ErrSlow) {
		t.Fatalf("the writer got %v", err)
	}
}

func TestTakenItemsMakeRoom(t *testing.T) {
	b := New(2)
	for range 10 {
		put(t, b, &pb.SessionResponse{Grants: leases(0, 2)})
		take(t, b)
	}
}

func TestTakeEnds(t *testing.T) {
	b := New(2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Take(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Take got %v", err)
	}
}

// Answers to heartbeats that gather become one: they must not add up until the
// worker seems slow.
func TestGatheredHeartbeatsCountOnce(t *testing.T) {
	b := New(16)
	for i := range uint64(1000) {
		put(t, b, &pb.SessionResponse{Heartbeat: 2*i + 1})
		put(t, b, &pb.SessionResponse{Heartbeat: 2*i + 2})
		take(t, b)
	}
}

func put(t *testing.T, b *Box, m *pb.SessionResponse) {
	t.Helper()
	if err := b.Put(m); err != nil {
		t.Fatal(err)
	}
}

func take(t *testing.T, b *Box) *pb.SessionResponse {
	t.Helper()
	m, err := b.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func leases(from, to uint64) []*pb.Lease {
	var ls []*pb.Lease
	for i := from; i < to; i++ {
		ls = append(ls, &pb.Lease{Fence: &pb.Fence{Batch: i}, Context: fmt.Sprint("c", i)})
	}
	return ls
}

func batches(m *pb.SessionResponse) []uint64 {
	var ids []uint64
	for _, l := range m.Grants {
		ids = append(ids, l.GetFence().GetBatch())
	}
	return ids
}
