package coordinator

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

func TestJobRunsToItsEnd(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		f := w.attach("w1", 1)
		told := w.runJob(f, 10, func(i int64) []byte { return fmt.Appendf(nil, "batch %d\n", i) })
		go f.serve()
		r, err := w.client.Result(w.ctx, told.GetId())
		w.must(err)
		defer r.Close()
		got, err := io.ReadAll(r)
		w.must(err)
		var want strings.Builder
		for i := range 10 {
			fmt.Fprintf(&want, "batch %d\n", i)
		}
		if string(got) != want.String() {
			t.Errorf("the result is %q", got)
		}
		if h := r.Header(); h.GetFormat() != pb.Format_FORMAT_LINES || len(h.GetColumns()) != 1 {
			t.Errorf("the header is %v", h)
		}
		done := w.until(told.GetId(), pb.JobState_JOB_STATE_DONE)
		if s := done.GetStats(); s.GetBatchesDone() != 10 || s.GetCounters().GetRecordsIn() != 10 || s.GetCounters().GetRecordsOut() != 10 {
			t.Errorf("the stats are %v", s)
		}
		if done.GetName() != "test" || !slices.Contains(done.GetNotes(), "planned by a test") || done.GetEnded() == nil {
			t.Errorf("the job is %v", done)
		}
	})
}

func TestLeasesCarryAllThatAWorkerNeeds(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		f := w.attach("w1", 1)
		told := w.submit("", func(s *pb.JobSpec) {
			s.Limits = &pb.Limits{BatchTimeout: durationpb.New(time.Minute), SkipBadRecords: 7}
		})
		f.credit(10)
		p := plan(3)
		p.Fragments[0].Path, p.Fragments[0].Cuts = "/data/a", []int64{1, 2}
		f.plan(p)
		for i, l := range f.grants(3) {
			c, s := f.contexts[l.GetContext()], l.GetSplits()
			if c.GetJobId() != told.GetId() || c.GetStage().GetName() != "cat" || c.GetSpec().GetName() != "test" ||
				c.GetPlan().GetResultFormat() != pb.Format_FORMAT_LINES || len(c.GetPlan().GetFragments()) > 0 {
				t.Errorf("lease %d: the context is %v", i, c)
			}
			if len(s) != 1 || s[0].GetFrom() != int64(i) || s[0].GetTo() != int64(i)+1 ||
				s[0].GetSource().GetPath() != "/data/a" || len(s[0].GetSource().GetCuts()) > 0 {
				t.Errorf("lease %d: the splits are %v", i, s)
			}
			if l.GetTimeout().AsDuration() != time.Minute || l.GetMaySkip() != 7 || l.GetPosition() != int64(i) || l.GetEndPosition() != int64(i)+1 {
				t.Errorf("lease %d is %v", i, l)
			}
		}
		if len(f.contexts) != 2 {
			t.Errorf("%d contexts were sent: one for planning and one for the stage are needed", len(f.contexts))
		}
	})
}

func TestSubmissionIsIdempotentByItsKey(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		labels := func(s *pb.JobSpec) { s.Labels = map[string]string{"a": "1", "b": "2", "c": "3"} }
		first, again, other := w.submit("k", labels), w.submit("k", labels), w.submit("", labels)
		if first.GetId() != again.GetId() || first.GetId() == other.GetId() {
			t.Errorf("the jobs are %s, %s and %s", first.GetId(), again.GetId(), other.GetId())
		}
		_, err := w.client.Submit(w.ctx, spec(), "k")
		if e := w.refused("another job of the same key", err, api.Invalid); !strings.Contains(e.Message, first.GetId()) {
			t.Errorf("the refusal does not name the job: %v", e)
		}
		jobs, err := w.client.List(w.ctx, 0)
		w.must(err)
		if len(jobs) != 2 || jobs[0].GetId() != other.GetId() {
			t.Errorf("the jobs are %v", jobs)
		}
		one, err := w.client.List(w.ctx, 1)
		w.must(err)
		if len(one) != 1 {
			t.Errorf("%d jobs were listed where 1 was asked for", len(one))
		}
	})
}

func TestBadRequestsAreRefused(t *testing.T) {
	inWorld(t, Config{MaxJobs: 1}, func(w *world) {
		faulty := func(s *pb.JobSpec) { s.Stages, s.Source = nil, nil }
		_, err := w.client.Submit(w.ctx, spec(faulty), "")
		e := w.refused("a job without stages and source", err, api.Invalid)
		if !strings.Contains(e.Message, "stages") || !strings.Contains(e.Message, "source") {
			t.Errorf("not all faults are told: %v", e)
		}
		_, err = w.client.Submit(w.ctx, nil, "")
		w.refused("no job", err, api.Invalid)
		_, err = w.client.Submit(w.ctx, spec(), strings.Repeat("k", 201))
		w.refused("a long key", err, api.Invalid)
		_, err = w.client.Submit(w.ctx, spec(func(s *pb.JobSpec) { s.Source = &pb.Source{Stdin: true} }), "")
		w.refused("standard input", err, api.Invalid)
		_, err = w.client.List(w.ctx, 1001)
		w.refused("a long list", err, api.Invalid)

		told := w.submit("")
		_, err = w.client.Submit(w.ctx, spec(), "")
		w.refused("a job too many", err, api.Full)

		for _, id := range []string{"", "nonsense", "1", told.GetId() + "1", "0" + told.GetId(), strings.ToUpper(told.GetId())} {
			_, err := w.client.Get(w.ctx, id)
			w.refused("Get of "+id, err, api.NotFound)
			_, err = w.client.Cancel(w.ctx, id, "")
			w.refused("Cancel of "+id, err, api.NotFound)
			_, err = w.client.Explain(w.ctx, id)
			w.refused("Explain of "+id, err, api.NotFound)
			_, err = w.client.Result(w.ctx, id)
			w.refused("Result of "+id, err, api.NotFound)
			for _, err := range w.client.Watch(w.ctx, id) {
				w.refused("Watch of "+id, err, api.NotFound)
			}
		}
	})
}

func TestCancelRevokesAndEnds(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		f := w.attach("w1", 1)
		told := w.submit("")
		f.credit(10)
		f.plan(plan(5))
		leases := f.grants(5)
		f.done(leases[0], []byte("x"))
		f.ack()
		r, err := w.client.Result(w.ctx, told.GetId())
		w.must(err)
		defer r.Close()
		cancelled, err := w.client.Cancel(w.ctx, told.GetId(), "changed my mind")
		w.must(err)
		if cancelled.GetState() != pb.JobState_JOB_STATE_CANCELLED || !slices.Contains(cancelled.GetNotes(), "cancelled: changed my mind") {
			t.Errorf("the job is %v", cancelled)
		}
		f.hear(func() bool { return len(f.said.Revokes) == 4 && len(f.said.EndedJobs) == 1 })
		_, err = io.ReadAll(r)
		w.refused("the result of a cancelled job", err, api.Cancelled)
		_, err = w.client.Result(w.ctx, told.GetId())
		w.refused("the result of a cancelled job", err, api.Cancelled)
		_, err = w.client.Cancel(w.ctx, told.GetId(), "")
		w.must(err) // it is what the client wanted
		_, err = w.client.Pause(w.ctx, told.GetId())
		w.refused("a pause after the end", err, api.Conflict)
		f.done(leases[1], nil)
		if a := f.ack(); !a.GetStale() {
			t.Error("an outcome of a cancelled job was taken")
		}
	})
}

func TestPauseAndResume(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		f := w.attach("w1", 1)
		told := w.submit("")
		f.credit(3)
		f.plan(plan(5))
		f.grants(2)
		paused, err := w.client.Pause(w.ctx, told.GetId())
		w.must(err)
		if !paused.GetPaused() {
			t.Error("the job is not paused")
		}
		f.credit(2)
		explained, err := w.client.Explain(w.ctx, told.GetId())
		w.must(err)
		if len(explained.GetWaiting()) == 0 || !strings.Contains(explained.GetWaiting()[0], "paused") {
			t.Errorf("it waits because of %q", explained.GetWaiting())
		}
		if explained.GetFragments() != 1 || len(explained.GetPlan().GetStages()) != 1 || len(explained.GetCutting()) == 0 {
			t.Errorf("it is explained as %v", explained)
		}
		resumed, err := w.client.Resume(w.ctx, told.GetId())
		w.must(err)
		if resumed.GetPaused() || len(f.said.Grants) != 0 {
			t.Errorf("paused: %v; leases granted meanwhile: %v", resumed.GetPaused(), f.said.Grants)
		}
		f.grants(2)
	})
}

func TestFailureArrivesTyped(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		f := w.attach("w1", 1)
		told := w.submit("")
		f.credit(10)
		f.plan(plan(2))
		l := f.grants(2)[0]
		r, err := w.client.Result(w.ctx, told.GetId())
		w.must(err)
		defer r.Close()
		bad := &pb.BadRecord{File: "/data/a", Offset: 17, Record: "x", Reason: "not a number"}
		f.send(&pb.SessionRequest{Outcomes: []*pb.Outcome{{
			Fence: l.GetFence(), Class: pb.OutcomeClass_OUTCOME_CLASS_FATAL,
			Failure: &pb.Failure{Message: "no such column", ExitStatus: 3, BadRecords: []*pb.BadRecord{bad}},
		}}})
		var last *pb.Job
		for told, err := range w.client.Watch(w.ctx, told.GetId()) {
			w.must(err)
			last = told
		}
		if last.GetState() != pb.JobState_JOB_STATE_FAILED || last.GetFailureClass() != pb.OutcomeClass_OUTCOME_CLASS_FATAL ||
			!strings.Contains(last.GetFailure().GetMessage(), "no such column") || last.GetFailure().GetExitStatus() != 3 {
			t.Errorf("the job is %v", last)
		}
		_, err = io.ReadAll(r)
		e := w.refused("the result of a failed job", err, api.Failed)
		if got := e.Failure.GetBadRecords(); len(got) != 1 || got[0].GetOffset() != 17 {
			t.Errorf("the failure is %v", e.Failure)
		}
	})
}

func TestPlanThatMakesNoSenseFailsItsJob(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		f := w.attach("w1", 1)
		told := w.submit("")
		f.credit(1)
		p := plan(3)
		p.Fragments[0].Cuts = []int64{2, 1}
		f.plan(p)
		for last, err := range w.client.Watch(w.ctx, told.GetId()) {
			w.must(err)
			if last.GetState() == pb.JobState_JOB_STATE_FAILED && !strings.Contains(last.GetFailure().GetMessage(), "cut") {
				t.Errorf("the failure is %v", last.GetFailure())
			}
		}
	})
}

func TestPlanOnlyStopsAtThePlan(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		f := w.attach("w1", 1)
		told, err := w.client.Plan(w.ctx, spec())
		w.must(err)
		f.credit(1)
		f.plan(plan(3))
		w.until(told.GetId(), pb.JobState_JOB_STATE_DONE)
		explained, err := w.client.Explain(w.ctx, told.GetId())
		w.must(err)
		if len(explained.GetPlan().GetStages()) != 1 {
			t.Errorf("it is explained as %v", explained)
		}
		_, err = w.client.Result(w.ctx, told.GetId())
		w.refused("the result of a plan", err, api.Conflict)
	})
}

func TestWatchCoalesces(t *testing.T) {
	inWorld(t, Config{MaxWatchers: 1}, func(w *world) {
		const batches = 100
		f := w.attach("w1", 1)
		told := w.submit("")
		f.credit(batches + 1)
		f.plan(plan(batches))
		leases := f.grants(batches)
		started := time.Now()
		states := make(chan *pb.Job, 1000)
		go func() {
			defer close(states)
			for told, err := range w.client.Watch(w.ctx, told.GetId()) {
				w.must(err)
				states <- told
			}
		}()
		synctest.Wait()
		if len(states) != 1 {
			t.Errorf("%d states came at once, not the first alone", len(states))
		}
		for _, err := range w.client.Watch(w.ctx, told.GetId()) {
			w.refused("a watcher too many", err, api.Full)
		}
		for _, l := range leases[:batches-1] {
			f.done(l, nil)
			f.ack()
			<-time.After(10 * time.Millisecond) // of the bubble
		}
		if n, most := len(states), int(time.Since(started)/watchEvery)+2; n < 5 || n > most {
			t.Errorf("%d states were told in %v", n, time.Since(started))
		}
		<-time.After(time.Second)
		f.done(leases[batches-1], nil)
		ended := time.Now()
		var last *pb.Job
		for told := range states {
			last = told
		}
		if late := time.Since(ended); late != 0 || last.GetState() != pb.JobState_JOB_STATE_DONE {
			t.Errorf("%v was told last, %v late", last.GetState(), late)
		}
	})
}
