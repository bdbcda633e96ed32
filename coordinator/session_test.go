package coordinator

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

func TestSessionMustBeginWithAnAttach(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		good := func(change func(*pb.Attach)) *pb.SessionRequest {
			a := &pb.Attach{Protocol: api.Protocol, Worker: "w", Session: 1, Slots: 1}
			change(a)
			return &pb.SessionRequest{Attach: a}
		}
		for what, first := range map[string]*pb.SessionRequest{
			"a heartbeat":      {Heartbeat: &pb.Heartbeat{Sequence: 1}},
			"an empty message": {},
			"no name":          good(func(a *pb.Attach) { a.Worker = "" }),
			"no session":       good(func(a *pb.Attach) { a.Session = 0 }),
			"no slots":         good(func(a *pb.Attach) { a.Slots = 0 }),
			"too many slots":   good(func(a *pb.Attach) { a.Slots = 5000 }),
			"a long label":     good(func(a *pb.Attach) { a.Labels = map[string]string{"a": string(make([]byte, 64))} }),
		} {
			f := w.dial()
			f.send(first)
			w.refused(what, f.ended(), api.Invalid)
		}
		f := w.attach("w", 1)
		f.send(good(func(*pb.Attach) {}))
		w.refused("a second attach", f.ended(), api.Invalid)
	})
}

func TestHeartbeatIsAnswered(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		f := w.attach("w", 1)
		if a := f.said.Attached; a.GetLease().AsDuration() != 10*time.Second || a.GetHeartbeat().AsDuration() != time.Second || a.GetTerm() == 0 {
			t.Errorf("the attach was answered by %v", a)
		}
		for i := range uint64(3) {
			f.send(&pb.SessionRequest{Heartbeat: &pb.Heartbeat{Sequence: i + 1}})
			f.hear(func() bool { return f.said.Heartbeat == i+1 })
		}
	})
}

func TestNewerSessionTakesOver(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		old := w.attach("w", 1)
		w.submit("")
		old.credit(1)
		held := old.grant()

		newer := w.dial()
		newer.introduce(&pb.Attach{
			Protocol: api.Protocol, Worker: "w", Session: 2, Slots: 1, Processors: []string{"command:*"},
			Leases: []*pb.HeldLease{{Fence: held.GetFence(), Started: true, Lease: held}},
		})
		w.refused("the session before", old.ended(), api.Stale)
		if keep := newer.said.Attached.GetKeep(); len(keep) != 1 || keep[0].GetBatch() != held.GetFence().GetBatch() {
			t.Errorf("the lease that the worker holds is not kept: %v", newer.said.Attached)
		}
		stale := w.dial()
		stale.send(&pb.SessionRequest{Attach: &pb.Attach{Protocol: api.Protocol, Worker: "w", Session: 1, Slots: 1}})
		w.refused("an older session", stale.ended(), api.Stale)

		newer.send(&pb.SessionRequest{Outcomes: []*pb.Outcome{{
			Fence: held.GetFence(), Class: pb.OutcomeClass_OUTCOME_CLASS_DONE, Plan: plan(1),
		}}})
		if a := newer.ack(); a.GetStale() {
			t.Errorf("the plan was refused: %v", a)
		}
		newer.credit(1)
		newer.grant() // with the context, which this session has not been sent
	})
}

func TestSilentWorkersLeaseGoesToAnother(t *testing.T) {
	inWorld(t, Config{Lease: 2 * time.Second}, func(w *world) {
		silent := w.attach("silent", 1)
		w.submit("")
		silent.credit(1)
		first := silent.grant()
		started := time.Now()
		other := w.attach("other", 1)
		other.credit(1)
		second := other.grant() // no tick but the ledger's own leads here
		if second.GetFence().GetAttempt() <= first.GetFence().GetAttempt() {
			t.Errorf("attempt %d follows %d", second.GetFence().GetAttempt(), first.GetFence().GetAttempt())
		}
		if took := time.Since(started); took < 2*time.Second || took > 5*time.Second {
			t.Errorf("the lease was taken back after %v", took)
		}
	})
}

func TestWorkerThatDoesNotReadIsDisconnected(t *testing.T) {
	inWorld(t, Config{SessionQueue: 64}, func(w *world) {
		f := w.attach("w", 1)
		told := w.submit("")
		f.credit(1)
		f.plan(plan(200_000))
		f.credit(100_000)
		// Nothing is read from now on, and more and more is to be said.
		for range 200 {
			if f.stream.Send(&pb.SessionRequest{Credit: &pb.Credit{Batches: 500, Bytes: 1 << 40}}) != nil {
				break
			}
			synctest.Wait()
		}
		w.refused("a worker that does not read", f.ended(), api.Full)
		_, err := w.client.Get(w.ctx, told.GetId())
		w.must(err)
	})
}

func TestHealthAndReflection(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		synctest.Wait()
		h, err := healthpb.NewHealthClient(w.conn).Check(w.ctx, &healthpb.HealthCheckRequest{})
		w.must(err)
		if h.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("health is %s", h.GetStatus())
		}
		stream, err := reflectionpb.NewServerReflectionClient(w.conn).ServerReflectionInfo(w.ctx)
		w.must(err)
		w.must(stream.Send(&reflectionpb.ServerReflectionRequest{
			MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
		}))
		answer, err := stream.Recv()
		w.must(err)
		served := map[string]bool{}
		for _, s := range answer.GetListServicesResponse().GetService() {
			served[s.GetName()] = true
		}
		if !served["millrace.v1.JobService"] || !served["millrace.v1.WorkerService"] || !served["grpc.health.v1.Health"] {
			t.Errorf("reflection tells %v", served)
		}
		w.must(stream.CloseSend())
	})
}

func TestEndOfRunEndsEverything(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		f := w.attach("w", 1)
		told := w.submit("")
		watched := make(chan error, 1)
		go func() {
			stream, err := pb.NewJobServiceClient(w.conn).WatchJob(w.ctx, &pb.WatchJobRequest{Id: told.GetId()})
			for err == nil {
				_, err = stream.Recv()
			}
			watched <- err
		}()
		read := make(chan error, 1)
		go func() {
			_, err := w.client.Result(w.ctx, told.GetId())
			read <- err
		}()
		synctest.Wait()
		w.stop() // returns only when all that it started has ended
		if n := len(w.c.inbox); n > 0 {
			t.Logf("%d calls were left", n)
		}
		w.refused("the session", f.ended(), api.Unavailable)
		w.refused("the watcher", <-watched, api.Unavailable)
		w.refused("the reader", <-read, api.Unavailable)
		_, err := w.client.Get(w.ctx, told.GetId())
		w.refused("a call afterwards", err, api.Unavailable)
		h, err := healthpb.NewHealthClient(w.conn).Check(w.ctx, &healthpb.HealthCheckRequest{})
		if err != nil || h.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
			t.Errorf("health is %v, %v", h, err)
		}
	})
}

func TestMessagesHaveALimit(t *testing.T) {
	inWorld(t, Config{MaxMessage: 2 << 20}, func(w *world) {
		_, err := w.client.Submit(w.ctx, spec(), string(make([]byte, 3<<20)))
		if status.Code(err) != codes.ResourceExhausted && api.CodeOf(err) != api.Full {
			t.Errorf("a message over the limit got %v", err)
		}
	})
}

// A worker that was away when a job ended is told when it is back, and of those
// that go on it is not.
func TestAReturningWorkerIsToldWhatEnded(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		old := w.attach("w", 1)
		ended, lives := w.submit(""), w.submit("")
		old.credit(2)
		first, second := old.grant().GetFence().GetJob(), old.grant().GetFence().GetJob()
		if first > second {
			first, second = second, first
		}
		old.hangUp()
		_, err := w.client.Cancel(w.ctx, ended.GetId(), "")
		w.must(err)
		back := w.dial()
		back.introduce(&pb.Attach{Protocol: api.Protocol, Worker: "w", Session: 2, Slots: 1, Jobs: []uint64{first, second, 99}})
		back.hear(func() bool { return len(back.said.EndedJobs) > 1 })
		if got := back.said.EndedJobs; !slices.Equal(got, []uint64{first, 99}) {
			t.Errorf("told that %v have ended, want %d and 99 (%s goes on)", got, first, lives.GetId())
		}
	})
}

// Of the end of a job those are told who keep something of it, also from an
// earlier session.
func TestWhoIsToldThatAJobEnded(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		had := w.attach("had", 1)
		told := w.submit("")
		had.credit(1)
		job := had.grant().GetFence().GetJob()
		had.hangUp()
		synctest.Wait()
		back := w.dial()
		back.introduce(&pb.Attach{Protocol: api.Protocol, Worker: "had", Session: 2, Slots: 1, Jobs: []uint64{job}})
		idle := w.attach("idle", 1)
		_, err := w.client.Cancel(w.ctx, told.GetId(), "")
		w.must(err)
		back.hear(func() bool { return slices.Equal(back.said.EndedJobs, []uint64{job}) })
		idle.send(&pb.SessionRequest{Heartbeat: &pb.Heartbeat{Sequence: 1}})
		idle.hear(func() bool { return idle.said.Heartbeat == 1 })
		if len(idle.said.EndedJobs) > 0 {
			t.Errorf("one that never had any of the job is told %v", idle.said.EndedJobs)
		}
	})
}

// A coordinator that was started anew knows nothing of what its workers have:
// they are told to let go of all of it.
func TestAfterARestartWorkersLetGo(t *testing.T) {
	before := &pb.Lease{}
	var had map[string][]byte
	inWorld(t, unshelved, func(w *world) {
		f := w.attach("w", 1)
		w.keptJob(f, 1)
		w.submit("")
		f.credit(1)
		before, had = f.grant(), f.outputs
	})
	synctest.Test(t, func(t *testing.T) {
		pass(time.Hour) // each bubble's time begins alike
		w := newWorld(t, unshelved)
		defer w.close()
		w.submit("") // its number is none of those before
		finished := proto.CloneOf(before)
		finished.Fence.Batch++
		a := attachOf(func(a *pb.Attach) {
			a.Session, a.Jobs = 2, []uint64{before.GetFence().GetJob(), before.GetFence().GetJob() - 1}
			a.Leases = []*pb.HeldLease{{Fence: before.GetFence(), Started: true, Lease: before}}
			a.Outcomes = []*pb.Outcome{{
				Fence: finished.GetFence(), Class: pb.OutcomeClass_OUTCOME_CLASS_DONE, Granted: finished, Plan: plan(1),
			}}
		})
		for id := range had {
			a.Outputs = append(a.Outputs, &pb.OutputRef{Id: id, Job: before.GetFence().GetJob() - 1})
		}
		f := w.dial()
		f.introduce(a)
		if told := f.said.Attached; len(told.GetKeep()) > 0 || len(told.GetDrop()) != 1 {
			t.Errorf("its leases are answered by %v", told)
		}
		if a := f.ack(); !a.GetStale() {
			t.Errorf("its outcome is answered by %v", a)
		}
		f.hear(func() bool { return len(f.said.EndedJobs) == 2 && len(f.said.DropOutputs) == len(had) })
		f.credit(1)
		f.plan(plan(1)) // and it goes on with what there is
	})
}
