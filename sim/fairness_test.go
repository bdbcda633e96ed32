package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
)

// mix is a set of jobs that are always hungry, and the workers that they share.
type mix struct {
	workers, slots int
	jobs           []mixed
	quotas         map[string]int
	bug            ledger.Bug
}

// mixed is a job of a mix.
type mixed struct {
	index    int
	weight   float64
	priority int32
	user     string
	limit    int           // of leases; none when 0
	batch    time.Duration // how long one takes
	from     time.Duration // when it comes
	total    int           // of its batches; it never ends when 0
}

// The world of a mix: its workers do so many positions a second.
const mixSpeed = 1000

// drawMix makes up a mix.
func drawMix(rng *rand.Rand) mix {
	pick := func(n int) int { return rng.IntN(n) }
	m := mix{workers: 2 + pick(4), slots: 1 + pick(4)}
	if pick(2) == 0 {
		m.quotas = map[string]int{"ann": 1 + pick(m.workers*m.slots), "bob": 1 + pick(m.workers*m.slots)}
	}
	for i := range 2 + pick(6) {
		j := mixed{
			index: i, weight: []float64{0, 0.5, 1, 2, 3, 5}[pick(6)], user: []string{"ann", "bob", ""}[pick(3)],
			batch: time.Duration(20+pick(400)) * time.Millisecond, from: time.Duration(pick(2000)) * time.Millisecond,
		}
		if pick(4) == 0 {
			j.priority = int32(pick(3) - 1)
		}
		if pick(4) == 0 {
			j.limit = 1 + pick(m.workers*m.slots)
		}
		m.jobs = append(m.jobs, j)
	}
	return m
}

// world is where a mix is served: without faults, and without anything else to
// do.
func (m *mix) world(seed uint64) *world {
	w := emptyWorld(seed)
	c := ledger.DefaultConfig()
	c.Quotas, c.Bug = m.quotas, m.bug
	w.law = law{ledger: c, calm: time.Hour, latency: time.Millisecond, commit: time.Millisecond,
		snapshotBytes: 1 << 40, creditBytes: 1 << 40, prefetch: 4, drain: time.Second}
	for i := range m.workers {
		w.workers = append(w.workers, &worker{w: w, index: i, name: fmt.Sprintf("w%d", i+1), slots: m.slots, speed: mixSpeed,
			processors: []string{"command"}})
	}
	for i, j := range m.jobs {
		w.clients = append(w.clients, w.newClient(j.def(i)))
	}
	w.inhabit()
	w.begin()
	w.faulty = false
	return w
}

// def is a job of batches of a fixed size.
func (m mixed) def(i int) *jobDef {
	size := int64(m.batch.Seconds() * mixSpeed)
	total := size * int64(m.total)
	if m.total == 0 {
		total = size * 1_000_000
	}
	return &jobDef{key: fmt.Sprint(i), spec: []byte{byte(i)}, poison: -1, total: total, bases: []int64{0},
		settings: ledger.Settings{Weight: m.weight, Priority: m.priority, MaxConcurrency: uint32(m.limit), User: m.user, MaxAttempts: 4},
		submitAt: m.from, readAfter: time.Hour,
		plan: &ledger.Plan{
			Fragments: []ledger.Fragment{{Unit: ledger.UnitRecords, Extent: total, Records: total}},
			Stages: []ledger.Stage{{Name: "s", Input: ledger.InputSource, Output: ledger.OutputNone,
				Cut: ledger.Cut{Rule: ledger.CutRecords, Size: size}}},
		}}
}

func weightOf(j mixed) float64 {
	if j.weight == 0 {
		return 1
	}
	return j.weight
}

// shares is what came of a mix, on the average of a time.
type shares struct {
	slots  []float64 // that each job has had
	leases []float64 // that each job has held
}

// measure lets a mix be served, and measures what each has.
func (m *mix) measure(w *world, from, to time.Duration) shares {
	const every = 10 * time.Millisecond
	w.run(from, nil)
	s := shares{leases: make([]float64, len(m.jobs))}
	before := w.worked(len(m.jobs))
	for at := from; at < to; at += every {
		w.run(at, nil)
		for i, c := range w.clients {
			n := float64(w.book.running(c.id)) * every.Seconds() / (to - from).Seconds()
			s.leases[i] += n
		}
	}
	s.slots = w.worked(len(m.jobs))
	for i := range s.slots {
		s.slots[i] = (s.slots[i] - before[i]) / (to - from).Seconds()
	}
	return s
}

// worked is how many seconds of slots each job has had.
func (w *world) worked(jobs int) []float64 {
	had := make([]float64, jobs)
	for i, c := range w.clients {
		had[i] = c.job.worked.Seconds()
		for _, k := range w.workers {
			for _, t := range k.tasks {
				if t.def == c.job {
					had[i] += (w.now - t.began).Seconds()
				}
			}
		}
	}
	return had
}

// cap bounds some jobs together.
type cap struct {
	of    func(j mixed) bool
	slots float64
	// turn is how long a lease counts beyond its time: the next one comes that
	// much later.
	turn time.Duration
}

// gap is how long it takes from the end of a lease until the next one starts
// that no worker had waiting: a way there, and one back.
const gap = 2 * time.Millisecond

// caps is all that bounds the jobs of a mix, if the next lease comes so much
// later than one ends.
func (m *mix) caps(turn time.Duration) []cap {
	caps := []cap{{func(mixed) bool { return true }, float64(m.workers * m.slots), 0}}
	for user, quota := range m.quotas {
		caps = append(caps, cap{func(j mixed) bool { return j.user == user }, float64(quota), turn})
	}
	for i := range m.jobs {
		if limit := m.jobs[i].limit; limit > 0 {
			caps = append(caps, cap{func(j mixed) bool { return j.index == i }, float64(limit), turn})
		}
	}
	return caps
}

// takes is what a job takes of a cap for each slot that it has.
func (c *cap) takes(j mixed) float64 {
	if !c.of(j) {
		return 0
	}
	return float64(j.batch+c.turn) / float64(j.batch)
}

// due is the max-min fair share of each job, by filling up: those of the highest
// priority rise together, each as fast as its weight is large, until a cap stops
// them. The next ones share what is left.
func (m *mix) due(turn time.Duration) []float64 {
	due, done := make([]float64, len(m.jobs)), make([]bool, len(m.jobs))
	caps := m.caps(turn)
	for slices.Contains(done, false) {
		top := int32(math.MinInt32)
		for i, j := range m.jobs {
			if !done[i] {
				top = max(top, j.priority)
			}
		}
		step, full := math.Inf(1), 0
		for c := range caps {
			room, speed := caps[c].slots, 0.0
			for i, j := range m.jobs {
				room -= due[i] * caps[c].takes(j)
				if !done[i] && j.priority == top {
					speed += weightOf(j) * caps[c].takes(j)
				}
			}
			if speed > 0 && max(room, 0)/speed < step {
				step, full = max(room, 0)/speed, c
			}
		}
		for i, j := range m.jobs {
			if !done[i] && j.priority == top {
				due[i] += step * weightOf(j)
				done[i] = caps[full].of(j)
			}
		}
	}
	return due
}

// A tenth is what may be missing of a share.
const fair = 0.9

// unfair names a job that has too little, if there is one.
func (m *mix) unfair(s *shares) error {
	late, soon := m.due(gap), m.due(0)
	for i := range late {
		if least := fair * min(late[i], soon[i]); s.slots[i] < least-0.02 {
			return fmt.Errorf("job %d has %.2f slots, and at least %.2f are due\n%+v\nslots  %.2f\ndue    %.2f\nleases %.2f",
				i+1, s.slots[i], least, *m, s.slots, soon, s.leases)
		}
	}
	return nil
}

// share measures what each job of a mix gets.
func share(seed uint64, bug ledger.Bug) error {
	m := drawMix(rand.New(rand.NewPCG(seed, 1)))
	m.bug = bug
	w := m.world(seed)
	s := m.measure(w, 60*time.Second, 150*time.Second)
	if w.book.fault != nil {
		return w.book.fault
	}
	return m.unfair(&s)
}

// TestFairness: over many mixes of weights, priorities, limits and quotas each
// job has the share that is due to it, within a tenth.
func TestFairness(t *testing.T) {
	mixes := max(20, *manySeeds/50)
	if testing.Short() {
		mixes = 2
	}
	for i := range mixes {
		if err := share(*firstSeed+uint64(i), 0); err != nil {
			t.Errorf("seed %d: %v", *firstSeed+uint64(i), err)
		}
	}
}

// TestLateJob: who comes late beside a job that a cap has kept back for long has
// his share, and not that of others.
func TestLateJob(t *testing.T) {
	for _, kept := range []mixed{{user: "ann"}, {limit: 1}} {
		kept.batch = 200 * time.Millisecond
		m := mix{workers: 2, slots: 3, quotas: map[string]int{"ann": 1},
			jobs: []mixed{kept, {index: 1, batch: kept.batch}, {index: 2, batch: kept.batch, from: time.Minute}}}
		w := m.world(1)
		s := m.measure(w, 62*time.Second, 92*time.Second)
		if err := m.unfair(&s); err != nil {
			t.Error(err)
		}
	}
}

// TestPlantedCapsYield: what gives the shares of capped jobs away is found.
func TestPlantedCapsYield(t *testing.T) {
	for seed := range uint64(10) {
		if err := share(seed+1, ledger.BugCapsYield); err != nil {
			t.Logf("seed %d: %v", seed+1, err)
			return
		}
	}
	t.Error("not found")
}

// small is how long a small job waits that comes while large ones have all
// slots, and everything that they have had fetched ahead.
func small(seed uint64, bug ledger.Bug) error {
	const comes = 5 * time.Second
	rng := rand.New(rand.NewPCG(seed, 2))
	batch := time.Duration(100+rng.IntN(900)) * time.Millisecond
	m := mix{workers: 1 + rng.IntN(4), slots: 1 + rng.IntN(4), bug: bug}
	for range 1 + rng.IntN(3) {
		m.jobs = append(m.jobs, mixed{weight: float64(1 + rng.IntN(5)), batch: batch})
	}
	m.jobs = append(m.jobs, mixed{batch: 20 * time.Millisecond, from: comes, total: 1})
	w := m.world(seed)
	c := w.clients[len(w.clients)-1]
	lease := batch * 5 / 4 // the longest
	done := w.run(comes+2*lease+200*time.Millisecond, func() bool {
		v, ok := w.coordinator.ledger.Job(c.id, w.coordinator.clock())
		return ok && v.State == ledger.StateDone
	})
	switch {
	case w.book.fault != nil:
		return w.book.fault
	case c.job.began == 0 || c.job.began > comes+lease+50*time.Millisecond:
		return fmt.Errorf("%+v: the small job has begun at %v", m, c.job.began)
	case !done:
		return fmt.Errorf("%+v: the small job is not done %v after it came", m, w.now-comes)
	}
	return nil
}

// TestSmallJobPasses: a small job beside a large one starts within the time of
// one lease, and its only batch within that of another.
func TestSmallJobPasses(t *testing.T) {
	mixes := max(40, *manySeeds/50)
	if testing.Short() {
		mixes = 10
	}
	for i := range mixes {
		if err := small(*firstSeed+uint64(i), 0); err != nil {
			t.Errorf("seed %d: %v", *firstSeed+uint64(i), err)
		}
	}
}
