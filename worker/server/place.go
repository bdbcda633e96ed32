package server

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/millrace/millrace/fleet"
	"github.com/millrace/millrace/identity"
)

// place says where a worker listens that was not told, and fails when strangers
// would reach it there. What it was told is in order (see check).
func (c Config) place(ctx context.Context) (Config, error) {
	told := c.Listen != "" || c.Advertise != ""
	if c.Listen == "" {
		host, err := c.host(ctx)
		if err != nil {
			return c, fmt.Errorf("find the address that others reach: %w", err)
		}
		c.Listen = net.JoinHostPort(host, "0")
	}
	if c.Gossip == "" {
		c.Gossip = net.JoinHostPort(fleet.HostOf(c.Listen), "0")
	}
	err := c.exposed()
	if err != nil && !told && !c.resolves(ctx) {
		err = fmt.Errorf("none of the members to join is known by name at present (%s), so that the address from which the worker would reach them is a guess; "+
			"put the name right, or say where to listen (--listen); with the guess: %w", strings.Join(c.Join, ", "), err)
	}
	return c, err
}

// host is where a worker listens that was not told: the address from which it
// reaches the others. Where those shall reach it at an address that is not this
// machine's, somebody in between passes on what comes, to whichever of its own.
func (c Config) host(ctx context.Context) (string, error) {
	if c.Advertise == "" {
		return fleet.AdvertisedHost(ctx, "", ":0", c.Join)
	}
	told, err := netip.ParseAddr(fleet.HostOf(c.Advertise))
	if err == nil && (told.IsLoopback() || fleet.IsOwn(told)) {
		return told.String(), nil
	}
	return "", nil
}

// exposed says what strangers could do to the worker where it would listen; nil
// when they can't, or that is meant.
func (c Config) exposed() error {
	return identity.CheckExposure(identity.Worker, c.TLS.Set(), c.GossipKeyFile != "", c.Insecure, c.Listen, c.Gossip)
}

// warnExposed logs what is open to strangers, as it was said to be meant.
func (c Config) warnExposed() {
	if open := identity.Exposure(identity.Worker, c.TLS.Set(), c.GossipKeyFile != "", c.Listen, c.Gossip); open != "" {
		c.Logger.Warn(open+", as --insecure says", "worker", c.Name)
	}
}

// resolves says whether an address of any member to join is known.
func (c Config) resolves(ctx context.Context) bool {
	for _, member := range c.Join {
		if found, err := c.Resolve.Resolve(ctx, fleet.HostOf(member)); err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}
