package exchange_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/exchange"
	"github.com/millrace/millrace/worker/processor"
)

func open(t *testing.T, limit int64) *exchange.Spool {
	t.Helper()
	s, err := exchange.Open(t.TempDir(), "w1", limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func keep(t *testing.T, s *exchange.Spool, job uint64, text string) *pb.OutputRef {
	t.Helper()
	w := s.Create(job, pb.OutputKind_OUTPUT_KIND_BYTES, 0)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	ref, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func read(t *testing.T, s *exchange.Spool, ref *pb.OutputRef) string {
	t.Helper()
	r, err := s.Inputs([]*pb.OutputRef{ref}, nil).Parts()[0].Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestBytesComeBackAsWritten(t *testing.T) {
	s := open(t, 1<<20)
	text := "a\x00b\r\nno end"
	ref := keep(t, s, 1, text)
	if got := read(t, s, ref); got != text {
		t.Errorf("read %q, want %q", got, text)
	}
	if ref.GetBytes() != int64(len(text)) || s.Used() != int64(len(text)) {
		t.Errorf("bytes = %d, used = %d, want %d", ref.GetBytes(), s.Used(), len(text))
	}
}

func TestRecordsComeBackAsWritten(t *testing.T) {
	s := open(t, 1<<20)
	schema := arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil)
	w := s.Create(1, pb.OutputKind_OUTPUT_KIND_ARROW, 0)
	for i := range int64(3) {
		b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		b.Field(0).(*array.Int64Builder).AppendValues([]int64{i, 10 * i}, nil)
		if err := w.WriteRecords(b.NewRecordBatch()); err != nil {
			t.Fatal(err)
		}
	}
	ref, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	for batch, err := range s.Inputs([]*pb.OutputRef{ref}, nil).Parts()[0].Records(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, batch.Column(0).(*array.Int64).Int64Values()...)
	}
	if want := []int64{0, 0, 1, 10, 2, 20}; !equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
}

func equal(a, b []int64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestAnEmptyOutputIsNone(t *testing.T) {
	s := open(t, 1<<20)
	if ref, err := s.Create(1, pb.OutputKind_OUTPUT_KIND_BYTES, 0).Finish(); ref != nil || err != nil {
		t.Errorf("Finish = %v, %v; want nothing", ref, err)
	}
}

// An output that does not fit says so, and gives its room back.
func TestTheLimitHolds(t *testing.T) {
	s := open(t, 1<<20)
	w := s.Create(1, pb.OutputKind_OUTPUT_KIND_BYTES, 0)
	_, err := w.Write(bytes.Repeat([]byte("x"), 2<<20))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "is full: intermediate results") || othersHave(err) {
		t.Fatalf("Write = %v, want an error that says that the spool is full", err)
	}
	w.Abandon()
	if s.Used() != 0 {
		t.Errorf("used = %d after the output was abandoned", s.Used())
	}
	keep(t, s, 1, "fits")
}

// Somebody who tidies up takes the folder away: it is made anew, what it held is
// gone, and nothing is counted that is not there.
func TestTheFolderIsRemoved(t *testing.T) {
	s := open(t, 1<<20)
	made := s.Made()
	held := keep(t, s, 1, "held")
	w := s.Create(1, pb.OutputKind_OUTPUT_KIND_BYTES, 0)
	io.WriteString(w, "under way")
	if mended, err := s.Mend(made); mended || err != nil {
		t.Fatalf("Mend = %v, %v; nothing was amiss", mended, err)
	}
	if err := os.RemoveAll(filepath.Dir(s.Dir())); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(); err == nil {
		t.Error("an output without a file is there")
	}
	for range 2 { // two attempts failed by it
		if mended, err := s.Mend(made); !mended || err != nil {
			t.Fatalf("Mend = %v, %v", mended, err)
		}
	}
	if _, err := s.Open(1, held.GetId()); !errors.Is(err, exchange.ErrNotHeld) {
		t.Errorf("Open = %v", err)
	}
	if s.Used() != 0 {
		t.Errorf("%d bytes are used by nothing", s.Used())
	}
	again := keep(t, s, 1, "again")
	if r, err := s.Open(1, again.GetId()); err != nil {
		t.Error(err)
	} else {
		r.Close()
	}
	other, err := exchange.Open(filepath.Dir(s.Dir()), "other", 1)
	if err != nil {
		t.Fatal(err)
	}
	other.Cleaned()
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.Dir()); err != nil {
		t.Errorf("another worker has cleaned it up: %v", err)
	}
}

// A spool that is full of other jobs' outputs is no fault of this one's.
func TestASpoolThatOthersFill(t *testing.T) {
	s := open(t, 1<<20)
	keep(t, s, 2, strings.Repeat("x", 1<<20))
	_, err := s.Create(1, pb.OutputKind_OUTPUT_KIND_BYTES, 0).Write(bytes.Repeat([]byte("x"), 1<<19))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "is full: other jobs have 1 of its 1 MiB") || !othersHave(err) {
		t.Errorf("Write = %v, want an error that says who fills the spool", err)
	}
	s.DropJob(2)
	keep(t, s, 1, strings.Repeat("x", 1<<19))
}

// othersHave says whether an error lays it on other jobs that there is no room.
func othersHave(err error) bool {
	var full *exchange.FullError
	return errors.As(err, &full) && full.Others
}

// A disk that is full is the fault of other jobs only where they have more of it
// than the job that writes.
func TestADiskThatOthersFill(t *testing.T) {
	s := open(t, 1<<20)
	keep(t, s, 1, "xx")
	keep(t, s, 2, "x")
	for job, blamed := range map[uint64]bool{1: false, 2: true, 3: true} {
		for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT} {
			if err := s.Written(job, cause); !errors.Is(err, cause) || othersHave(err) != blamed {
				t.Errorf("job %d: %v", job, err)
			}
		}
	}
	if err := s.Written(3, syscall.EIO); err != syscall.EIO {
		t.Error(err)
	}
}

// What one job may have is counted over all of its outputs, and no other's.
func TestAJobsOwnLimitHolds(t *testing.T) {
	s := open(t, 1<<20)
	write := func(job uint64) (*exchange.Writer, error) {
		w := s.Create(job, pb.OutputKind_OUTPUT_KIND_BYTES, 10)
		_, err := io.WriteString(w, "123456")
		if err == nil {
			_, err = w.Finish()
		}
		return w, err
	}
	for _, job := range []uint64{1, 2} {
		if _, err := write(job); err != nil {
			t.Fatal(err)
		}
	}
	w, err := write(1)
	if err == nil || !strings.Contains(err.Error(), "max_spool_bytes") {
		t.Errorf("the second output of a job over its limit: %v", err)
	}
	w.Abandon()
	s.DropJob(1)
	if _, err := write(1); err != nil {
		t.Errorf("after the job's outputs were dropped: %v", err)
	}
}

func TestDropGivesRoomBack(t *testing.T) {
	s := open(t, 1<<20)
	first, second, other := keep(t, s, 1, "a"), keep(t, s, 1, "b"), keep(t, s, 2, "c")
	s.Drop(first.GetId(), "unknown")
	s.DropJob(1)
	if s.Used() != 1 {
		t.Errorf("used = %d; want the other job's output alone", s.Used())
	}
	if _, err := s.Open(second.GetJob(), second.GetId()); err == nil {
		t.Error("a dropped output can still be read")
	}
	if got := read(t, s, other); got != "c" {
		t.Errorf("the other job's output is %q", got)
	}
}

// What the worker itself has lost is gone, and not merely out of reach.
func TestALostOutputIsMissing(t *testing.T) {
	s := open(t, 1<<20)
	dropped, removed := keep(t, s, 1, "a"), keep(t, s, 1, "b")
	s.Drop(dropped.GetId())
	os.Remove(filepath.Join(s.Dir(), removed.GetId()))
	for _, ref := range []*pb.OutputRef{dropped, removed} {
		in := s.Inputs([]*pb.OutputRef{ref}, nil)
		_, err := in.Parts()[0].Open(t.Context())
		var failure *processor.Failure
		if !errors.As(err, &failure) || failure.Class != pb.OutcomeClass_OUTCOME_CLASS_OUTPUT_MISSING {
			t.Errorf("Open = %v, want OUTPUT_MISSING", err)
		}
		if m := in.Missing(); len(m) != 1 || m[0].GetId() != ref.GetId() || !m[0].GetGone() {
			t.Errorf("missing: %v; want it to be gone", m)
		}
	}
}

// A spool whose owner is gone is removed by the next; one in use is not.
func TestCleanUpAfterACrash(t *testing.T) {
	parent := t.TempDir()
	alive, err := exchange.Open(parent, "w1", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	alive.Cleaned() // or it would be at the crashed one at the same time
	crashed := filepath.Join(parent, "spool-crashed")
	os.Mkdir(crashed, 0o700)
	os.WriteFile(filepath.Join(crashed, "lock"), nil, 0o600)
	os.WriteFile(filepath.Join(crashed, "output"), []byte("x"), 0o600)
	foreign := filepath.Join(parent, "spool-of-cotton")
	os.Mkdir(foreign, 0o700)

	next, err := exchange.Open(parent, "w2", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	next.Cleaned()
	for path, there := range map[string]bool{crashed: false, alive.Dir(): true, foreign: true} {
		if _, err := os.Stat(path); (err == nil) != there {
			t.Errorf("%s is there: %v, want %v", path, err == nil, there)
		}
	}
}

// A disk that is full of what a worker's former self left is no batch's fault:
// whoever meets it waits until that is gone.
func TestADiskThatDeadWorkersFill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, 1<<20)
		excuse := func(ctx context.Context, err error) string {
			said, fault := s.Excuse(ctx, err, s.Made())
			if fault != nil {
				t.Error(fault)
			}
			return said
		}
		s.Cleaned()
		if said := excuse(t.Context(), syscall.ENOSPC); said != "" {
			t.Errorf("nothing was left, and it says %q", said)
		}
		time.AfterFunc(time.Second, s.Clean(false)) // once it waits
		if said := excuse(t.Context(), syscall.ENOSPC); said != "" {
			t.Errorf("the cleaning found nothing, and it says %q", said)
		}
		cleaned := s.Clean(true)
		defer cleaned()
		ended, end := context.WithCancel(t.Context())
		end()
		if said := excuse(ended, syscall.ENOSPC); said == "" {
			t.Error("an attempt that was ended waits")
		}
		if said := excuse(t.Context(), syscall.EIO); said != "" {
			t.Errorf("a broken disk: %q", said)
		}
		time.AfterFunc(time.Second, cleaned) // once it waits
		began := time.Now()
		if said := excuse(t.Context(), syscall.ENOSPC); !strings.Contains(said, "dead workers") || time.Since(began) != time.Second {
			t.Errorf("it says %q after %v", said, time.Since(began))
		}
	})
}

// Workers of one machine start at the same time, in the same folder.
func TestManySpoolsAtOnce(t *testing.T) {
	parent := t.TempDir()
	for range 10 {
		opened := make(chan error)
		for range 8 {
			go func() {
				s, err := exchange.Open(parent, "w", 1<<20)
				if err == nil {
					s.Cleaned()
					_, err = os.Stat(filepath.Join(s.Dir(), "lock"))
					s.Close()
				}
				opened <- err
			}()
		}
		for range 8 {
			if err := <-opened; err != nil {
				t.Error(err)
			}
		}
	}
}
