package coordinator

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

// keep submits a job whose result is kept.
func (w *world) keep(options ...api.SubmitOption) *pb.Job {
	w.Helper()
	told, err := w.client.Submit(w.ctx, spec(), "", options...)
	w.must(err)
	return told
}

// keptJob has a worker do a job of three batches, each of whose outputs is its
// position, repeated.
func (w *world) keptJob(f *fakeWorker, size int, options ...api.SubmitOption) *pb.Job {
	w.Helper()
	told := w.keep(options...)
	f.credit(4)
	f.plan(plan(3))
	for range 3 {
		l := f.grant()
		f.done(l, keptOutput(l, size))
		f.ack()
	}
	return w.until(told.GetId(), pb.JobState_JOB_STATE_DONE)
}

func keptOutput(l *pb.Lease, size int) []byte {
	return []byte(strings.Repeat(fmt.Sprint(l.GetPosition()), size))
}

// read reads a whole result.
func (w *world) read(id string) string {
	w.Helper()
	r := <-w.readAll(id)
	w.must(r.err)
	return string(r.data)
}

// unshelved is a coordinator that copies nothing.
var unshelved = Config{ShelfResult: -1}

func TestAKeptResultIsReadAgainAndAgain(t *testing.T) {
	inWorld(t, unshelved, func(w *world) {
		f := w.attach("w1", 1)
		told := w.keptJob(f, 1)
		if !told.GetKept() || told.GetResultBytes() != 3 || told.GetExpires().AsTime().Sub(told.GetEnded().AsTime()) != time.Hour {
			t.Errorf("the job is %v", told)
		}
		go f.serve()
		first, second := w.readAll(told.GetId()), w.readAll(told.GetId())
		for _, read := range []<-chan result{first, second, w.readAll(told.GetId())} {
			if r := <-read; r.err != nil || string(r.data) != "012" {
				t.Errorf("the result is %q, %v", r.data, r.err)
			}
		}
	})
}

// Of a job that has ended nothing is kept beside what the ledger has: its spec may
// be large, and many such jobs are kept.
func TestAnEndedJobKeepsNothingTwice(t *testing.T) {
	inWorld(t, unshelved, func(w *world) {
		f := w.attach("w1", 1)
		told := w.keptJob(f, 1)
		go f.serve()
		if got := w.read(told.GetId()); got != "012" {
			t.Errorf("the result is %q", got)
		}
		kept, err := ask(w.ctx, w.c, func(o *owner, answer func(bool, error)) {
			id, err := o.c.names.number(told.GetId())
			j := o.jobs[id]
			answer(j.spec != nil || j.plan != nil || j.shared != nil || j.fragments != nil || j.contexts != nil, err)
		})
		if w.must(err); kept {
			t.Error("it is still decoded")
		}
	})
}

// A reader that comes early waits for the end.
func TestAKeptResultIsWaitedFor(t *testing.T) {
	inWorld(t, unshelved, func(w *world) {
		f := w.attach("w1", 1)
		told := w.keep()
		read := w.readAll(told.GetId())
		synctest.Wait()
		f.credit(2)
		f.plan(plan(1))
		f.done(f.grant(), []byte("late"))
		go f.serve()
		if r := <-read; r.err != nil || string(r.data) != "late" {
			t.Errorf("the result is %q, %v", r.data, r.err)
		}
		other := w.keep()
		read = w.readAll(other.GetId())
		synctest.Wait()
		_, err := w.client.Cancel(w.ctx, other.GetId(), "")
		w.must(err)
		w.refused("the result of a cancelled job", (<-read).err, api.Cancelled)
	})
}

func TestAKeptResultCanBeReadFromAPartOn(t *testing.T) {
	inWorld(t, unshelved, func(w *world) {
		f := w.attach("w1", 1)
		told := w.keptJob(f, 1)
		go f.serve()
		for skip, want := range []string{"012", "12", "2", ""} {
			r, err := w.client.ResultFrom(w.ctx, told.GetId(), uint64(skip))
			w.must(err)
			got, err := io.ReadAll(r)
			if err != nil || string(got) != want {
				t.Errorf("without %d parts it is %q, %v", skip, got, err)
			}
		}
		_, err := w.client.ResultFrom(w.ctx, told.GetId(), 4)
		w.refused("more parts than there are", err, api.Conflict)
		once := w.runJob(w.attach("w2", 1), 1, func(int64) []byte { return []byte("x") })
		_, err = w.client.ResultFrom(w.ctx, once.GetId(), 1)
		w.refused("a part of a result that is read once", err, api.Invalid)
	})
}

func TestWhereTheResultIs(t *testing.T) {
	inWorld(t, unshelved, func(w *world) {
		f := w.dial()
		f.introduce(attachOf())
		told := w.keptJob(f, 5)
		header, parts, err := w.client.Locate(w.ctx, told.GetId())
		w.must(err)
		if header.GetFormat() != pb.Format_FORMAT_LINES || len(parts) != 3 {
			t.Fatalf("it is told %v of %d parts", header, len(parts))
		}
		for i, p := range parts {
			ticket := &pb.OutputTicket{}
			w.must(proto.Unmarshal(p.GetTicket(), ticket))
			if p.GetWorker() != "w" || p.GetAddresses()[0] != "10.0.0.1:7071" || p.GetBytes() != 5 || f.outputs[ticket.GetOutput()] == nil ||
				ticket.GetJob() == 0 || p.GetPosition() != int64(i) || p.GetEndPosition() != int64(i)+1 || p.GetKind() != pb.OutputKind_OUTPUT_KIND_BYTES {
				t.Errorf("part %d is %v", i, p)
			}
		}
		once := w.runJob(f, 1, func(int64) []byte { return []byte("x") })
		_, _, err = w.client.Locate(w.ctx, once.GetId())
		w.refused("the places of a result that is read once", err, api.Conflict)
	})
}

// A small result is copied, and its workers may go.
func TestASmallResultOutlivesItsWorkers(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		f := w.attach("w1", 1)
		told := w.keptJob(f, 10)
		for range 3 {
			s := f.sent()
			w.must(f.upload(s, 4))
		}
		f.hear(func() bool { return len(f.said.EndedJobs) > 0 }) // it need not keep them
		f.hangUp()
		want := strings.Repeat("0", 10) + strings.Repeat("1", 10) + strings.Repeat("2", 10)
		for range 2 {
			if got := w.read(told.GetId()); got != want {
				t.Errorf("the result is %q", got)
			}
		}
		_, parts, err := w.client.Locate(w.ctx, told.GetId())
		w.must(err)
		if len(parts) != 3 || len(parts[0].GetAddresses()) > 0 || parts[2].GetBytes() != 10 {
			t.Errorf("its parts are %v", parts)
		}
		w.must(w.client.Remove(w.ctx, told.GetId()))
		if used := w.shelfUsed(); used != 0 {
			t.Errorf("%d bytes are left of what was removed", used)
		}
	})
}

func (w *world) shelfUsed() int64 {
	used, err := ask(w.ctx, w.c, func(o *owner, answer func(int64, error)) { answer(o.shelf.Used(), nil) })
	w.must(err)
	return used
}

// A worker that leaves is not told that all is taken before its part of a small
// result was copied.
func TestALeavingWorkerIsKeptUntilItsResultIsCopied(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		f := w.attach("w1", 1)
		told := w.keep()
		f.credit(2)
		f.plan(plan(1))
		l := f.grant()
		f.send(&pb.SessionRequest{Drain: true})
		f.done(l, []byte("last"))
		s := f.sent()
		if len(f.said.Acks) > 0 {
			t.Error("it may go already")
		}
		w.must(f.upload(s, 10))
		f.ack()
		f.hangUp()
		if got := w.read(told.GetId()); got != "last" {
			t.Errorf("the result is %q", got)
		}
	})
}

// Nobody waits for a copy: what is not brought for it is not lost by that.
func TestACopyThatIsNotBroughtCostsNothing(t *testing.T) {
	inWorld(t, Config{UploadIdle: time.Second}, func(w *world) {
		f := w.attach("w1", 1)
		told := w.keptJob(f, 10)
		f.credit(4)
		pass(10 * time.Second)
		synctest.Wait()
		f.send(&pb.SessionRequest{Heartbeat: &pb.Heartbeat{Sequence: 1}})
		f.hear(func() bool { return f.said.Heartbeat == 1 })
		if len(f.said.Grants) > 0 || len(f.said.Sends) != 3 {
			t.Errorf("the worker is told %v", &f.said)
		}
		f.said.Sends = nil
		go f.serve()
		if got := w.read(told.GetId()); len(got) != 30 {
			t.Errorf("the result is %q", got)
		}
	})
}

// A result for which there is no room stays where it is, and so does one whose
// worker goes while it is copied.
func TestResultsThatAreNotCopiedStayWithTheirWorkers(t *testing.T) {
	inWorld(t, Config{ShelfResult: 100, ShelfBytes: 600}, func(w *world) {
		f := w.attach("w1", 1)
		large := w.keptJob(f, 50)
		w.keptJob(f, 1) // it reserves what there is
		third := w.keptJob(f, 1)
		synctest.Wait()
		f.hangUp()
		back := w.dial()
		back.outputs = f.outputs
		a := attachOf(func(a *pb.Attach) { a.Worker, a.Session, a.Incarnation = "w1", 2, 0 })
		for id := range f.outputs {
			a.Outputs = append(a.Outputs, &pb.OutputRef{Id: id})
		}
		back.introduce(a)
		go back.serve()
		if got := w.read(third.GetId()); got != "012" {
			t.Errorf("the third result is %q", got)
		}
		if got := w.read(large.GetId()); len(got) != 150 {
			t.Errorf("the large result is %q", got)
		}
	})
}

// What a worker took with it is made again when somebody asks, and exactly that.
func TestLostPartsOfAKeptResultAreMadeAgain(t *testing.T) {
	inWorld(t, unshelved, func(w *world) {
		first := w.attach("first", 1)
		told := w.keep()
		first.credit(3)
		first.plan(plan(3))
		leases := first.grants(2)
		second := w.attach("second", 1)
		second.credit(9)
		third := second.grant()
		for _, l := range leases {
			first.done(l, keptOutput(l, 1))
			first.ack()
		}
		second.done(third, keptOutput(third, 1))
		second.ack()
		w.until(told.GetId(), pb.JobState_JOB_STATE_DONE)
		first.hangUp()
		pass(time.Minute) // its outputs are lost, and nobody asks
		synctest.Wait()
		read := w.readAll(told.GetId())
		made := 0
		for made < 2 {
			l := second.grant()
			if l.GetPosition() == third.GetPosition() {
				t.Errorf("what is not lost is made again: %v", l)
			}
			second.done(l, keptOutput(l, 1))
			second.ack()
			made += int(l.GetEndPosition() - l.GetPosition())
		}
		go second.serve()
		if r := <-read; r.err != nil || len(r.data) == 0 || r.data[len(r.data)-1] != '2' {
			t.Errorf("the result is %q, %v", r.data, r.err)
		}
		after, err := w.client.Get(w.ctx, told.GetId())
		w.must(err)
		if after.GetStats().GetBatchesRerun() != 2 {
			t.Errorf("%d batches were run again", after.GetStats().GetBatchesRerun())
		}
	})
}

// A part that is lost in the middle is made again, and read on.
func TestAPartLostInTheMiddleIsReadOn(t *testing.T) {
	config := unshelved
	config.ResultBuffer, config.ResultWindow = 10, 10
	inWorld(t, config, func(w *world) {
		f := w.attach("w1", 1)
		told := w.keptJob(f, 50)
		f.credit(1)
		read := w.readAll(told.GetId())
		w.must(f.upload(f.sent(), 10))
		broken := w.upload()
		w.must(broken.stream.Send(&pb.UploadRequest{Ticket: f.sent().GetTicket(), Data: []byte(strings.Repeat("1", 20))}))
		synctest.Wait()
		w.must(broken.stream.Send(&pb.UploadRequest{Failure: &pb.Failure{Message: "the disk is broken"}}))
		l := f.grant()
		f.done(l, keptOutput(l, 50))
		go f.serve()
		want := strings.Repeat("0", 50) + strings.Repeat("1", 50) + strings.Repeat("2", 50)
		if r := <-read; r.err != nil || string(r.data) != want {
			t.Errorf("the result is %q, %v", r.data, r.err)
		}
	})
}

// Where nothing is made in its place, what was passed on of it is of no output.
func TestAPartLostInTheMiddleThatIsEmptyThen(t *testing.T) {
	config := unshelved
	config.ResultBuffer, config.ResultWindow = 10, 10
	inWorld(t, config, func(w *world) {
		f := w.attach("w1", 1)
		told := w.keptJob(f, 50)
		f.credit(1)
		read := w.readAll(told.GetId())
		w.must(f.upload(f.sent(), 10))
		w.must(f.upload(f.sent(), 10))
		broken := w.upload()
		w.must(broken.stream.Send(&pb.UploadRequest{Ticket: f.sent().GetTicket(), Data: []byte(strings.Repeat("2", 20))}))
		synctest.Wait()
		w.must(broken.stream.Send(&pb.UploadRequest{Failure: &pb.Failure{Message: "the disk is broken"}}))
		f.done(f.grant(), nil)
		go f.serve()
		w.refused("a result that broke off", (<-read).err, api.Conflict)
	})
}

// What can't be made again is gone, and its reader is told why.
func TestALostPartThatCannotBeMadeAgain(t *testing.T) {
	inWorld(t, unshelved, func(w *world) {
		f := w.attach("w1", 1)
		told := w.keptJob(f, 1)
		f.hangUp()
		read := w.readAll(told.GetId())
		pass(time.Minute)
		other := w.attach("other", 1)
		other.credit(5)
		l := other.grant()
		other.send(&pb.SessionRequest{Outcomes: []*pb.Outcome{{
			Fence: l.GetFence(), Class: pb.OutcomeClass_OUTCOME_CLASS_FATAL, Failure: &pb.Failure{Message: "the file is no more", ExitStatus: -1},
		}}})
		err := w.refused("a result that is gone", (<-read).err, api.Conflict)
		if !strings.Contains(err.Message, "the file is no more") || !strings.Contains(err.Message, "lost") {
			t.Errorf("it is told %q", err.Message)
		}
		after, failed := w.client.Get(w.ctx, told.GetId())
		w.must(failed)
		if notes := strings.Join(after.GetNotes(), "\n"); !strings.Contains(notes, "some of the result was lost") || !strings.Contains(notes, "the file is no more") {
			t.Errorf("the job's notes are %q", notes)
		}
	})
}

// A job that is kept no longer is not there, and why.
func TestWhyAJobIsNotThere(t *testing.T) {
	inWorld(t, Config{KeepJobs: 2}, func(w *world) {
		f := w.attach("w1", 1)
		expired := w.keptJob(f, 1, api.KeepFor(time.Minute))
		removed := w.keptJob(f, 1)
		running := w.keep()
		w.refused("the removal of a job that runs", w.client.Remove(w.ctx, running.GetId()), api.Conflict)
		w.must(w.client.Remove(w.ctx, removed.GetId()))
		pass(2 * time.Minute)
		crowded := w.keep()
		for range 3 {
			_, err := w.client.Cancel(w.ctx, crowded.GetId(), "")
			w.must(err)
			running, crowded = crowded, w.keep()
		}
		synctest.Wait()
		other := w.c.names.prefix[1:] + "-" // of the form of a name, and not ours
		for what, test := range map[string]struct{ id, want string }{
			"expired":   {expired.GetId(), "its time was over"},
			"removed":   {removed.GetId(), "it was removed"},
			"unknown":   {w.c.names.prefix + "999", "never submitted"},
			"another's": {other[:4] + "x-3", "started anew"},
			"nonsense":  {"x", "look like"},
		} {
			_, err := w.client.Get(w.ctx, test.id)
			if got := w.refused(what, err, api.NotFound); !strings.Contains(got.Message, test.want) {
				t.Errorf("%s: %q", what, got.Message)
			}
			w.refused("the result of what is "+what, (<-w.readAll(test.id)).err, api.NotFound)
		}
	})
}
