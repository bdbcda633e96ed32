package coordinator

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	pb "github.com/millrace/millrace/api/millracev1"
)

func refusedConn() error {
	return &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

func TestWhatCountsAsRefused(t *testing.T) {
	answers := map[string]error{"refuses": refusedConn(), "silent": context.DeadlineExceeded, "unreachable": errors.New("no route"), "lives": nil}
	dial := func(_ context.Context, _, address string) (net.Conn, error) {
		ours, _ := net.Pipe()
		return ours, answers[address]
	}
	for _, c := range []struct {
		addresses []string
		want      bool
	}{
		{[]string{"refuses"}, true},
		{[]string{"refuses", "silent"}, true},
		{[]string{"silent", "refuses"}, true},
		{[]string{"silent", "unreachable"}, false},
		{[]string{"lives"}, false},
		{[]string{"refuses", "lives"}, false},
		{nil, false},
	} {
		if got := refuse(t.Context(), dial, time.Second, c.addresses); got != c.want {
			t.Errorf("%v counts as refused: %v", c.addresses, got)
		}
	}
}

// A listener of this machine that was closed refuses.
func TestAClosedPortRefuses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := []string{l.Addr().String()}
	dial := (&net.Dialer{}).DialContext
	if refuse(t.Context(), dial, time.Second, address) {
		t.Error("an open port refuses")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if !refuse(t.Context(), dial, time.Second, address) {
		t.Error("a closed port does not refuse")
	}
}

// dead is a worker that holds a lease, and whose session breaks.
func (w *world) dead(name string) {
	f := w.dial()
	f.introduce(attachOf(func(a *pb.Attach) { a.Worker, a.Processors = name, []string{"command:*"} }))
	w.submit("")
	f.credit(1)
	f.grant()
	f.hangUp()
}

// The process of a worker that was killed refuses connections: its leases go
// back long before they run out.
func TestAKilledWorkersLeasesGoBackAtOnce(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		var tries atomic.Int32
		w.c.dial = func(context.Context, string, string) (net.Conn, error) {
			if tries.Add(1) < 3 { // it is still closing its sockets
				ours, _ := net.Pipe()
				return ours, nil
			}
			return nil, refusedConn()
		}
		w.dead("killed")
		began := time.Now()
		other := w.attach("other", 1)
		other.credit(1)
		other.grant()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the lease went on after %v", took)
		}
	})
}

// Silence is no second witness: the lease waits for its end.
func TestAnUnreachableWorkerKeepsItsLeases(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.c.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		w.dead("cut-off")
		began := time.Now()
		other := w.attach("other", 1)
		other.credit(1)
		other.grant()
		if took := time.Since(began); took < 9*time.Second {
			t.Errorf("the lease went on after %v", took)
		}
	})
}
