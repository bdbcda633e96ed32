package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
)

// Config says who a member is, and how it gossips.
type Config struct {
	// Name is its name, unique among the living; 1 to 63 bytes.
	Name string
	// Incarnation is the number of its process: higher at every start.
	Incarnation uint64
	// Role is what it is.
	Role Role
	// Bind is where it listens for gossip, "host:port", UDP and TCP alike. Port 0
	// chooses one; an empty host is every address of the machine.
	Bind string
	// Advertise is where others reach it, "host:port", or "host" with the port
	// that is listened on. Chosen when empty: see AdvertisedHost.
	Advertise string
	// Join are members to begin with, each "host:port"; a name stands for all
	// addresses that it resolves to, and is resolved again and again.
	Join []string
	// KeyFile holds the cluster's keys; without it, gossip is neither encrypted
	// nor authenticated.
	KeyFile string
	// Profile is "lan", "wan" or "local"; when empty "local" where the advertised
	// address is loopback, and "lan" elsewhere.
	Profile string
	// Addresses are where its gRPC server is reached, "host:port", the best in
	// front.
	Addresses []string
	// Slots is how many batches it runs at once; 0 for a coordinator.
	Slots int
	// Zone is where it is.
	Zone string
	// Version is the version of its program.
	Version string
	// Resolve finds the addresses of hosts; the system's resolver when nil.
	Resolve Resolver
	// Logger gets a line for each transition; slog's default when nil.
	Logger *slog.Logger
}

// check says all that is wrong with c.
func (c Config) check() error {
	var errs []error
	if c.Name == "" || len(c.Name) > MaxName {
		errs = append(errs, fmt.Errorf("the name %q: it must have 1 to %d bytes", c.Name, MaxName))
	}
	if c.Role != Coordinator && c.Role != Worker {
		errs = append(errs, fmt.Errorf("the role %q: it is %s or %s", c.Role, Coordinator, Worker))
	}
	if c.Slots < 0 || c.Slots > math.MaxInt32 {
		errs = append(errs, fmt.Errorf("%d slots", c.Slots))
	}
	if len(c.Addresses) > MaxAddresses {
		errs = append(errs, fmt.Errorf("%d addresses: at most %d", len(c.Addresses), MaxAddresses))
	}
	_, err := targetsOf(c.Join)
	return errors.Join(append(errs, err)...)
}

func (c Config) member() Member {
	return Member{Role: c.Role, Addresses: c.Addresses, Slots: c.Slots, Zone: c.Zone, Version: c.Version}
}

// place is where a member listens, and where others find it.
type place struct {
	bind, advertised         netip.Addr // bind is invalid for every address
	bindPort, advertisedPort uint16     // 0: chosen; the same as the other
}

func (c Config) place(ctx context.Context) (p place, err error) {
	host, port, err := splitAddress(c.Bind)
	if err != nil {
		return p, fmt.Errorf("gossip on %w", err)
	}
	p.bindPort = port
	if !everyAddress(host) {
		if p.bind, err = c.Resolve.pick(ctx, host, netip.Addr{}); err != nil {
			return p, fmt.Errorf("gossip on %s: %w", c.Bind, err)
		}
	}
	if c.Advertise != "" {
		if _, p.advertisedPort, err = splitAdvertise(c.Advertise); err != nil {
			return p, fmt.Errorf("advertise %w", err)
		}
	}
	if host, err = c.Resolve.advertisedHost(ctx, c.Advertise, c.Bind, c.Join, ownAddresses()); err != nil {
		return p, fmt.Errorf("advertise %w", err)
	}
	if p.advertised, err = c.Resolve.pick(ctx, host, p.bind); err != nil {
		return p, fmt.Errorf("advertise %s: %w", host, err)
	}
	return p, nil
}
