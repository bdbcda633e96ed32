package session

import (
	"testing"
	"time"
)

// attachedMachine is a machine with a session, as of second 0.
func attachedMachine(c Config) *Machine {
	m := New(c)
	m.Step(0, 1, Ticked{})
	m.Step(0, 1, Opened{m.Session()})
	m.Step(0, 1, Received{m.Session(), Response{Attached: &Attached{Term: 1, Lease: 10 * time.Second, Heartbeat: time.Second}}})
	return m
}

// BenchmarkLeaseCycle grants, starts, ends and acknowledges one lease at a
// time, in messages of 64.
func BenchmarkLeaseCycle(b *testing.B) {
	const burst = 64
	m := attachedMachine(Config{Slots: burst})
	grants := make([]Lease, burst)
	acks := make([]Ack, burst)
	next := BatchID(0)
	b.ReportAllocs()
	for n := 0; n < b.N; n += burst {
		for i := range grants {
			next++
			f := Fence{Job: 1, Batch: next, Attempt: 1, Term: 1}
			grants[i], acks[i] = Lease{Fence: f, Bytes: 10}, Ack{Fence: f}
		}
		m.Step(0, 1, Received{m.Session(), Response{Grants: grants}})
		for i := range grants {
			m.Step(0, 1, Finished{Outcome{Fence: grants[i].Fence, Class: Done}})
		}
		m.Step(0, 1, Received{m.Session(), Response{Acks: acks}})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "leases/s")
}

// BenchmarkLeaseCycleHeld does the same with 4,000 leases waiting and a
// timeout for each.
func BenchmarkLeaseCycleHeld(b *testing.B) {
	const held = 4000
	m := attachedMachine(Config{Slots: 64})
	grant := func(n BatchID) Response {
		return Response{Grants: []Lease{{Fence: Fence{Job: 1, Batch: n, Attempt: 1, Term: 1}, Timeout: time.Hour}}}
	}
	for n := range BatchID(held) {
		m.Step(0, 1, Received{m.Session(), grant(n)})
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := range BatchID(b.N) {
		f := Fence{Job: 1, Batch: n, Attempt: 1, Term: 1}
		m.Step(0, 1, Finished{Outcome{Fence: f, Class: Done}})
		r := grant(n + held)
		r.Acks = []Ack{{Fence: f}}
		m.Step(0, 1, Received{m.Session(), r})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "leases/s")
}
