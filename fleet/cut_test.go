package fleet

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// gap stands before a member's address, and lets nothing through while it is
// cut.
type gap struct {
	tcp *net.TCPListener
	udp *net.UDPConn
	cut atomic.Bool
	// refused gets a word for each call that was made while it was cut.
	refused chan struct{}
}

// newGap makes one on a free port.
func newGap(t *testing.T) *gap {
	t.Helper()
	for range bindTries {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		u, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: l.Addr().(*net.TCPAddr).Port})
		if err == nil {
			return &gap{tcp: l, udp: u, refused: make(chan struct{}, 1000)}
		}
		l.Close()
	}
	t.Fatal("no port is free for TCP and UDP")
	return nil
}

func (g *gap) addr() string { return g.tcp.Addr().String() }

// lead begins to let through what is for the member that listens on an address.
func (g *gap) lead(t *testing.T, to string) {
	var leading sync.WaitGroup
	leading.Go(func() { g.leadPackets(to) })
	leading.Go(func() {
		for {
			c, err := g.tcp.Accept()
			if err != nil {
				return
			}
			leading.Go(func() { g.leadCall(c, to) })
		}
	})
	t.Cleanup(func() {
		g.tcp.Close()
		g.udp.Close()
		leading.Wait()
	})
}

func (g *gap) leadPackets(to string) {
	there := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to))
	buffer := make([]byte, 1<<16)
	for {
		n, _, err := g.udp.ReadFrom(buffer)
		if err != nil {
			return
		}
		if !g.cut.Load() {
			g.udp.WriteTo(buffer[:n], there) //nolint:errcheck // packets get lost
		}
	}
}

func (g *gap) leadCall(c net.Conn, to string) {
	defer c.Close()
	if g.cut.Load() {
		g.refused <- struct{}{}
		return
	}
	there, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer there.Close()
	go func() {
		io.Copy(there, c) //nolint:errcheck // it ends somehow
		there.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(c, there) //nolint:errcheck // it ends somehow
}

func await(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatal("the dead are not called")
	}
}

// Two that buried each other, and that nobody else could bring together, come
// together when they can: a coordinator calls the dead.
func TestTheDeadAreCalled(t *testing.T) {
	t.Parallel()
	before := map[string]*gap{"w": newGap(t), "c": newGap(t)}
	behind := func(name string, n *node) *node {
		before[name].lead(t, n.own[1].String())
		return n
	}
	cut := func(is bool) {
		for _, g := range before {
			g.cut.Store(is)
		}
	}
	w := behind("w", start(t, "w", func(c *Config) { c.Advertise = before["w"].addr() }))
	_, port, _ := net.SplitHostPort(before["w"].addr())
	var gone atomic.Bool
	resolve := func(context.Context, string) ([]netip.Addr, error) {
		if gone.Load() {
			return nil, errors.New("no such host")
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	c := behind("c", start(t, "c", func(c *Config) {
		c.Role, c.Advertise = Coordinator, before["c"].addr()
		c.Join, c.Resolve = []string{"w.example:" + port}, resolve
	}))
	c.awaitOpinion("w", Alive)
	w.awaitOpinion("c", Alive)
	gone.Store(true)
	cut(true)
	c.awaitOpinion("w", Dead)
	w.awaitOpinion("c", Dead)
	for _, g := range before {
		for range 5 { // until the news of its death is told no more
			await(t, g.refused)
		}
	}
	cut(false)
	c.awaitOpinion("w", Alive)
	w.awaitOpinion("c", Alive)
}
