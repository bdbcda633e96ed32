package identity

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A certificate's end is told beforehand, when it comes, and until a new one is
// there; nothing is said of one that has time.
func TestTheEndOfACertificateIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := authority(t)
		f := sealed(t, dir, "short", -time.Hour, 26*time.Hour, Worker)
		k, err := Open(f)
		if err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		k.LogTo(slog.New(slog.NewTextHandler(&log, nil)))
		said := func(after time.Duration, soon, over int) {
			t.Helper()
			<-time.After(after)
			synctest.Wait()
			k.mu.Lock()
			defer k.mu.Unlock()
			text := log.String()
			if a, b := strings.Count(text, "expires soon"), strings.Count(text, "has expired"); a != soon || b != over {
				t.Errorf("it is said %d times that it ends soon, want %d, and %d that it has, want %d:\n%s", a, soon, b, over, text)
			}
		}
		said(time.Minute, 0, 0)
		said(3*time.Hour, 2, 0)
		said(23*time.Hour, 24, 1)
		said(time.Hour, 24, 2)
		fresh := issue(t, dir, "fresh", Worker)
		move(t, fresh.Cert, f.Cert)
		move(t, fresh.Key, f.Key)
		said(10*time.Hour, 24, 2)
		if k.Name() != "fresh" {
			t.Errorf("the new one is not read: %s", k.Name())
		}
	})
}

func TestRefusalsAreCounted(t *testing.T) {
	var r refusals
	start := time.Now()
	from := func(ip string, port int) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: port} }
	count := func(ip string, at time.Duration, err error, want string) {
		t.Helper()
		unlogged, log := r.count(from(ip, 1_000+int(at/time.Second)), err, start.Add(at))
		if got := fmt.Sprint(unlogged, log); got != want {
			t.Errorf("%s after %v, %v: %s, want %s", ip, at, err, got, want)
		}
	}
	expired := func(at int) error {
		return fmt.Errorf("the certificate expired at noon%s%d here", nowIs, at)
	}
	count("10.0.0.1", 0, expired(0), "0 true")
	count("10.0.0.1", time.Second, expired(1), "0 false")
	count("10.0.0.1", time.Second, errors.New("another reason"), "0 true")
	count("10.0.0.2", time.Second, expired(1), "0 true")
	count("10.0.0.1", 2*time.Second, expired(2), "0 false")
	count("10.0.0.1", time.Minute, expired(60), "2 true")
	count("10.0.0.1", 61*time.Second, expired(61), "0 false")
	for i, port := range []int{1, 2} {
		reset := &net.OpError{Op: "read", Net: "tcp", Addr: from("10.0.0.1", port), Err: errors.New("connection reset")}
		count("10.0.0.1", 0, reset, fmt.Sprint(0, i == 0))
	}
}
