package server

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"

	"github.com/millrace/millrace/api"
	"github.com/millrace/millrace/fleet"
)

// Connecting.
const (
	// firstPause and longestPause are how long an address that refused is left
	// alone: short, so that a coordinator that starts again is found at once.
	firstPause, longestPause = 50 * time.Millisecond, time.Second
	// connectWithin is how long a connection may take.
	connectWithin = 3 * time.Second
	// probeAfter a silence the connection is probed, and given up when the answer
	// takes longer than probeAnswer.
	probeAfter, probeAnswer = 10 * time.Second, 5 * time.Second
	// windowBytes is what a stream may send before the other side has read it.
	windowBytes = 4 << 20
)

// coordinators are those that gossip knows, and the connection to one of them.
// It is the connection of the worker's agent: new calls go through the latest.
type coordinators struct {
	log     *slog.Logger
	options []grpc.DialOption

	mu      sync.Mutex
	members map[process]fleet.Member
	addrs   []string // the best first
	home    string   // where the worker was taken last
	readers map[resolver.ClientConn]bool
	conn    *grpc.ClientConn // nil before the first call, and once closed
	closed  bool
}

// process is what a member is known by.
type process struct {
	name        string
	incarnation uint64
}

func newCoordinators(creds credentials.TransportCredentials, log *slog.Logger) *coordinators {
	c := &coordinators{log: log, members: map[process]fleet.Member{}, readers: map[resolver.ClientConn]bool{}}
	c.options = []grpc.DialOption{
		grpc.WithTransportCredentials(creds), grpc.WithResolvers(builder{c}), grpc.WithDisableServiceConfig(),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstPause, Multiplier: 1.6, Jitter: 0.2, MaxDelay: longestPause},
			MinConnectTimeout: connectWithin,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: probeAfter, Timeout: probeAnswer, PermitWithoutStream: true}),
		grpc.WithStaticStreamWindowSize(windowBytes), grpc.WithStaticConnWindowSize(windowBytes),
		grpc.WithIdleTimeout(0),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(api.MaxMessageBytes), grpc.MaxCallSendMsgSize(api.MaxMessageBytes)),
	}
	return c
}

// Invoke makes a call.
func (c *coordinators) Invoke(ctx context.Context, method string, args, reply any, options ...grpc.CallOption) error {
	conn, err := c.current()
	if err != nil {
		return err
	}
	return conn.Invoke(ctx, method, args, reply, options...)
}

// NewStream makes a call with streams.
func (c *coordinators) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	conn, err := c.current()
	if err != nil {
		return nil, err
	}
	return conn.NewStream(ctx, desc, method, options...)
}

func (c *coordinators) current() (*grpc.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, api.Errorf(api.Unavailable, "the worker has ended")
	}
	if c.conn == nil {
		conn, err := grpc.NewClient(scheme+":///coordinators", c.options...)
		if err != nil {
			return nil, err
		}
		c.conn = conn
	}
	return c.conn, nil
}

// renew has the next call go through a new connection, since the one at hand
// seems to lead nowhere.
func (c *coordinators) renew() {
	c.mu.Lock()
	old := c.conn
	c.conn = nil
	c.mu.Unlock()
	if old != nil {
		go old.Close() // what it says of its streams they say themselves
	}
}

// close ends the connection.
func (c *coordinators) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.renew()
}

// observe takes what gossip says of a member. It does not block.
func (c *coordinators) observe(m fleet.Member) {
	if m.Role != fleet.Coordinator {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := process{m.Name, m.Incarnation}
	_, known := c.members[key]
	if m.Opinion == fleet.Left || m.Opinion == fleet.Unknown {
		delete(c.members, key)
	} else {
		c.members[key] = m
	}
	if !known && m.Opinion == fleet.Alive {
		c.log.Info("coordinator found", "name", m.Name, "addresses", m.Addresses, "version", m.Version)
	}
	c.update(m.Opinion == fleet.Alive)
}

// update tells the connection of a change. One that lives is tried at once,
// whatever came of the last try.
func (c *coordinators) update(alive bool) {
	addrs := c.ranked()
	if !slices.Equal(addrs, c.addrs) {
		c.addrs = addrs
		for reader := range c.readers {
			go c.tell(reader) // which may ask for more at once
		}
	}
	if alive && c.conn != nil {
		c.conn.ResetConnectBackoff()
	}
}

// attached notes where the worker was taken.
func (c *coordinators) attached(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.home = address
	c.update(false)
}

// ranked is where coordinators are reached. The worker stays with the one that
// has taken it, since another knows nothing of what it does and holds. Gossip
// alone is no reason not to try one that it holds for dead; it comes last.
func (c *coordinators) ranked() []string {
	members := slices.SortedFunc(maps.Values(c.members), func(a, b fleet.Member) int {
		return cmp.Or(
			falseFirst(a.Opinion == fleet.Dead, b.Opinion == fleet.Dead),
			falseFirst(!slices.Contains(a.Addresses, c.home), !slices.Contains(b.Addresses, c.home)),
			strings.Compare(a.Name, b.Name))
	})
	var addrs []string
	for _, m := range members {
		for _, address := range m.Addresses {
			if !slices.Contains(addrs, address) {
				addrs = append(addrs, address)
			}
		}
	}
	return addrs
}

func falseFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// known says where coordinators are reached.
func (c *coordinators) known() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.addrs)
}
