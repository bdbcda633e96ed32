package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

func TestTransferKeepsOrderAndEnds(t *testing.T) {
	r := New(time.Hour)
	in := r.Expect(6, 4)
	if in.Begun() {
		t.Error("it has begun before anybody brings it")
	}
	out, err := r.Upload(in.Ticket())
	if err != nil || !in.Begun() {
		t.Fatal(err, in.Begun())
	}
	go func() {
		for _, s := range []string{"ab", "", "cd", "ef"} {
			if err := out.Write(t.Context(), []byte(s)); err != nil {
				t.Error(err)
			}
		}
		if err := out.Done(); err != nil {
			t.Error(err)
		}
	}()
	if got, err := readAll(t.Context(), in); got != "abcdef" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	if r.Waiting() != 0 {
		t.Fatalf("%d transfers are left", r.Waiting())
	}
}

func TestTicketIsGoodForOneUpload(t *testing.T) {
	r := New(time.Hour)
	in := r.Expect(1, 1)
	if _, err := r.Upload("AAAA"); !errors.Is(err, ErrUnknown) {
		t.Errorf("a guess got %v", err)
	}
	if _, err := r.Upload(in.Ticket()); err != nil {
		t.Errorf("the first upload got %v", err)
	}
	if _, err := r.Upload(in.Ticket()); !errors.Is(err, ErrUnknown) {
		t.Errorf("the second upload got %v", err)
	}
	given := r.Expect(1, 1)
	given.Close()
	if _, err := r.Upload(given.Ticket()); !errors.Is(err, ErrUnknown) {
		t.Errorf("an upload that nobody wants any more got %v", err)
	}
}

func TestWriterWaitsForItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(time.Hour).Expect(30, 10)
		written := 0
		go func() {
			for range 3 {
				if in.Write(t.Context(), make([]byte, 10)) == nil {
					written++
				}
			}
		}()
		for want := 1; want <= 3; want++ {
			synctest.Wait()
			if written != want {
				t.Fatalf("%d chunks written where %d fit", written, want)
			}
			if _, err := in.Read(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestChunkLargerThanTheBufferPasses(t *testing.T) {
	in := New(time.Hour).Expect(100, 10)
	if err := in.Write(t.Context(), make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if b, err := in.Read(t.Context()); len(b) != 100 || err != nil {
		t.Fatalf("got %d bytes, %v", len(b), err)
	}
}

func TestWrongSizeFails(t *testing.T) {
	short := New(time.Hour).Expect(3, 10)
	_ = short.Write(t.Context(), []byte("ab"))
	if err := short.Done(); !errors.Is(err, ErrSize) {
		t.Errorf("a short output got %v", err)
	}
	long := New(time.Hour).Expect(1, 10)
	if err := long.Write(t.Context(), []byte("ab")); !errors.Is(err, ErrSize) {
		t.Errorf("a long output got %v", err)
	}
	if err := long.Whole(t.Context()); err == nil {
		t.Error("the reader of a long output was not told")
	}
}

func TestWholeWaitsForAllOrForAFullBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		small, large := New(time.Hour).Expect(2, 10), New(time.Hour).Expect(20, 10)
		smallWhole, largeWhole := make(chan error, 1), make(chan error, 1)
		go func() { smallWhole <- small.Whole(t.Context()) }()
		go func() { largeWhole <- large.Whole(t.Context()) }()
		_ = small.Write(t.Context(), []byte("a"))
		_ = large.Write(t.Context(), []byte("0123456789"))
		synctest.Wait()
		if len(smallWhole) != 0 || len(largeWhole) != 1 {
			t.Fatal("a small output must be complete, a large one only begun")
		}
		small.Abort(io.ErrUnexpectedEOF)
		if err := <-smallWhole; !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("a failed output is whole: %v", err)
		}
	})
}

func TestEndsReachTheOtherSide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(time.Hour).Expect(20, 1)
		_ = in.Write(t.Context(), []byte("a"))
		wrote := make(chan error, 1)
		go func() { wrote <- in.Write(t.Context(), []byte("b")) }()
		synctest.Wait()
		in.Close()
		if err := <-wrote; !errors.Is(err, ErrClosed) {
			t.Errorf("the writer of a closed transfer got %v", err)
		}

		failed := New(time.Hour).Expect(20, 1)
		read := make(chan error, 1)
		go func() {
			_, err := failed.Read(t.Context())
			read <- err
		}()
		synctest.Wait()
		failed.Fail(io.ErrNoProgress)
		failed.Fail(io.ErrShortWrite) // the first reason stays
		if err := <-read; !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("the reader of a failed transfer got %v", err)
		}
		if err := failed.Write(t.Context(), nil); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("the writer of a failed transfer got %v", err)
		}
	})
}

// A reader waits for a byte, not for all of them, and not while it reads nothing.
func TestReaderIsNotKeptWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(time.Minute).Expect(4, 10)
		whole := make(chan error, 1)
		<-time.After(time.Hour) // nobody reads
		go func() { whole <- in.Whole(t.Context()) }()
		for range 3 {
			<-time.After(50 * time.Second)
			if err := in.Write(t.Context(), []byte("a")); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		if err := <-whole; !errors.Is(err, ErrIdle) || time.Since(began) != time.Minute {
			t.Errorf("after %s it is %v", time.Since(began), err)
		}
		if err := in.Failed(t.Context()); !errors.Is(err, ErrIdle) {
			t.Errorf("its writer is told %v", err)
		}
		if err := in.Write(t.Context(), []byte("a")); !errors.Is(err, ErrIdle) {
			t.Errorf("a late byte got %v", err)
		}
	})
}

func TestWaitsEndWithTheirContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in := New(time.Hour).Expect(20, 1)
	if _, err := in.Read(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Read got %v", err)
	}
	_ = in.Write(ctx, []byte("a"))
	if err := in.Write(ctx, []byte("b")); !errors.Is(err, context.Canceled) {
		t.Errorf("Write got %v", err)
	}
}

func readAll(ctx context.Context, t *Transfer) (string, error) {
	var all bytes.Buffer
	for {
		b, err := t.Read(ctx)
		if errors.Is(err, io.EOF) {
			return all.String(), nil
		}
		if err != nil {
			return all.String(), err
		}
		all.Write(b)
	}
}
