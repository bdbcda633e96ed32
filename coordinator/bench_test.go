package coordinator

import (
	"testing"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/millrace/millrace/api/millracev1"
)

// BenchmarkLeases grants empty batches to one worker over an in-memory
// connection: the worker answers each message by one that ends its leases.
func BenchmarkLeases(b *testing.B) {
	w := newWorld(b, Config{})
	defer w.close()
	f := w.attach("w", 1)
	told := w.submit("")
	f.credit(1)
	f.plan(plan(int64(max(b.N, 1))))
	b.ResetTimer()
	f.credit(4096)
	messages := 0
	for done := 0; done < b.N; messages++ {
		m, err := f.stream.Recv()
		if err != nil {
			b.Fatal(err)
		}
		if len(m.GetGrants()) == 0 {
			continue
		}
		done += len(m.GetGrants())
		f.send(emptyOutcomes(m.GetGrants()))
	}
	b.StopTimer()
	for range w.client.Watch(w.ctx, told.GetId()) {
		continue // until it has ended
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "leases/s")
	b.ReportMetric(float64(b.N)/float64(max(messages, 1)), "leases/message")
}

// emptyOutcomes says that leases are done, and that as many more may come.
func emptyOutcomes(leases []*pb.Lease) *pb.SessionRequest {
	r := &pb.SessionRequest{Credit: &pb.Credit{Batches: uint32(len(leases))}}
	elapsed, counters := durationpb.New(1e3), &pb.Counters{RecordsIn: 1}
	for _, l := range leases {
		r.Outcomes = append(r.Outcomes, &pb.Outcome{
			Fence: l.GetFence(), Class: pb.OutcomeClass_OUTCOME_CLASS_DONE, Elapsed: elapsed, Counters: counters,
		})
	}
	return r
}
