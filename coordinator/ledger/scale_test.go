package ledger_test

import (
	"testing"
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
)

// BenchmarkFleet runs a job of very many batches over ten thousand workers, all
// slots of which are always taken, with a heartbeat of everybody each second.
// One iteration is one batch: -benchtime 10000000x is the whole of it.
func BenchmarkFleet(b *testing.B) {
	const workers, slots = 10_000, 4
	m := newMill(workers, slots)
	m.start(max(int64(b.N), 1))
	for i := range workers {
		m.step(ledger.CreditGranted{Worker: workerName(i), Session: 1, Batches: slots, Bytes: slots})
	}
	beat := 0
	b.ResetTimer()
	for n := 0; len(m.leases) > 0; n++ {
		m.turn()
		if n%slots == 0 { // about as often as a heartbeat comes in between leases of a second
			m.at += ledger.Time(time.Second) / workers
			m.step(ledger.Heartbeat{Worker: workerName(beat), Session: 1})
			beat = (beat + 1) % workers
		}
	}
	if v, _ := m.l.Job(1, m.at); v.State != ledger.StateDone || v.Stats.BatchesDone != max(int64(b.N), 1) {
		b.Fatalf("the job is in state %d with %d batches done", v.State, v.Stats.BatchesDone)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "leases/s")
	entries, batches, timers := m.l.Size()
	b.ReportMetric(float64(entries+batches+timers), "kept")
}

// TestFleet runs a smaller job over as many workers, some of which come and go:
// nothing that is done for one batch may depend on how many workers there are.
func TestFleet(t *testing.T) {
	const workers, batches = 10_000, 40_000
	m := newMill(workers, 2)
	m.start(batches)
	for i := range workers {
		m.step(ledger.CreditGranted{Worker: workerName(i), Session: 1, Batches: 2, Bytes: 2})
	}
	for n := 0; len(m.leases) > 0; n++ {
		m.turn()
		if n%100 == 0 {
			w := workerName(n / 100)
			m.step(ledger.SessionLost{Worker: w, Session: 1})
			m.step(ledger.WorkerRefused{Worker: w, Session: 1})
		}
		if len(m.leases) == 0 { // what was lost often waits a little
			m.at += ledger.Time(time.Second)
			m.step(ledger.Ticked{})
		}
	}
	v, _ := m.l.Job(1, m.at)
	if v.State != ledger.StateDone || v.Stats.Counters.RecordsIn != batches {
		t.Errorf("the job is in state %d with %d of %d batches done: %v", v.State, v.Stats.Counters.RecordsIn, batches, m.l.Explain(1, m.at))
	}
}

// TestAnIdleFleetIsSilent: workers without leases need no timer.
func TestAnIdleFleetIsSilent(t *testing.T) {
	m := newMill(10_000, 4)
	if _, _, timers := m.l.Size(); timers > 0 {
		t.Errorf("%d timers are set for workers that have nothing to do", timers)
	}
}
