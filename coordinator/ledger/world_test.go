package ledger_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/coordinator/journal"
	"github.com/millrace/millrace/coordinator/ledger"
	"pgregory.net/rapid"
)

// world is a small, careless world around a ledger: rapid draws what happens,
// and everything that the ledger holds is checked after each step.
type world struct {
	t       *rapid.T
	cfg     ledger.Config
	log     *journal.Memory
	l       *ledger.Ledger
	term    ledger.Term
	at      ledger.Time
	seed    uint64
	workers []*fake
	outputs map[ledger.OutputID][]span
	result  map[ledger.JobID][]span
	ready   map[ledger.JobID][]ledger.Output
	ended   map[ledger.JobID]ledger.JobState
	jobs    int
	made    int
	empty   map[ledger.JobID][]span // ranges that somebody did without an output
	kind    map[ledger.JobID]*ledger.Plan
}

type span struct{ from, to ledger.Position }

// fake is a worker: the leases that it holds, and its outcomes without answer.
type fake struct {
	id       ledger.WorkerID
	session  ledger.SessionID
	life     uint64 // its incarnation
	up       bool
	leases   []*ledger.Lease
	outcomes []ledger.Outcome
	spool    []ledger.OutputID
	owed     uint32 // credit for leases that were revoked
}

func newWorld(t *rapid.T) *world {
	w := &world{
		t: t, cfg: ledger.DefaultConfig(), log: journal.NewMemory(), term: 1,
		outputs: map[ledger.OutputID][]span{}, result: map[ledger.JobID][]span{}, ready: map[ledger.JobID][]ledger.Output{},
		ended: map[ledger.JobID]ledger.JobState{}, kind: map[ledger.JobID]*ledger.Plan{}, empty: map[ledger.JobID][]span{},
	}
	w.cfg.StandStill = 0
	w.cfg.MergeFanIn, w.cfg.ResultWindow, w.cfg.AloneBytes = 3, 2, 20
	w.cfg.FirstBatchBytes, w.cfg.MinBatchBytes, w.cfg.UnreadBytes = 16, 4, 30
	w.cfg.Quotas = map[string]int{"a": rapid.IntRange(1, 3).Draw(t, "quota")}
	w.l = ledger.New(w.cfg, ledger.NewState(), 1, 0)
	for i := range 3 {
		w.workers = append(w.workers, &fake{id: ledger.WorkerID(fmt.Sprintf("w%d", i))})
	}
	return w
}

func (w *world) step(e ledger.Event) {
	w.seed++
	effects := slices.Clone(w.l.Step(w.at, w.seed, e))
	if err := w.l.Faults(); err != nil {
		w.t.Fatalf("after %T %+v: %v", e, e, err)
	}
	for _, x := range effects {
		w.effect(x)
	}
	if facts := w.log.Committed(); len(facts) > 0 {
		w.step(ledger.Committed{Facts: facts})
	}
}

func (w *world) worker(id ledger.WorkerID, session ledger.SessionID) *fake {
	for _, f := range w.workers {
		if f.id == id && f.session == session && f.up {
			return f
		}
	}
	return nil
}

func (w *world) effect(x ledger.Effect) {
	switch x := x.(type) {
	case ledger.Append:
		if err := w.log.Append(x.Facts); err != nil {
			w.t.Fatal(err)
		}
	case ledger.Grant:
		if f := w.worker(x.Worker, x.Session); f != nil {
			f.leases = append(f.leases, x.Lease)
		}
	case ledger.Attached:
		if f := w.worker(x.Worker, x.Session); f != nil {
			f.leases = slices.DeleteFunc(f.leases, func(l *ledger.Lease) bool { return !slices.Contains(x.Keep, l.Fence) })
		}
	case ledger.Revoke:
		if f := w.worker(x.Worker, x.Session); f != nil && !x.IfWaiting {
			f.drop(x.Fence)
			f.owed++
		}
	case ledger.Ack:
		w.answered(x.Worker, x.Session, x.Fence)
	case ledger.Refuse:
		w.answered(x.Worker, x.Session, x.Fence)
	case ledger.RefuseSession:
		if f := w.worker(x.Worker, x.Session); f != nil {
			f.up = false
		}
	case ledger.OutputReady:
		if x.Restart {
			w.ready[x.Job] = nil
		}
		w.ready[x.Job] = append(w.ready[x.Job], x.Outputs...)
	case ledger.JobEnded:
		w.ended[x.Job] = x.State
	}
}

func (f *fake) drop(fence ledger.Fence) {
	f.leases = slices.DeleteFunc(f.leases, func(l *ledger.Lease) bool { return l.Fence == fence })
}

func (w *world) answered(id ledger.WorkerID, s ledger.SessionID, fence ledger.Fence) {
	if f := w.worker(id, s); f != nil {
		f.outcomes = slices.DeleteFunc(f.outcomes, func(o ledger.Outcome) bool { return o.Fence == fence })
	}
}

func (w *world) submit() {
	if w.jobs == 4 {
		return
	}
	w.jobs++
	w.step(ledger.JobSubmitted{Settings: ledger.Settings{
		Keep: rapid.Bool().Draw(w.t, "keep"), User: rapid.SampledFrom([]string{"", "a"}).Draw(w.t, "user"),
		MaxAttempts: 1000, Priority: int32(rapid.IntRange(0, 1).Draw(w.t, "priority")),
		MaxConcurrency: uint32(rapid.IntRange(0, 3).Draw(w.t, "limit")),
		MaxSpoolBytes:  max(int64(rapid.IntRange(-100, 200).Draw(w.t, "spool")), 0),
	}})
	if rapid.Bool().Draw(w.t, "read") {
		w.step(ledger.ResultRequested{Job: ledger.JobID(w.jobs)})
	}
}

// plan draws the plan of a job.
func (w *world) plan(job ledger.JobID) *ledger.Plan {
	if p := w.kind[job]; p != nil {
		return p
	}
	p := &ledger.Plan{}
	for range rapid.IntRange(0, 4).Draw(w.t, "fragments") {
		n := int64(rapid.IntRange(1, 60).Draw(w.t, "extent"))
		p.Fragments = append(p.Fragments, ledger.Fragment{
			Unit: ledger.UnitBytes, Extent: n, SizeBytes: n, Whole: rapid.Bool().Draw(w.t, "whole"),
		})
	}
	cut := ledger.Cut{Rule: ledger.CutRule(rapid.IntRange(1, 5).Draw(w.t, "rule")), Size: 5}
	p.Stages = []ledger.Stage{{Name: "a", Input: ledger.InputSource, Output: ledger.OutputBytes, Cut: cut, Mergeable: true}}
	if limit := int64(rapid.IntRange(-40, 80).Draw(w.t, "prefix")); limit >= 0 {
		p.Stages[0].PrefixLimit = &limit
	}
	if rapid.Bool().Draw(w.t, "collect") {
		p.Stages = append(p.Stages, ledger.Stage{Name: "b", Input: ledger.InputCollect, Output: ledger.OutputBytes})
	}
	w.kind[job] = p
	return p
}

// covers returns the positions of the source that a lease's output stands for.
func (w *world) covers(x *ledger.Lease) (all []span) {
	if x.Kind == ledger.LeaseProcess && x.Stage == 0 {
		return []span{{x.From, x.To}}
	}
	for _, in := range x.Inputs {
		all = append(all, w.outputs[in.ID]...)
	}
	return all
}

// finish ends a lease of a worker.
func (w *world) finish(f *fake, i int, class ledger.OutcomeClass) {
	x := f.leases[i]
	f.drop(x.Fence)
	o := ledger.Outcome{Fence: x.Fence, Class: class, Elapsed: time.Millisecond, Granted: x}
	if class == ledger.OutcomeDone {
		w.finished(f, x, &o)
	}
	if class == ledger.OutcomeMissing {
		w.misses(x, &o)
	}
	f.outcomes = append(f.outcomes, o)
	w.step(ledger.OutcomeReported{Worker: f.id, Session: f.session, Outcome: o})
	w.credit(f, 1, x.Bytes)
}

// misses draws which inputs of a lease could not be had.
func (w *world) misses(x *ledger.Lease, o *ledger.Outcome) {
	for _, in := range x.Inputs {
		if rapid.Bool().Draw(w.t, "missing") {
			o.Missing = append(o.Missing, ledger.Missing{Output: in.ID, Gone: rapid.Bool().Draw(w.t, "gone")})
		}
	}
}

// credit grants credit for leases that have ended.
func (w *world) credit(f *fake, n uint32, bytes int64) {
	n, f.owed = n+f.owed, 0
	w.step(ledger.CreditGranted{Worker: f.id, Session: f.session, Batches: n, Bytes: bytes})
}

func (w *world) finished(f *fake, x *ledger.Lease, o *ledger.Outcome) {
	switch x.Kind {
	case ledger.LeasePlan:
		o.Plan = w.plan(x.Fence.Job)
		return
	case ledger.LeaseProcess:
		o.Counters = ledger.Counters{RecordsIn: int64(x.To - x.From), Custom: []ledger.Count{{Name: "n", Value: int64(x.To - x.From)}}}
	}
	covered := w.covers(x)
	if x.Kind == ledger.LeaseProcess && x.Stage == 0 && x.From%3 == 0 {
		w.empty[x.Fence.Job] = append(w.empty[x.Fence.Job], covered...)
		return
	}
	for _, s := range covered {
		o.Counters.RecordsOut += int64(s.to - s.from)
	}
	w.made++
	id := ledger.OutputID(fmt.Sprintf("o%d", w.made))
	w.outputs[id] = covered
	f.spool = append(f.spool, id)
	o.Counters.BytesOut = 1
	for _, s := range covered {
		o.Counters.BytesOut += int64(s.to - s.from)
	}
	o.Output = ledger.Output{ID: id, Kind: ledger.OutputBytes, Bytes: o.Counters.BytesOut}
}

func (w *world) attach(f *fake, keep bool) {
	f.session++
	f.up, f.owed = true, 0
	if !keep {
		f.leases, f.outcomes, f.spool = nil, nil, nil
		f.life++
	}
	e := ledger.WorkerAttached{Worker: f.id, Session: f.session, Incarnation: f.life, Slots: 2, Outcomes: slices.Clone(f.outcomes), Outputs: slices.Clone(f.spool)}
	for i, x := range f.leases {
		e.Leases = append(e.Leases, ledger.HeldLease{Lease: *x, Started: i < 2})
	}
	w.step(e)
	w.step(ledger.CreditGranted{Worker: f.id, Session: f.session, Batches: uint32(max(3-len(f.leases), 0)), Bytes: 1000})
}

func (w *world) restart() {
	w.log.Lose()
	snapshot, facts, err := w.log.Restore()
	if err != nil {
		w.t.Fatal(err)
	}
	state, err := ledger.Restore(snapshot, facts...)
	if err != nil {
		w.t.Fatal(err)
	}
	if rapid.Bool().Draw(w.t, "snapshot") {
		if err := w.log.Snapshot(state.Encode()); err != nil {
			w.t.Fatal(err)
		}
	}
	w.term++
	w.l = ledger.New(w.cfg, state, w.term, w.at)
	for _, f := range w.workers {
		f.up = false
	}
	for i := range w.jobs {
		w.ready[ledger.JobID(i+1)] = nil
		w.step(ledger.ResultRequested{Job: ledger.JobID(i + 1)})
	}
}

// consume delivers the next output of a job's result.
func (w *world) consume(job ledger.JobID) {
	if next := w.ready[job]; len(next) > 0 {
		w.ready[job] = next[1:]
		w.result[job] = append(w.result[job], w.outputs[next[0].ID]...)
		w.step(ledger.ResultConsumed{Job: job, Output: next[0].ID})
	}
}

// TestRandomWorlds lets anything happen, and then lets everything come to its
// end: each job must be done, with every position counted once, and its result
// must be the source in order.
func TestRandomWorlds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.submit()
		t.Repeat(map[string]func(*rapid.T){
			"submit": func(*rapid.T) { w.submit() },
			"time": func(t *rapid.T) {
				w.at += ledger.Time(rapid.Int64Range(0, int64(6*time.Second)).Draw(t, "time"))
				w.step(ledger.Ticked{})
			},
			"attach": func(t *rapid.T) { w.attach(w.any(t), rapid.Bool().Draw(t, "keep")) },
			"silent": func(t *rapid.T) {
				if f := w.any(t); f.up {
					f.up = false
					w.step(ledger.SessionLost{Worker: f.id, Session: f.session})
					if rapid.Bool().Draw(t, "dead") {
						w.step(ledger.WorkerRefused{Worker: f.id, Session: f.session})
					}
				}
			},
			"beat": func(t *rapid.T) {
				if f := w.any(t); f.up {
					w.step(ledger.Heartbeat{Worker: f.id, Session: f.session})
				}
			},
			"gossip": func(t *rapid.T) {
				f := w.any(t)
				w.step(ledger.Gossiped{
					Worker: f.id, Incarnation: f.life - min(f.life, rapid.SampledFrom([]uint64{0, 0, 0, 1}).Draw(t, "ago")),
					Opinion: ledger.Opinion(rapid.IntRange(0, 4).Draw(t, "opinion")),
				})
			},
			"refused": func(t *rapid.T) {
				f := w.any(t)
				w.step(ledger.WorkerRefused{Worker: f.id, Session: f.session})
			},
			"cordon": func(t *rapid.T) {
				w.step(ledger.WorkersCordoned{
					Workers: []ledger.WorkerID{w.any(t).id}, Cordoned: rapid.Bool().Draw(t, "cordoned"),
				})
			},
			"drain": func(t *rapid.T) {
				w.step(ledger.WorkersDrained{Workers: []ledger.WorkerID{w.any(t).id}, Within: time.Second})
			},
			"finish": func(t *rapid.T) {
				f := w.any(t)
				if n := len(f.leases); f.up && n > 0 {
					class := rapid.SampledFrom([]ledger.OutcomeClass{1, 1, 1, 1, 1, 3, 5, 8, 9, 11}).Draw(t, "class")
					w.finish(f, rapid.IntRange(0, n-1).Draw(t, "lease"), class)
				}
			},
			"lost": func(t *rapid.T) {
				if f := w.any(t); len(f.spool) > 0 {
					w.step(ledger.OutputLost{Outputs: []ledger.OutputID{rapid.SampledFrom(f.spool).Draw(t, "output")}})
				}
			},
			"shelve": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "small") == 0 {
					w.shelve(ledger.JobID(rapid.IntRange(1, w.jobs).Draw(t, "job")))
				}
			},
			"remove": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "done") == 0 {
					w.step(ledger.JobRemoved{Job: ledger.JobID(rapid.IntRange(1, w.jobs).Draw(t, "job"))})
				}
			},
			"consume": func(t *rapid.T) { w.consume(ledger.JobID(rapid.IntRange(1, w.jobs).Draw(t, "job"))) },
			"leave": func(t *rapid.T) {
				w.step(ledger.ReaderGone{Job: ledger.JobID(rapid.IntRange(1, w.jobs).Draw(t, "job"))})
			},
			"hold": func(*rapid.T) { w.log.Hold() },
			"commit": func(t *rapid.T) {
				w.log.Release(rapid.IntRange(1, 3).Draw(t, "entries"))
				w.step(ledger.Ticked{})
			},
			"restart": func(*rapid.T) { w.restart() },
			"":        func(*rapid.T) {},
		})
		w.settle()
	})
}

func (w *world) any(t *rapid.T) *fake {
	return w.workers[rapid.IntRange(0, len(w.workers)-1).Draw(t, "worker")]
}

// settle lets every worker work without faults until all jobs have ended.
func (w *world) settle() {
	for w.log.Release(1<<30) > 0 {
	}
	w.at += ledger.Time(4 * time.Second) // whoever has a name does not keep it
	w.step(ledger.Ticked{})
	for _, f := range w.workers {
		w.attach(f, false) // as a new process: it does not drain
		w.step(ledger.Gossiped{Worker: f.id, Incarnation: f.life, Opinion: ledger.OpinionAlive})
		w.step(ledger.WorkersCordoned{Workers: []ledger.WorkerID{f.id}})
	}
	for i := range w.jobs {
		w.ready[ledger.JobID(i+1)] = nil
		w.step(ledger.ResultRequested{Job: ledger.JobID(i + 1)})
	}
	for range 400 {
		w.at += ledger.Time(time.Second)
		w.log.Release(1 << 30)
		w.step(ledger.Ticked{})
		for _, f := range w.workers {
			w.step(ledger.Heartbeat{Worker: f.id, Session: f.session})
			w.credit(f, 0, 0)
			if len(f.leases) > 0 {
				w.finish(f, 0, ledger.OutcomeDone)
			}
		}
		for i := range w.jobs {
			w.consume(ledger.JobID(i + 1))
		}
		w.log.Release(1 << 30)
		w.step(ledger.Ticked{})
		if w.over() {
			w.judge()
			return
		}
	}
	for i := range w.jobs {
		v, _ := w.l.Job(ledger.JobID(i+1), w.at)
		w.t.Logf("job %d: state %d, %+v, waits %v", i+1, v.State, v.Stats, w.l.Explain(ledger.JobID(i+1), w.at))
	}
	w.t.Fatal("the jobs do not end")
}

func (w *world) over() bool {
	for i := range w.jobs {
		v, ok := w.l.Job(ledger.JobID(i+1), w.at)
		switch {
		case ok && !v.State.Over():
			return false
		case ok && v.State == ledger.StateDone && !v.ResultRead && !w.takeKept(v):
			return false
		}
	}
	return true
}

// takeKept takes the kept result of a job, if it is whole; otherwise it asks
// for what is lost.
func (w *world) takeKept(v ledger.JobView) bool {
	parts, complete := w.l.Result(v.ID)
	switch {
	case !v.Kept:
		return false
	case !complete:
		w.step(ledger.ResultRequested{Job: v.ID})
		return false
	case v.Shelved:
		return true
	}
	w.result[v.ID] = nil
	for _, p := range parts {
		w.result[v.ID] = append(w.result[v.ID], w.outputs[p.Output.ID]...)
	}
	return true
}

// shelve copies a kept result, if it is whole.
func (w *world) shelve(id ledger.JobID) {
	if v, ok := w.l.Job(id, w.at); ok && v.State == ledger.StateDone && v.Kept && !v.Shelved && w.takeKept(v) {
		w.step(ledger.ResultShelved{Job: id})
	}
}

func (w *world) judge() {
	for i := range w.jobs {
		id := ledger.JobID(i + 1)
		v, ok := w.l.Job(id, w.at)
		if !ok || v.State != ledger.StateDone {
			continue // lost with its leader, or failed as it may
		}
		want := v.Stats.PositionsTotal
		if got := v.Stats.Counters.RecordsIn; got != want {
			w.t.Fatalf("job %d has %d positions, and counted %d", id, want, got)
		}
		last := ledger.Position(0)
		for _, s := range w.result[id] {
			if s.from < last {
				w.t.Fatalf("job %d: the result has [%d,%d) behind %d", id, s.from, s.to, last)
			}
			last = s.to
		}
		w.judgeCoverage(id, ledger.Position(want))
		w.judgePrefix(id, ledger.Position(want))
	}
}

// judgeCoverage checks that every position is in the result, unless somebody
// had no output for it.
func (w *world) judgeCoverage(id ledger.JobID, total ledger.Position) {
	seen := make([]bool, total)
	mark := func(spans []span) {
		for _, s := range spans {
			for p := s.from; p < min(s.to, total); p++ {
				seen[p] = true
			}
		}
	}
	mark(w.result[id])
	mark(w.empty[id])
	if p := slices.Index(seen, false); p >= 0 {
		w.t.Fatalf("job %d: position %d is not in the result", id, p)
	}
}

// judgePrefix checks that a job has ended where it should: behind the last
// position, or where the outputs had become enough.
func (w *world) judgePrefix(id ledger.JobID, end ledger.Position) {
	plan := w.kind[id]
	all, records := ledger.Position(0), int64(0)
	for _, f := range plan.Fragments {
		all += ledger.Position(f.Extent)
	}
	for _, s := range w.result[id] {
		records += int64(s.to - s.from)
		if s.to > end {
			w.t.Fatalf("job %d ends at %d, and its result has [%d,%d)", id, end, s.from, s.to)
		}
	}
	limit := plan.Stages[0].PrefixLimit
	if end != all && (limit == nil || records < *limit) {
		w.t.Fatalf("job %d ended at %d of %d positions with %d records", id, end, all, records)
	}
	if n := len(w.result[id]); end == all && limit != nil && n > 0 {
		last := w.result[id][n-1]
		if before := records - int64(last.to-last.from); before >= *limit && last.from > 0 {
			w.t.Fatalf("job %d went on to [%d,%d), and had %d records before: %d were enough", id, last.from, last.to, before, *limit)
		}
	}
}
