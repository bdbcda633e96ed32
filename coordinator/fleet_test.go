package coordinator

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/fleet"
)

// workers is how all workers are, by name.
func (w *world) workers() map[string]*pb.Worker {
	w.Helper()
	list, err := w.client.Workers(w.ctx)
	w.must(err)
	if !slices.IsSortedFunc(list, func(a, b *pb.Worker) int { return strings.Compare(a.GetName(), b.GetName()) }) {
		w.Errorf("the workers are not by name: %v", list)
	}
	byName := make(map[string]*pb.Worker)
	for _, one := range list {
		byName[one.GetName()] = one
	}
	return byName
}

func named(names ...string) *pb.WorkerSelector { return &pb.WorkerSelector{Names: names} }

func labelled(key, value string) *pb.WorkerSelector {
	return &pb.WorkerSelector{Labels: map[string]string{key: value}}
}

func TestHowWorkersAre(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		f := w.dial()
		f.introduce(attachOf(func(a *pb.Attach) { a.MemoryBytes = 1 << 30 }))
		w.submit("")
		f.credit(1)
		f.grant()
		f.send(&pb.SessionRequest{Heartbeat: &pb.Heartbeat{Sequence: 1, SpoolBytes: 77}})
		f.hear(func() bool { return f.said.Heartbeat == 1 })
		w.c.Observe(fleet.Member{Name: "w", Incarnation: 1, Role: fleet.Worker, Opinion: fleet.Alive, Version: "other"})
		w.c.Observe(fleet.Member{Name: "seen", Incarnation: 9, Role: fleet.Worker, Opinion: fleet.Suspect, Slots: 3, Addresses: []string{"10.0.0.9:1"}, Version: "0.9"})
		w.c.Observe(fleet.Member{Name: "boss", Incarnation: 9, Role: fleet.Coordinator, Opinion: fleet.Alive})
		all := w.workers()
		if len(all) != 2 {
			t.Fatalf("the workers are %v", all)
		}
		one := all["w"]
		if one.GetState() != pb.WorkerState_WORKER_STATE_READY || one.GetSessionOpinion() != pb.SessionOpinion_SESSION_OPINION_ALIVE ||
			one.GetGossipOpinion() != pb.GossipOpinion_GOSSIP_OPINION_ALIVE || one.GetSlots() != 2 || one.GetRunning() != 1 ||
			one.GetMemoryBytes() != 1<<30 || one.GetSpoolBytes() != 77 || one.GetLabels()["disk"] != "fast" || one.GetZone() != "z" ||
			one.GetVersion() != "1.0.0" || len(one.GetProcessors()) != 2 || one.GetDataAddresses()[0] != "10.0.0.1:7071" ||
			one.GetDataRoots()[0] != "/data" || one.GetIncarnation() != 1 || one.GetAttached() == nil || one.GetHeard() == nil {
			t.Errorf("the worker is %v", one)
		}
		seen := all["seen"]
		if seen.GetState() != pb.WorkerState_WORKER_STATE_UNATTACHED || seen.GetGossipOpinion() != pb.GossipOpinion_GOSSIP_OPINION_SUSPECT ||
			seen.GetSlots() != 3 || seen.GetIncarnation() != 9 || seen.GetVersion() != "0.9" || seen.GetDataAddresses()[0] != "10.0.0.9:1" {
			t.Errorf("the one that gossip knows is %v", seen)
		}
		w.c.Observe(fleet.Member{Name: "seen", Incarnation: 9, Role: fleet.Worker, Opinion: fleet.Alive})
		if why := w.workers()["seen"].GetReason(); !strings.Contains(why, "its log says why") {
			t.Errorf("why it has not attached: %q", why)
		}
	})
}

// Where there is another coordinator, a worker that is not here may be there.
func TestWorkersOfAnotherCoordinator(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		f := w.dial()
		f.introduce(attachOf(func(a *pb.Attach) { a.Worker = "gone" }))
		f.hangUp()
		synctest.Wait()
		for _, name := range []string{"gone", "never"} {
			w.c.Observe(fleet.Member{Name: name, Incarnation: 1, Role: fleet.Worker, Opinion: fleet.Alive})
		}
		before := w.workers()
		boss := fleet.Member{Name: "boss", Incarnation: 9, Role: fleet.Coordinator, Opinion: fleet.Alive, Addresses: []string{"10.0.0.9:7400"}}
		w.c.Observe(boss)
		for name, one := range w.workers() {
			if why := one.GetReason(); !strings.Contains(why, "10.0.0.9:7400") || !strings.Contains(why, "stop one") {
				t.Errorf("why %s is not here: %q", name, why)
			}
		}
		for _, last := range []fleet.Opinion{fleet.Dead, fleet.Alive, fleet.Left} {
			boss.Opinion = last
			w.c.Observe(boss)
		}
		for name, one := range w.workers() {
			if one.GetReason() != before[name].GetReason() {
				t.Errorf("why %s is not here: %q, before %q", name, one.GetReason(), before[name].GetReason())
			}
		}
	})
}

// A worker that tries again and again does not flood the log.
func TestRefusalsAreLoggedNowAndThen(t *testing.T) {
	var lines strings.Builder
	inWorld(t, Config{Logger: slog.New(slog.NewTextHandler(&lines, nil))}, func(w *world) {
		first := w.dial()
		first.introduce(attachOf(func(a *pb.Attach) { a.Session, a.Incarnation = 10, 10 }))
		for i := range 30 { // within half a minute, and one long after
			second := w.dial()
			second.send(&pb.SessionRequest{Attach: attachOf(func(a *pb.Attach) { a.Session, a.Incarnation = 20, 20 })})
			w.refused("another process of the name", second.ended(), api.Conflict)
			if pass(time.Second); i == 28 {
				pass(refusalEvery)
			}
			first.send(&pb.SessionRequest{Heartbeat: &pb.Heartbeat{Sequence: uint64(i + 1)}})
			first.hear(func() bool { return first.said.Heartbeat == uint64(i+1) })
		}
	})
	said := lines.String()
	if n := strings.Count(said, "session refused"); n != 2 || !strings.Contains(said, "unlogged=28") {
		t.Errorf("it is logged %d times in\n%s", n, said)
	}
}

// That a worker does not see a job's files is logged once for each of both.
func TestWhatIsNotSeenIsLogged(t *testing.T) {
	var lines strings.Builder
	inWorld(t, Config{Logger: slog.New(slog.NewTextHandler(&lines, nil))}, func(w *world) {
		sees, blind := w.attach("sees", 1), w.attach("blind", 1)
		w.submit("")
		sees.credit(1)
		sees.plan(plan(6))
		blind.credit(3)
		for range 3 {
			blind.send(&pb.SessionRequest{Outcomes: []*pb.Outcome{{
				Fence: blind.grant().GetFence(), Class: pb.OutcomeClass_OUTCOME_CLASS_INPUT_GONE, Failure: &pb.Failure{Message: "no file /data/x"},
			}}})
			blind.ack()
		}
	})
	if said := lines.String(); strings.Count(said, "input not seen") != 1 || !strings.Contains(said, `worker=blind reason="no file /data/x"`) {
		t.Errorf("it is logged in\n%s", said)
	}
}

// The workers are asked whether they see the folder of a job that writes; nothing
// is written before, and one that has another folder ends the job.
func TestWorkersAreAskedAboutTheFolder(t *testing.T) {
	var lines strings.Builder
	inWorld(t, Config{Logger: slog.New(slog.NewTextHandler(&lines, nil))}, func(w *world) {
		planner, other := w.attach("planner", 1), w.attach("other", 1)
		told := w.submit("")
		planner.credit(2)
		writes := plan(6)
		writes.Stages[0].Output, writes.SinkMarker = pb.OutputKind_OUTPUT_KIND_FILE, "mark"
		planner.plan(writes)
		other.hear(func() bool { return len(other.said.CheckSinks) > 0 })
		synctest.Wait()
		if len(planner.said.Grants) > 0 {
			t.Fatalf("it may write before the other has answered: %v", planner.said.Grants)
		}
		asked := &other.said
		if len(asked.CheckSinks) != 1 || other.contexts[asked.CheckSinks[0].GetContext()].GetPlan().GetSinkMarker() != "mark" {
			t.Fatalf("the other hears %v", asked)
		}
		other.send(&pb.SessionRequest{Sinks: []*pb.SinkSight{{
			Job: asked.CheckSinks[0].GetJob(), View: pb.SinkView_SINK_VIEW_UNSEEN, Reason: "no marker in /out",
		}}})
		synctest.Wait()
		j, err := w.client.Get(w.ctx, told.GetId())
		if err != nil || j.GetState() != pb.JobState_JOB_STATE_FAILED || j.GetFailureClass() != pb.OutcomeClass_OUTCOME_CLASS_UNABLE {
			t.Fatalf("%v, %v", j, err)
		}
		for _, want := range []string{"other does not see what planner left", "no marker in /out", "--label"} {
			if !strings.Contains(j.GetFailure().GetMessage(), want) {
				t.Errorf("%q is not said: %s", want, j.GetFailure().GetMessage())
			}
		}
	})
	if !strings.Contains(lines.String(), `worker=other reason="no marker in /out"`) {
		t.Errorf("it is logged in\n%s", lines.String())
	}
}

// Both witnesses together have leases go back at once.
func TestGossipIsTheSecondWitness(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		f := w.attach("dies", 1)
		w.submit("")
		f.credit(1)
		f.grant()
		other := w.attach("other", 1)
		other.credit(1)
		began := time.Now()
		w.c.Observe(fleet.Member{Name: "dies", Role: fleet.Worker, Opinion: fleet.Dead})
		synctest.Wait()
		f.hangUp()
		other.grant()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the lease went on after %v", took)
		}
	})
}

func TestCordonsAndDrains(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		a := w.dial()
		a.introduce(attachOf(func(a *pb.Attach) { a.Worker = "rack1-a" }))
		b := w.dial()
		b.introduce(attachOf(func(a *pb.Attach) { a.Worker, a.Labels = "rack1-b", map[string]string{"disk": "slow", "x": "y"} }))

		told, err := w.client.Cordon(w.ctx, labelled("disk", "fast"))
		w.must(err)
		if len(told) != 1 || told[0].GetName() != "rack1-a" || told[0].GetState() != pb.WorkerState_WORKER_STATE_CORDONED {
			t.Errorf("cordoned are %v", told)
		}
		a.credit(1)
		w.submit("")
		b.credit(1)
		b.grant()
		w.submit("")
		told, err = w.client.Uncordon(w.ctx, named("rack1-a"))
		w.must(err)
		if len(told) != 1 || told[0].GetState() != pb.WorkerState_WORKER_STATE_READY {
			t.Errorf("uncordoned are %v", told)
		}
		a.grant()

		told, err = w.client.Drain(w.ctx, named("rack1-a", "rack1-b"), 7*time.Second)
		w.must(err)
		if len(told) != 2 || told[0].GetState() != pb.WorkerState_WORKER_STATE_DRAINING {
			t.Errorf("drained are %v", told)
		}
		for _, f := range []*fakeWorker{a, b} {
			f.hear(func() bool { return f.said.Drain })
			if d := f.said.DrainWithin.AsDuration(); d > 7*time.Second || d < 6*time.Second {
				t.Errorf("%s may take %v", f.name, d)
			}
		}
		told, err = w.client.Drain(w.ctx, labelled("no", "such"), -1)
		if err != nil || len(told) != 0 {
			t.Errorf("labels that nobody carries mean %v, %v", told, err)
		}
	})
}

func TestWhoIsMeant(t *testing.T) {
	labels := func(pairs ...string) (list []ledger.Label) {
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, ledger.Label{Key: pairs[i], Value: pairs[i+1]})
		}
		return list
	}
	workers := []ledger.WorkerView{
		{Name: "alpha", Labels: labels("a", "1", "b", "2")}, {Name: "alpine", Labels: labels("a", "1")}, {Name: "beta"},
	}
	for _, c := range []struct {
		who  *pb.WorkerSelector
		want string
	}{
		{named("beta"), "beta"},
		{named("beta", "alpha", "beta"), "alpha beta"},
		{labelled("a", "1"), "alpha alpine"},
		{&pb.WorkerSelector{Labels: map[string]string{"a": "1", "b": "2"}}, "alpha"},
		{&pb.WorkerSelector{Names: []string{"beta"}, Labels: map[string]string{"b": "2"}}, "alpha beta"},
		{labelled("a", "2"), ""},
		{labelled("", ""), ""},
	} {
		ids, err := selected(c.who, workers)
		got := strings.Trim(fmt.Sprint(ids), "[]")
		if err != nil || got != c.want {
			t.Errorf("%v means %q, %v; want %q", c.who, got, err, c.want)
		}
	}
	_, err := selected(named("alpin"), workers)
	if err == nil || api.CodeOf(err) != api.NotFound || !strings.Contains(err.Error(), "alpine, alpha, beta") {
		t.Errorf("a wrong name: %v", err)
	}
	many := make([]ledger.WorkerView, 10_000)
	for i := range many {
		many[i].Name = ledger.WorkerID(fmt.Sprintf("node-%d", i))
	}
	if _, err := selected(named("node-77777"), many); err == nil || !strings.Contains(err.Error(), "node-7777,") || len(err.Error()) > 300 {
		t.Errorf("a wrong name among many: %v", err)
	}
}

func TestSelectorsHaveLimits(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		for what, who := range map[string]*pb.WorkerSelector{
			"nobody":         {},
			"10,001 names":   {Names: make([]string, 10_001)},
			"nothing at all": nil,
		} {
			_, err := w.client.Cordon(w.ctx, who)
			w.refused(what, err, api.Invalid)
		}
		_, err := w.client.Drain(w.ctx, named("x"), 48*time.Hour)
		w.refused("a drain of two days", err, api.Invalid)
		_, err = w.client.Cordon(w.ctx, named("x"))
		w.refused("an unknown name", err, api.NotFound)
	})
}

// What is kept of workers does not grow with those that come and go.
func TestStrangersAreForgotten(t *testing.T) {
	b := newFleetBook(func() []ledger.WorkerView { return []ledger.WorkerView{{Name: "7"}} })
	stopped := 0
	for i := range 10 * firstSweep {
		b.of(ledger.WorkerID(fmt.Sprint(i))).probe = func() { stopped++ }
		if len(b.workers) > firstSweep {
			t.Fatalf("%d are known", len(b.workers))
		}
	}
	if b.workers["7"] == nil || stopped < 8*firstSweep {
		t.Errorf("%d are left, and %d probes were stopped", len(b.workers), stopped)
	}
}

// Each transition of a worker is one line of the log.
func TestTransitionsOfWorkersAreLogged(t *testing.T) {
	var lines strings.Builder
	logger := slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	inWorld(t, Config{Logger: logger}, func(w *world) {
		f := w.attach("w", 1)
		observe := func(o fleet.Opinion) {
			w.c.Observe(fleet.Member{Name: "w", Role: fleet.Worker, Opinion: o})
			w.workers()
		}
		observe(fleet.Alive)
		observe(fleet.Suspect)
		observe(fleet.Alive)
		_, err := w.client.Cordon(w.ctx, named("w"))
		w.must(err)
		_, err = w.client.Uncordon(w.ctx, named("w"))
		w.must(err)
		f.send(&pb.SessionRequest{Drain: true})
		synctest.Wait()
		f.hangUp()
		synctest.Wait()
	})
	at := 0
	for _, want := range []string{
		`level=INFO msg="worker attached" worker=w`,
		`level=WARN msg="worker suspected" worker=w before=ready`,
		`level=INFO msg="worker ready" worker=w before=suspected`,
		`level=INFO msg="worker cordoned" worker=w before=ready`,
		`level=INFO msg="worker ready" worker=w before=cordoned`,
		`level=INFO msg="worker draining" worker=w before=ready`,
		`level=INFO msg="worker away" worker=w before=draining`,
	} {
		i := strings.Index(lines.String()[at:], want)
		if i < 0 {
			t.Fatalf("%s is not there, or not in order, in\n%s", want, lines.String())
		}
		at += i
	}
	if n := strings.Count(lines.String(), "msg=\"worker ready"); n != 2 {
		t.Errorf("it is ready %d times in\n%s", n, lines.String())
	}
}
