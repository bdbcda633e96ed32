package sim

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
)

// herd is a very large fleet, around a real ledger: its workers keep nothing but
// time, nothing is lost on the way, and what is proposed is durable soon. Now
// and then a worker dies, and comes back with empty hands.
type herd struct {
	t       *testing.T
	rng     *rand.Rand
	ledger  *ledger.Ledger
	now     ledger.Time
	due     agenda
	wake    ledger.Time
	members []*member
	names   map[ledger.WorkerID]*member
	facts   []ledger.Fact
	steps   int
	grants  int
	deaths  int
	ended   bool
	total   int64 // records
}

// member is a worker of a herd.
type member struct {
	id      ledger.WorkerID
	session ledger.SessionID
	slots   []ledger.Time // when each is free
	beat    uint64
	held    map[ledger.Fence]ledger.Time // when each lease starts
}

// herdDue is what happens at a time: a lease ends, or a heartbeat is due.
type herdDue struct {
	at     ledger.Time
	member *member
	life   ledger.SessionID
	fence  ledger.Fence // none for a heartbeat
	size   int64
}

func (h *herd) push(d herdDue) { h.due.add(moment(d.at), func() { h.happen(d) }) }

const (
	herdSlots    = 4
	herdPrefetch = 4
	herdBatch    = 1000 // records
)

func (h *herd) attach(m *member) {
	m.session++
	m.slots = make([]ledger.Time, herdSlots)
	m.held = map[ledger.Fence]ledger.Time{}
	h.step(ledger.WorkerAttached{Worker: m.id, Session: m.session, Incarnation: uint64(m.session), Slots: herdSlots, Processors: []string{"sql"}})
	h.step(ledger.CreditGranted{Worker: m.id, Session: m.session, Batches: herdSlots + herdPrefetch, Bytes: 1 << 40})
	h.push(herdDue{at: h.now.Add(3 * time.Second), member: m, life: m.session})
}

// step has the ledger take an event. What it proposes is written down when
// enough has gathered.
func (h *herd) step(e ledger.Event) {
	h.steps++
	for _, effect := range h.ledger.Step(h.now, h.rng.Uint64(), e) {
		switch e := effect.(type) {
		case ledger.Grant:
			h.granted(h.names[e.Worker], e.Lease)
		case ledger.Append:
			h.facts = append(h.facts, e.Facts...)
		case ledger.Revoke:
			h.revoked(h.names[e.Worker], e)
		case ledger.WakeAt:
			h.wake = e.At
		case ledger.JobEnded:
			h.ended = true
		case ledger.RefuseSession:
			h.t.Fatalf("%s is refused: %s", e.Worker, e.Reason)
		}
	}
	if len(h.facts) >= 64 {
		h.commit()
	}
}

func (h *herd) commit() {
	for len(h.facts) > 0 {
		facts := h.facts
		h.facts = nil
		h.step(ledger.Committed{Facts: facts})
	}
}

// granted has a lease take the next slot that is free.
func (h *herd) granted(m *member, l *ledger.Lease) {
	h.grants++
	free := 0
	for i, at := range m.slots {
		if at < m.slots[free] {
			free = i
		}
	}
	start := max(h.now, m.slots[free])
	m.slots[free] = start.Add(time.Second/2 + time.Duration(h.rng.Int64N(int64(time.Second))))
	m.held[l.Fence] = start
	h.push(herdDue{at: m.slots[free], member: m, life: m.session, fence: l.Fence, size: int64(l.To - l.From)})
}

// revoked gives back a lease that waits; the slot stays idle for as long.
func (h *herd) revoked(m *member, e ledger.Revoke) {
	if start, ok := m.held[e.Fence]; !ok || e.IfWaiting && start <= h.now {
		return
	}
	delete(m.held, e.Fence)
	h.push(herdDue{at: h.now, member: m, life: m.session, fence: e.Fence, size: -1})
}

// happen does what is due.
func (h *herd) happen(d herdDue) {
	m := d.member
	if d.life != m.session {
		return
	}
	if d.fence == (ledger.Fence{}) {
		m.beat++
		h.step(ledger.Heartbeat{Worker: m.id, Session: m.session, Sequence: m.beat})
		h.push(herdDue{at: d.at.Add(3 * time.Second), member: m, life: m.session})
		return
	}
	o := ledger.Outcome{Fence: d.fence, Class: ledger.OutcomeReturned}
	if _, held := m.held[d.fence]; held {
		delete(m.held, d.fence)
		o = h.outcome(d)
	} else if d.size >= 0 {
		return // it was given back
	}
	h.step(ledger.OutcomeReported{Worker: m.id, Session: m.session, Outcome: o})
	h.step(ledger.CreditGranted{Worker: m.id, Session: m.session, Batches: 1, Bytes: herdBatch})
}

// outcome is what a lease comes to; that of planning has the plan.
func (h *herd) outcome(d herdDue) ledger.Outcome {
	o := ledger.Outcome{Fence: d.fence, Class: ledger.OutcomeDone, Elapsed: time.Second}
	if h.grants == 1 {
		o.Plan = herdPlan(h.total)
		return o
	}
	o.Counters = ledger.Counters{RecordsIn: d.size, BytesIn: d.size}
	return o
}

func herdPlan(total int64) *ledger.Plan {
	const fragments = 4
	p := &ledger.Plan{Stages: []ledger.Stage{{Name: "s", Input: ledger.InputSource, Output: ledger.OutputNone, Requires: []string{"sql"}}}}
	for range fragments {
		p.Fragments = append(p.Fragments, ledger.Fragment{Unit: ledger.UnitRecords, Extent: total / fragments, Records: total / fragments})
	}
	return p
}

// kill has a worker die: both witnesses say so. It comes back at once.
func (h *herd) kill() {
	m := h.members[h.rng.IntN(len(h.members))]
	h.deaths++
	h.step(ledger.SessionLost{Worker: m.id, Session: m.session})
	h.step(ledger.WorkerRefused{Worker: m.id, Session: m.session})
	h.attach(m)
}

// scaleWorkers do so many batches; manyBatches when -seeds is given.
const (
	scaleWorkers = 10_000
	scaleBatches = 300_000
	manyBatches  = 10_000_000
)

// TestScale: ten thousand workers do very many batches, and some of them die
// meanwhile. Nothing is lost or counted twice, and what the ledger keeps stays
// small.
func TestScale(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while")
	}
	batches := int64(scaleBatches)
	if *manySeeds > 0 {
		batches = manyBatches
	}
	c := ledger.DefaultConfig()
	c.FirstBatchRecords, c.MinBatchRecords, c.MaxBatchRecords = herdBatch, herdBatch, herdBatch
	h := &herd{t: t, total: batches * herdBatch, rng: rand.New(rand.NewPCG(*firstSeed, 3)), names: map[ledger.WorkerID]*member{}, now: 1}
	h.ledger = ledger.New(c, ledger.NewState(), 1, h.now)
	h.step(ledger.Ticked{})
	for i := range scaleWorkers {
		m := &member{id: ledger.WorkerID(fmt.Sprintf("w%d", i))}
		h.members = append(h.members, m)
		h.names[m.id] = m
		h.attach(m)
	}
	h.step(ledger.JobSubmitted{Request: 1, Key: "large", Settings: ledger.Settings{MaxAttempts: 10}, Spec: []byte("large")})
	h.commit()
	began, largest := time.Now(), h.run()
	took := time.Since(began)
	v, _ := h.ledger.Job(h.ledger.Jobs(1, h.now)[0].ID, h.now)
	if v.State != ledger.StateDone || v.Stats.Counters.RecordsIn != h.total || v.Stats.PositionsDone != h.total {
		t.Errorf("the job is in state %d, with %+v", v.State, v.Stats)
	}
	if v.Stats.BatchesDone < batches {
		t.Errorf("%d batches are done, and %d were to be", v.Stats.BatchesDone, batches)
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	t.Logf("%d workers, %d batches, %d grants, %d deaths, %d steps, %v of the world's time in %v: %.2f µs a batch; the largest snapshot had %d bytes, the heap has %d MiB",
		scaleWorkers, v.Stats.BatchesDone, h.grants, h.deaths, h.steps, time.Duration(h.now), took,
		float64(took.Microseconds())/float64(v.Stats.BatchesDone), largest, memory.HeapAlloc>>20)
	if largest > 1<<20 {
		t.Errorf("a snapshot had %d bytes: what is left to do is worth less", largest)
	}
}

// run goes on until the job is over, and returns how large the ledger's state
// was at most, of some looks at it.
func (h *herd) run() (largest int) {
	for n := 1; !h.ended && len(h.due.heap) > 0; n++ {
		switch {
		case h.wake > 0 && moment(h.wake) < h.due.heap[0].at:
			h.now, h.wake = max(h.now, h.wake), 0
			h.step(ledger.Ticked{})
		default:
			d := h.due.take()
			h.now = max(h.now, ledger.Time(d.at))
			d.do()
		}
		if n%10_000 == 0 {
			h.kill()
		}
		if n%100_000 == 0 {
			largest = max(largest, len(h.ledger.State().Encode()))
		}
		if len(h.facts) > 0 && n%16 == 0 {
			h.commit()
		}
	}
	return largest
}
