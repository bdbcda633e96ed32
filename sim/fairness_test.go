package sim

import (
	"fmt"
	"math/rand/v2"
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
	for range 2 + pick(6) {
		j := mixed{
			weight: []float64{0, 0.5, 1, 2, 3, 5}[pick(6)], user: []string{"ann", "bob", ""}[pick(3)],
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
	slots  []float64          // that each job has had
	leases []float64          // that each job has held
	users  map[string]float64 // the same, of each user
}

// measure lets a mix be served, and measures what each has.
func (m *mix) measure(w *world, from, to time.Duration) shares {
	const every = 10 * time.Millisecond
	w.run(from, nil)
	s := shares{leases: make([]float64, len(m.jobs)), users: map[string]float64{}}
	before := w.worked(len(m.jobs))
	for at := from; at < to; at += every {
		w.run(at, nil)
		for i, c := range w.clients {
			n := float64(w.book.running(c.id)) * every.Seconds() / (to - from).Seconds()
			s.leases[i] += n
			s.users[m.jobs[i].user] += n
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

// A tenth is what may be missing of a share.
const fair = 0.9

// bottleneck is why a job has no more, empty if there is no good reason. In a
// max-min fair share everybody has one: it holds all leases that it may have;
// or its user does, and no other job of that user has more for its weight; or
// all slots are taken, and no other job of its priority has more for its weight.
func (m *mix) bottleneck(i int, s *shares) string {
	j, all, lower := m.jobs[i], 0.0, 0.0
	most, mostOfUser := 0.0, 0.0 // for their weight
	for k, other := range m.jobs {
		all += s.slots[k]
		switch each := s.slots[k] / weightOf(other); {
		case other.priority < j.priority:
			lower += s.slots[k]
		case other.priority == j.priority && other.user == j.user:
			mostOfUser = max(mostOfUser, each)
			most = max(most, each)
		case other.priority == j.priority:
			most = max(most, each)
		}
	}
	total := float64(m.workers * m.slots)
	quota := float64(m.quotas[j.user])
	has := s.slots[i] / weightOf(j)
	switch {
	case j.limit > 0 && s.leases[i] >= fair*float64(j.limit):
		return "its limit"
	case quota > 0 && s.users[j.user] >= fair*quota && has >= fair*mostOfUser:
		return "its user's quota"
	case all >= 0.97*total && lower < 0.03*total && has >= fair*most:
		return "the slots"
	}
	return ""
}

// TestFairness: over many mixes of jobs each has the share that is due to it,
// within a tenth.
func TestFairness(t *testing.T) {
	mixes := max(20, *manySeeds/50)
	if testing.Short() {
		mixes = 2
	}
	for i := range mixes {
		seed := *firstSeed + uint64(i)
		m := drawMix(rand.New(rand.NewPCG(seed, 1)))
		w := m.world(seed)
		s := m.measure(w, 60*time.Second, 150*time.Second)
		if w.book.fault != nil {
			t.Errorf("seed %d: %v", seed, w.book.fault)
		}
		for j := range m.jobs {
			if m.bottleneck(j, &s) == "" {
				t.Errorf("seed %d: job %d should have had more\n%+v\nslots %.2f\nleases %.2f of users %v", seed, j+1, m, s.slots, s.leases, s.users)
				break
			}
		}
	}
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
