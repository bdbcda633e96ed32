package dataplane

import (
	"crypto/tls"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// errClosed is what a pool says after its Close.
var errClosed = errors.New("the pool is closed")

// Pool keeps connections to holders of outputs, one for each address. It is safe
// for use by several goroutines.
type Pool struct {
	options []grpc.DialOption

	mu     sync.Mutex
	conns  map[string]*conn
	closed bool
}

// conn is a connection and who uses it.
type conn struct {
	*grpc.ClientConn
	users int
}

// NewPool makes a pool whose connections use TLS as config says, or none when it
// is nil.
func NewPool(config *tls.Config) *Pool {
	creds := insecure.NewCredentials()
	if config != nil {
		creds = credentials.NewTLS(config)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithIdleTimeout(idleAfter),
		// The window of a stream bounds what is buffered of it. That of the
		// connection is for all streams together, and holds none of them back.
		grpc.WithStaticStreamWindowSize(WindowBytes),
		grpc.WithStaticConnWindowSize(16 << 20),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: ConnectWithin,
		}),
	}
	return &Pool{options: options, conns: map[string]*conn{}}
}

// Close ends all connections, and with them what is being fetched.
func (p *Pool) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	var errs []error
	for _, c := range p.conns {
		errs = append(errs, c.Close())
	}
	clear(p.conns)
	return errors.Join(errs...)
}

// take lends the connection to an address.
func (p *Pool) take(address string) (*conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	c := p.conns[address]
	if c == nil {
		made, err := grpc.NewClient("passthrough:///"+address, p.options...)
		if err != nil {
			return nil, err
		}
		c = &conn{ClientConn: made}
		p.shrink()
		p.conns[address] = c
	}
	c.users++
	return c, nil
}

// give ends a use.
func (p *Pool) give(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.users--
}

// shrink makes room for one more connection: those that nobody uses go, all at
// once, and come back where they are wanted.
func (p *Pool) shrink() {
	if len(p.conns) < MaxConns {
		return
	}
	for address, c := range p.conns {
		if c.users == 0 {
			delete(p.conns, address)
			c.Close() // nothing runs over it that could be lost
		}
	}
}
