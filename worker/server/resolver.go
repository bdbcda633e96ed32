package server

import (
	"google.golang.org/grpc/resolver"
)

// scheme is that of the only address that a worker dials.
const scheme = "millrace"

// builder has gRPC learn the coordinators' addresses from gossip.
type builder struct{ *coordinators }

// Scheme is the one that it stands for.
func (b builder) Scheme() string { return scheme }

// Build begins to tell a connection of addresses.
func (b builder) Build(_ resolver.Target, conn resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	b.mu.Lock()
	b.readers[conn] = true
	b.mu.Unlock()
	b.tell(conn)
	return &following{b.coordinators, conn}, nil
}

// tell tells a connection of the addresses. Without any it waits: calls that are
// ready to wait do so until there is one.
func (c *coordinators) tell(conn resolver.ClientConn) {
	addrs := c.known()
	if len(addrs) == 0 {
		return
	}
	state := resolver.State{}
	for _, address := range addrs {
		state.Addresses = append(state.Addresses, resolver.Address{Addr: address})
	}
	conn.UpdateState(state) //nolint:errcheck // what it can't use it asks for again
}

// following is the resolver of one connection.
type following struct {
	*coordinators
	conn resolver.ClientConn
}

// ResolveNow has nothing to add: what gossip knows is told at once.
func (f *following) ResolveNow(resolver.ResolveNowOptions) {}

// Close ends it.
func (f *following) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.readers, f.conn)
}
