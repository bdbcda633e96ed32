// Package coordinator is the shell around the ledger: it carries events in
// from gRPC calls and the clock, and effects out to workers and clients. What
// is decided here is how they travel: queues, message sizes, and what happens
// to a peer that is too slow. What is done with a job is decided in
// [github.com/millrace/millrace/coordinator/ledger], and never here.
package coordinator

import (
	"context"

	"google.golang.org/grpc"
)

// Coordinator serves jobs to clients and leases to workers.
type Coordinator struct {
	config Config
}

// New makes a coordinator, or tells everything that is wrong with its config.
func New(config Config) (*Coordinator, error) {
	config = config.withDefaults()
	if err := config.check(); err != nil {
		return nil, err
	}
	return &Coordinator{config: config}, nil
}

// Run serves until the context ends, and returns when everything that it
// started has ended: streams that are open get UNAVAILABLE. It is called once.
// Calls that arrive before it wait; calls that arrive after it fail.
func (c *Coordinator) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Register adds the services to a server: jobs, workers, health and
// reflection.
func (c *Coordinator) Register(server grpc.ServiceRegistrar) {}

// ServerOptions are the options that a server for this coordinator must be
// made with: message sizes, keepalive and windows.
func (c *Coordinator) ServerOptions() []grpc.ServerOption { return nil }
