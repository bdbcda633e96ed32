package fleet

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// bindTries is how often a chosen port is tried: it must be free for TCP and
// for UDP.
const bindTries = 20

// transport is memberlist's own over UDP and TCP, whose calls end when the
// member does.
type transport struct {
	*memberlist.NetTransport
	ctx context.Context
}

// listen binds to every address of host, or to that one.
func listen(ctx context.Context, bind netip.Addr, port uint16, logger *log.Logger) (*transport, uint16, error) {
	host := ""
	if bind.IsValid() {
		host = bind.String()
	}
	c := &memberlist.NetTransportConfig{BindAddrs: []string{host}, BindPort: int(port), Logger: logger}
	tries := 1
	if port == 0 {
		tries = bindTries
	}
	var err error
	for range tries {
		var t *memberlist.NetTransport
		if t, err = memberlist.NewNetTransport(c); err == nil {
			return &transport{t, ctx}, uint16(t.GetAutoBindPort()), nil
		}
	}
	return nil, 0, fmt.Errorf("gossip on %s: %w", net.JoinHostPort(host, strconv.Itoa(int(port))), err)
}

// DialAddressTimeout calls another member.
func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout}
	c, err := d.DialContext(t.ctx, "tcp", a.Addr)
	if err != nil {
		return nil, err
	}
	return &call{Conn: c, stop: context.AfterFunc(t.ctx, func() { c.Close() })}, nil
}

// DialTimeout calls another member.
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

// call is a connection that is closed with its member.
type call struct {
	net.Conn
	stop func() bool
	once sync.Once
}

// Close hangs up.
func (c *call) Close() error {
	c.once.Do(func() { c.stop() })
	return c.Conn.Close()
}
