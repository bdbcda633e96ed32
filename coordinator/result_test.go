package coordinator

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

func TestResultKeepsOrderAndItsOutputs(t *testing.T) {
	inWorld(t, Config{ResultAhead: 3, ResultBuffer: 100, ResultWindow: 250}, func(w *world) {
		const batches = 20
		output := func(i int64) []byte { return bytes.Repeat(fmt.Appendf(nil, "%d,", i), 1+int(i)*20) }
		f := w.attach("w1", 1)
		told := w.submit("")
		f.credit(batches + 1)
		f.plan(plan(batches))
		leases := f.grants(batches)
		for i := range leases { // the last is done first
			l := leases[batches-1-i]
			f.done(l, output(l.GetPosition()))
		}
		go f.serve()
		r, err := w.client.Result(w.ctx, told.GetId())
		w.must(err)
		defer r.Close()
		var n int64
		for out, err := range r.Outputs() {
			w.must(err)
			got, err := io.ReadAll(out)
			w.must(err)
			if !bytes.Equal(got, output(n)) {
				t.Fatalf("output %d is %.40q", n, got)
			}
			n++
		}
		if n != batches {
			t.Errorf("%d outputs came", n)
		}
		_, err = w.client.Result(w.ctx, told.GetId())
		w.refused("a second reading", err, api.Conflict)
	})
}

// A job may end before its result is asked for, with nothing in it.
func TestAnEmptyResultCanBeReadLate(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		f := w.attach("w1", 1)
		told := w.submit("")
		f.credit(2)
		f.plan(plan(1))
		f.done(f.grant(), nil)
		w.until(told.GetId(), pb.JobState_JOB_STATE_DONE)
		r, err := w.client.Result(w.ctx, told.GetId())
		w.must(err)
		defer r.Close()
		if got, err := io.ReadAll(r); err != nil || len(got) > 0 {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestReadingBeginsBeforeTheJobIsDone(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		f := w.attach("w1", 1)
		told := w.submit("")
		first := make(chan string, 1)
		go func() {
			r, err := w.client.Result(w.ctx, told.GetId())
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			buffer := make([]byte, 1)
			_, err = io.ReadFull(r, buffer)
			first <- string(buffer)
			rest, _ := io.ReadAll(r)
			if err != nil || string(rest) != "b" {
				t.Errorf("then came %q, %v", rest, err)
			}
			close(first)
		}()
		f.credit(3)
		f.plan(plan(2))
		leases := f.grants(2)
		f.done(leases[0], []byte("a"))
		if err := f.upload(f.sent(), 1); err != nil {
			t.Errorf("the upload: %v", err)
		}
		if got := <-first; got != "a" {
			t.Errorf("first came %q", got)
		}
		f.done(leases[1], []byte("b"))
		if err := f.upload(f.sent(), 1); err != nil {
			t.Errorf("the upload: %v", err)
		}
		<-first
	})
}

func TestResultThatNobodyReadsStaysInTheSpool(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		f := w.attach("w1", 1)
		told := w.runJob(f, 50, func(int64) []byte { return []byte("x") })
		w.until(told.GetId(), pb.JobState_JOB_STATE_DONE)
		synctest.Wait()
		if len(f.said.Sends) > 0 || len(f.said.DropOutputs) > 0 {
			t.Errorf("outputs were asked for or dropped: %v", &f.said)
		}
	})
}

func TestClientThatStopsReadingHoldsTheWorkerBack(t *testing.T) {
	inWorld(t, Config{ResultBuffer: 1 << 20, ResultWindow: 1 << 20}, func(w *world) {
		const size = 64 << 20
		f := w.attach("w1", 1)
		told := w.runJob(f, 1, func(int64) []byte { return make([]byte, size) })
		stream, err := pb.NewJobServiceClient(w.conn).ReadResult(w.ctx, &pb.ReadResultRequest{Id: told.GetId()})
		w.must(err)
		uploaded := make(chan error, 1)
		go func() { uploaded <- f.upload(f.sent(), 256<<10) }()
		synctest.Wait()
		if len(uploaded) > 0 {
			t.Fatalf("64 MiB went somewhere while nobody read: %v", <-uploaded)
		}
		_, err = w.client.Get(w.ctx, told.GetId()) // others do not notice
		w.must(err)
		got := 0
		for {
			m, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			w.must(err)
			got += len(m.GetData())
		}
		w.must(<-uploaded)
		if got != size {
			t.Errorf("%d bytes came", got)
		}
	})
}

// A job that would outgrow its limit of the spool waits for its reader, and not
// for one that has gone away in the middle, since nobody else can read on.
func TestJobWaitsForItsReaderUntilThatGoesAway(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		f := w.attach("w1", 1)
		told := w.submit("", func(s *pb.JobSpec) { s.Limits = &pb.Limits{MaxSpoolBytes: 20} })
		f.credit(2)
		f.plan(plan(3))
		f.done(f.grant(), make([]byte, 10))
		f.ack()
		f.credit(1)
		synctest.Wait()
		waits, err := w.client.Explain(w.ctx, told.GetId())
		w.must(err)
		if got := fmt.Sprint(waits.GetWaiting()); len(f.said.Grants) > 0 || !strings.Contains(got, "waits for its result to be read") {
			t.Fatalf("granted %v; it waits for %s", f.said.Grants, got)
		}
		r, err := w.client.Result(w.ctx, told.GetId())
		w.must(err)
		w.must(f.upload(f.sent(), 10))
		if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		second := f.grant()
		r.Close()
		synctest.Wait()
		f.done(second, make([]byte, 10))
		f.ack()
		f.credit(1)
		f.done(f.grant(), make([]byte, 10))
		w.until(told.GetId(), pb.JobState_JOB_STATE_DONE)
	})
}

func TestLostOutputIsMadeAgainUnnoticed(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		f := w.attach("w1", 1)
		told := w.runJob(f, 2, func(i int64) []byte { return fmt.Appendf(nil, "%d", i) })
		f.credit(10)
		read := w.readAll(told.GetId())
		s := f.sent()
		stream, err := pb.NewWorkerServiceClient(w.conn).Upload(w.ctx)
		w.must(err)
		w.must(stream.Send(&pb.UploadRequest{Ticket: s.GetTicket(), Failure: &pb.Failure{Message: "the disk is broken"}}))
		_, err = stream.CloseAndRecv()
		w.must(err)
		f.said.Sends = nil
		again := f.grant()
		if again.GetPosition() != 0 {
			t.Errorf("position %d runs again", again.GetPosition())
		}
		f.done(again, []byte("zero"))
		go f.serve()
		if r := <-read; r.err != nil || string(r.data) != "zero1" {
			t.Errorf("the result is %q, %v", r.data, r.err)
		}
	})
}

func TestBrokenUploadIsAskedForAgain(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		f := w.attach("w1", 1)
		told := w.runJob(f, 1, func(int64) []byte { return []byte("whole") })
		read := w.readAll(told.GetId())
		s := f.sent()
		broken := w.upload()
		w.must(broken.stream.Send(&pb.UploadRequest{Ticket: s.GetTicket(), Data: []byte("wh")}))
		synctest.Wait()
		broken.hangUp()
		if err := f.upload(s, 10); api.CodeOf(err) != api.Stale {
			t.Errorf("a used ticket got %v", err)
		}
		go f.serve()
		if r := <-read; r.err != nil || string(r.data) != "whole" {
			t.Errorf("the result is %q, %v", r.data, r.err)
		}
	})
}

// A worker that lives and brings nothing is asked again, and then its output is
// made again.
func TestOutputThatIsNotBroughtIsMadeAgain(t *testing.T) {
	inWorld(t, Config{UploadIdle: time.Second}, func(w *world) {
		f := w.attach("w1", 1)
		told := w.runJob(f, 1, func(int64) []byte { return []byte("stuck") })
		f.credit(1)
		read := w.readAll(told.GetId())
		stuck := w.upload()
		w.must(stuck.stream.Send(&pb.UploadRequest{Ticket: f.sent().GetTicket(), Data: []byte("st")}))
		f.sent() // and brings nothing at all
		_, err := stuck.stream.CloseAndRecv()
		w.refused("an upload that stood still", err, api.Cancelled)
		f.done(f.grant(), []byte("loose"))
		go f.serve()
		if r := <-read; r.err != nil || string(r.data) != "loose" {
			t.Errorf("the result is %q, %v", r.data, r.err)
		}
	})
}

// Where that does not help either, the reader is told.
func TestOutputThatIsNeverBroughtEndsTheStream(t *testing.T) {
	inWorld(t, Config{UploadIdle: time.Second}, func(w *world) {
		f := w.attach("w1", 1)
		told := w.runJob(f, 1, func(int64) []byte { return []byte("stuck") })
		f.credit(1)
		read := w.readAll(told.GetId())
		f.done(f.grant(), []byte("stuck"))
		err := w.refused("a result that never comes", (<-read).err, api.Unavailable)
		if !strings.Contains(err.Error(), "w1") {
			t.Errorf("the error names no worker: %v", err)
		}
	})
}

// An output that is lost in the middle is made again, and its reader gets the rest
// of it, if it begins with what was there before; if not, the reading ends.
func TestOutputLostInTheMiddle(t *testing.T) {
	first := bytes.Repeat([]byte("0123456789"), 10)
	for name, second := range map[string]string{
		"the same": string(first), "longer": string(first) + "more", "otherwise": "x" + string(first[1:]), "shorter": "01234", "nothing": "", "the end differs": string(first[:99]) + "x",
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Config{ResultBuffer: 10, ResultWindow: 10}, func(w *world) {
				f := w.attach("w1", 1)
				told := w.runJob(f, 1, func(int64) []byte { return first })
				f.credit(1)
				read := w.readAll(told.GetId())
				broken := w.upload()
				ticket := f.sent().GetTicket()
				for part := range slices.Chunk(first[:50], 7) {
					w.must(broken.stream.Send(&pb.UploadRequest{Ticket: ticket, Data: part}))
					ticket = ""
				}
				w.must(broken.stream.Send(&pb.UploadRequest{Failure: &pb.Failure{Message: "the disk is broken"}}))
				f.done(f.grant(), []byte(second))
				go f.serve()
				r := <-read
				if strings.HasPrefix(second, string(first[:50])) {
					if r.err != nil || string(r.data) != second {
						t.Errorf("the result is %q, %v", r.data, r.err)
					}
					return
				}
				w.refused("a result that broke off", r.err, api.Conflict)
				if string(r.data) != string(first[:50]) {
					t.Errorf("before its end came %q", r.data)
				}
			})
		})
	}
}

// An upload that breaks off again and again costs nothing but time.
func TestUploadThatBreaksInTheMiddle(t *testing.T) {
	inWorld(t, Config{ResultBuffer: 10, ResultWindow: 10}, func(w *world) {
		f := w.attach("w1", 1)
		output := bytes.Repeat([]byte("0123456789"), 10)
		told := w.runJob(f, 1, func(int64) []byte { return output })
		read := w.readAll(told.GetId())
		for _, n := range []int{20, 70, 50} {
			broken := w.upload()
			w.must(broken.stream.Send(&pb.UploadRequest{Ticket: f.sent().GetTicket(), Data: output[:n]}))
			synctest.Wait()
			broken.hangUp()
		}
		go f.serve()
		if r := <-read; r.err != nil || !bytes.Equal(r.data, output) {
			t.Errorf("the result is %q, %v", r.data, r.err)
		}
	})
}

func TestReattachedWorkerIsAskedAgain(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		f := w.attach("w1", 1)
		told := w.runJob(f, 1, func(int64) []byte { return []byte("kept") })
		f.ack()
		read := w.readAll(told.GetId())
		first := f.sent()
		f.hangUp()
		synctest.Wait()
		back := w.dial()
		back.outputs = f.outputs
		back.introduce(&pb.Attach{
			Protocol: api.Protocol, Worker: "w1", Session: 2, Slots: 1, Processors: []string{"command:*"},
			Outputs: []*pb.OutputRef{first.GetOutput()},
		})
		if s := back.sent(); s.GetOutput().GetId() != first.GetOutput().GetId() {
			t.Errorf("it is asked for %v", s)
		} else if err := back.upload(s, 10); err != nil {
			t.Errorf("the upload: %v", err)
		}
		if r := <-read; r.err != nil || string(r.data) != "kept" {
			t.Errorf("the result is %q, %v", r.data, r.err)
		}
	})
}

func TestOutputsOfWorkerThatIsGoneAreMadeElsewhere(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		gone := w.attach("gone", 1)
		told := w.runJob(gone, 3, func(i int64) []byte { return fmt.Appendf(nil, "%d", i) })
		for range 3 {
			gone.ack()
		}
		read := w.readAll(told.GetId())
		first := gone.sent()
		w.must(gone.upload(first, 10))
		gone.hangUp()
		other := w.attach("other", 1)
		other.credit(10)
		for range 2 {
			l := other.grant()
			other.done(l, fmt.Appendf(nil, "%d", l.GetPosition()))
		}
		go other.serve()
		if r := <-read; r.err != nil || string(r.data) != "012" {
			t.Errorf("the result is %q, %v", r.data, r.err)
		}
		w.until(told.GetId(), pb.JobState_JOB_STATE_DONE)
	})
}

func TestOneReaderAtATime(t *testing.T) {
	inWorld(t, Config{MaxReaders: 1}, func(w *world) {
		f := w.attach("w1", 1)
		told, other := w.submit(""), w.submit("")
		f.credit(2)
		f.plan(plan(1))
		f.plan(plan(1))
		r, err := w.client.Result(w.ctx, told.GetId())
		w.must(err)
		_, err = w.client.Result(w.ctx, told.GetId())
		w.refused("a second reader", err, api.Conflict)
		_, err = w.client.Result(w.ctx, other.GetId())
		w.refused("a reader too many", err, api.Full)
		w.must(r.Close())
		synctest.Wait()
		r, err = w.client.Result(w.ctx, told.GetId()) // nothing was delivered yet
		w.must(err)
		w.must(r.Close())
		files := w.submit("", func(s *pb.JobSpec) { s.Sink = &pb.Sink{Files: &pb.FileSink{Folder: "/out"}} })
		_, err = w.client.Result(w.ctx, files.GetId())
		w.refused("the result of a file sink", err, api.Conflict)
	})
}

// result is what a reader got.
type result struct {
	data []byte
	err  error
}

// readAll reads a result in a goroutine of its own.
func (w *world) readAll(id string) <-chan result {
	read := make(chan result, 1)
	go func() {
		r, err := w.client.Result(w.ctx, id)
		if err != nil {
			read <- result{nil, err}
			return
		}
		defer r.Close()
		data, err := io.ReadAll(r)
		read <- result{data, err}
	}()
	return read
}
