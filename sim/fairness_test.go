package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
)

// TestFairness: jobs that are always hungry get slots by priority first, and
// then by weight; a small job is not stuck behind a large one.
func TestFairness(t *testing.T) {
	for _, mix := range []struct {
		name    string
		weights []float64
		large   []int64 // positions of each job
	}{
		{"alike", []float64{1, 1, 1, 1}, []int64{40_000, 40_000, 40_000, 40_000}},
		{"weighted", []float64{1, 2, 4}, []int64{40_000, 40_000, 40_000}},
		{"coarse and fine", []float64{1, 1}, []int64{40_000, 40_000}},
	} {
		t.Run(mix.name, func(t *testing.T) {
			w := fairWorld(mix.weights, mix.large, 0)
			w.run(20*time.Second, nil)
			if w.book.fault != nil {
				t.Fatal(w.book.fault)
			}
			least, most := 0.0, 0.0
			for i, c := range w.clients {
				v, _ := w.coordinator.ledger.Job(c.id, w.coordinator.clock())
				share := float64(v.Stats.PositionsDone) / mix.weights[i]
				t.Logf("weight %v: %d positions", mix.weights[i], v.Stats.PositionsDone)
				if i == 0 || share < least {
					least = share
				}
				most = max(most, share)
			}
			if least < 0.7*most {
				t.Errorf("the shares by weight are from %.0f to %.0f", least, most)
			}
		})
	}
}

// TestSmallJobPasses: a job of one batch that comes late ends about as soon as
// it would alone.
func TestSmallJobPasses(t *testing.T) {
	w := fairWorld([]float64{1, 1}, []int64{200_000, 10}, 5*time.Second)
	ended := w.run(15*time.Second, func() bool {
		c := w.clients[1]
		if !w.coordinator.up || c.id == 0 {
			return false
		}
		v, _ := w.coordinator.ledger.Job(c.id, w.coordinator.clock())
		return v.State == ledger.StateDone
	})
	if w.book.fault != nil || !ended {
		t.Fatalf("it has not ended by %v: %v", w.now, w.book.fault)
	}
	t.Logf("it ended at %v", w.now)
}

// fairWorld is a world without faults, of plain jobs that come one after the
// other.
func fairWorld(weights []float64, large []int64, apart time.Duration) *world {
	w := emptyWorld(7)
	c := ledger.DefaultConfig()
	c.FirstBatchRecords, c.MaxBatchRecords, c.TargetLease = 20, 200, 200*time.Millisecond
	w.law = law{ledger: c, calm: time.Hour, latency: time.Millisecond, commit: time.Millisecond,
		snapshotBytes: 1 << 30, creditBytes: 1 << 20, prefetch: 4, drain: time.Second}
	for i := range 4 {
		w.workers = append(w.workers, &worker{w: w, index: i, name: fmt.Sprintf("w%d", i+1), slots: 2, speed: 400,
			processors: []string{"command"}})
	}
	for i, weight := range weights {
		j := &jobDef{key: fmt.Sprint(i), spec: []byte{byte(i)}, poison: -1, total: large[i], bases: []int64{0},
			settings:  ledger.Settings{Weight: weight, MaxAttempts: 4},
			readAfter: time.Hour, submitAt: time.Duration(i) * apart,
			plan: &ledger.Plan{
				Fragments: []ledger.Fragment{{Unit: ledger.UnitRecords, Extent: large[i], Records: large[i]}},
				Stages:    []ledger.Stage{{Name: "s", Input: ledger.InputSource, Output: ledger.OutputNone}},
			}}
		w.clients = append(w.clients, w.newClient(j))
	}
	w.inhabit()
	w.begin()
	return w
}
