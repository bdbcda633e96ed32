package ledger_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
)

// mill drives a ledger as fast as it goes: every proposal is committed at
// once, and every lease is done at once.
type mill struct {
	l      *ledger.Ledger
	at     ledger.Time
	leases []*ledger.Grant // oldest first
	facts  []ledger.Fact
	job    ledger.JobID
}

func newMill(workers, slots int) *mill {
	m := &mill{l: ledger.New(ledger.DefaultConfig(), ledger.NewState(), 1, 0)}
	for i := range workers {
		host := []ledger.Label{{Key: "host", Value: string(workerName(i))}} // as a fleet may have it: it costs nothing
		m.step(ledger.WorkerAttached{Worker: workerName(i), Session: 1, Slots: slots, Labels: host})
	}
	return m
}

func workerName(i int) ledger.WorkerID { return ledger.WorkerID(fmt.Sprintf("w%d", i)) }

func (m *mill) step(e ledger.Event) {
	m.at++
	m.effects(m.l.Step(m.at, uint64(m.at), e))
	for len(m.facts) > 0 {
		facts := m.facts
		m.facts = nil
		m.effects(m.l.Step(m.at, uint64(m.at), ledger.Committed{Facts: facts}))
	}
}

func (m *mill) effects(effects []ledger.Effect) {
	for _, x := range effects {
		switch x := x.(type) {
		case ledger.Append:
			m.facts = append(m.facts, x.Facts...)
		case ledger.Grant:
			m.leases = append(m.leases, &x)
		}
	}
}

// start submits a job of n batches and has it planned.
func (m *mill) start(n int64) { m.submit(n, ledger.Settings{}) }

// startKept does that with a job whose result is kept.
func (m *mill) startKept(n int64) { m.submit(n, ledger.Settings{Keep: true}) }

func (m *mill) submit(n int64, s ledger.Settings) {
	m.step(ledger.JobSubmitted{Settings: s})
	m.job++
	m.step(ledger.CreditGranted{Worker: workerName(0), Session: 1, Batches: 1, Bytes: 1})
	g := m.take()
	m.step(ledger.OutcomeReported{Worker: g.Worker, Session: 1, Outcome: ledger.Outcome{
		Fence: g.Lease.Fence, Class: ledger.OutcomeDone, Plan: &ledger.Plan{
			Fragments: []ledger.Fragment{{Unit: ledger.UnitBytes, Extent: n, SizeBytes: n}},
			Stages: []ledger.Stage{{
				Input: ledger.InputSource, Output: ledger.OutputBytes,
				Mergeable: true,
				Cut:       ledger.Cut{Rule: ledger.CutBatches, Size: n},
			}},
		},
	}})
}

func (m *mill) take() *ledger.Grant {
	g := m.leases[0]
	m.leases[0] = nil
	m.leases = m.leases[1:]
	return g
}

// turn ends the oldest lease and gives its worker credit for another one.
func (m *mill) turn() {
	g := m.take()
	m.step(ledger.OutcomeReported{Worker: g.Worker, Session: 1, Outcome: ledger.Outcome{
		Fence: g.Lease.Fence, Class: ledger.OutcomeDone, Elapsed: time.Millisecond,
		Counters: ledger.Counters{RecordsIn: 1, RecordsOut: 1},
	}})
	m.step(ledger.CreditGranted{Worker: g.Worker, Session: 1, Batches: 1, Bytes: g.Lease.Bytes})
}

// BenchmarkStep measures a batch's whole way through the ledger: granted,
// done, committed, and credit for the next one.
func BenchmarkStep(b *testing.B) {
	for _, workers := range []int{1, 1000, 10_000} {
		for _, pending := range []int64{100, 1_000_000} {
			b.Run(fmt.Sprintf("workers=%d/pending=%d", workers, pending), func(b *testing.B) {
				b.ReportAllocs()
				m := newMill(workers, 4)
				m.start(pending)
				fill := func() {
					for i := range min(workers*2, 50) {
						m.step(ledger.CreditGranted{Worker: workerName(i % workers), Session: 1, Batches: 1, Bytes: 1})
					}
				}
				fill()
				for b.Loop() {
					if len(m.leases) == 0 {
						m.start(pending)
						fill()
					}
					m.turn()
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "leases/s")
			})
		}
	}
}

// BenchmarkGrants measures many leases that one event brings.
func BenchmarkGrants(b *testing.B) {
	const burst = 1000
	m := newMill(1, burst)
	m.start(10_000_000)
	for b.Loop() {
		m.step(ledger.CreditGranted{Worker: workerName(0), Session: 1, Batches: burst, Bytes: burst})
		for len(m.leases) > 0 {
			g := m.take()
			m.step(ledger.OutcomeReported{Worker: g.Worker, Session: 1, Outcome: ledger.Outcome{
				Fence: g.Lease.Fence, Class: ledger.OutcomeReturned,
			}})
		}
	}
	b.ReportMetric(float64(b.N)*burst/b.Elapsed().Seconds(), "leases/s")
}

// BenchmarkMemory reports what a pending batch, a live lease and an output
// take.
func BenchmarkMemory(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		m := newMill(1, 4)
		before := heap()
		m.start(n)
		b.ReportMetric(float64(heap()-before)/n, "B/pending")

		before = heap()
		m.step(ledger.CreditGranted{Worker: workerName(0), Session: 1, Batches: n / 10, Bytes: n})
		held := len(m.leases)
		fences := make([]ledger.Fence, held)
		for i, g := range m.leases {
			fences[i] = g.Lease.Fence
		}
		m.leases = nil
		b.ReportMetric(float64(heap()-before)/float64(held), "B/lease")
		runtime.KeepAlive(fences)
		runtime.KeepAlive(m)
	}
}

func heap() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// TestMergedOutputsTakeNoMemory runs very many batches with outputs through a
// worker that merges them: what the ledger keeps does not grow with them.
func TestMergedOutputsTakeNoMemory(t *testing.T) {
	const batches = 50_000
	m := newMill(1, 4)
	m.start(batches)
	m.step(ledger.CreditGranted{Worker: workerName(0), Session: 1, Batches: 8, Bytes: 8})
	for i := 0; len(m.leases) > 0; i++ {
		g := m.take()
		m.step(ledger.OutcomeReported{Worker: g.Worker, Session: 1, Outcome: ledger.Outcome{
			Fence: g.Lease.Fence, Class: ledger.OutcomeDone, Elapsed: time.Millisecond,
			Output: ledger.Output{ID: ledger.OutputID(fmt.Sprintf("o%d", i)), Bytes: 1},
		}})
		m.step(ledger.CreditGranted{Worker: g.Worker, Session: 1, Batches: 1, Bytes: 1})
		if entries, live, timers := m.l.Size(); entries > 400 || live > 100 || timers > 100 {
			t.Fatalf("after %d leases: %d entries, %d batches, %d timers", i, entries, live, timers)
		}
	}
	if v, _ := m.l.Job(1, m.at); v.State != ledger.StateDone || v.Stats.BatchesDone != batches {
		t.Errorf("the job is in state %d with %d batches done", v.State, v.Stats.BatchesDone)
	}
}
