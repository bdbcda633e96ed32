package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
)

// TestFleet runs a job over ten thousand workers, some of which go: nothing that is
// done for one batch may depend on how many workers there are. (The simulation has
// as many, with time, deaths and very many batches: sim.TestScale.)
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

// TestALargeFleetIsDrained: a worker that leaves with very many outputs hands them
// over to very many workers, and not all are looked at for each of them.
func TestALargeFleetIsDrained(t *testing.T) {
	const workers, outputs = 10_000, 10_000
	m := newMill(workers, 1)
	m.startKept(outputs)
	m.step(ledger.CreditGranted{Worker: workerName(0), Session: 1, Batches: outputs, Bytes: outputs})
	for i := 0; len(m.leases) > 0; i++ {
		g := m.take()
		m.step(ledger.OutcomeReported{Worker: g.Worker, Session: 1, Outcome: ledger.Outcome{
			Fence: g.Lease.Fence, Class: ledger.OutcomeDone, Elapsed: time.Millisecond,
			Output: ledger.Output{ID: ledger.OutputID(fmt.Sprintf("o%d", i)), Bytes: ledger.DefaultConfig().MergeInputBytes},
		}})
	}
	m.step(ledger.WorkerDraining{Worker: workerName(0), Session: 1})
	for i := range workers {
		m.step(ledger.CreditGranted{Worker: workerName(i), Session: 1, Batches: 1, Bytes: 1})
	}
	if len(m.leases) != workers-1 {
		t.Errorf("%d outputs are taken over by %d of %d workers", outputs, len(m.leases), workers-1)
	}
}
