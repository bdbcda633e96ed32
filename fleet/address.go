package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// resolveTimeout is how long a name may take to resolve.
const resolveTimeout = 3 * time.Second

// Resolver finds the addresses of a host.
type Resolver func(ctx context.Context, host string) ([]netip.Addr, error)

// Resolve asks r, or the system when that is nil, for at most some seconds; an
// address stands for itself.
func (r Resolver) Resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	if r == nil {
		r = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	found, err := r(ctx, host)
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found, err
}

// splitAddress takes "host:port" apart.
func splitAddress(address string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not HOST:PORT (an IPv6 address goes in brackets)", address)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not HOST:PORT: the port is a number up to 65535", address)
	}
	return host, uint16(n), nil
}

// splitAdvertise takes "host:port" or "host" apart; port 0 means the one that
// is listened on.
func splitAdvertise(advertise string) (host string, port uint16, err error) {
	if _, err := netip.ParseAddr(advertise); err == nil {
		return advertise, 0, nil
	}
	if _, _, err := net.SplitHostPort(advertise); err != nil {
		return advertise, 0, nil
	}
	return splitAddress(advertise)
}

// AdvertisedHost is the host at which others reach a server that listens on
// bind ("host:port"): that of advertise ("host" or "host:port") when given, else
// bind's own unless that means every address of the machine, else the address
// from which the first of join is reached, else a private address of this
// machine. No packet is sent, but names are resolved; one that can't be is passed
// over, since it may be there later.
func AdvertisedHost(ctx context.Context, advertise, bind string, join []string) (string, error) {
	return Resolver(nil).advertisedHost(ctx, advertise, bind, join, ownAddresses())
}

func (r Resolver) advertisedHost(ctx context.Context, advertise, bind string, join []string, own []netip.Addr) (string, error) {
	if advertise != "" {
		host, _, err := splitAdvertise(advertise)
		if err == nil && host == "" {
			err = fmt.Errorf("%q names no host", advertise)
		}
		return host, err
	}
	host, _, err := splitAddress(bind)
	if err != nil {
		return "", err
	}
	if !everyAddress(host) {
		return host, nil
	}
	targets, err := targetsOf(join)
	if err != nil {
		return "", err
	}
	for _, t := range targets {
		if a, ok := r.reachedFrom(ctx, t); ok {
			return a.String(), nil
		}
	}
	return likeliest(own).String(), nil
}

// AdvertisedAddresses are where others reach a server that listens on bind
// ("host:port", with the port that was chosen), each "host:port", the best first.
// The host is AdvertisedHost, and after it an address of the other family of IP
// when bind is every address of the machine, of either family, and it has one
// that others may reach: who speaks only one of them tries both. The port is
// that of advertise, unless it names none, or 0.
func AdvertisedAddresses(ctx context.Context, advertise, bind string, join []string) ([]string, error) {
	hosts, err := Resolver(nil).advertisedHosts(ctx, advertise, bind, join, ownAddresses())
	if err != nil {
		return nil, fmt.Errorf("find the address that others reach: %w", err)
	}
	port, err := advertisedPort(advertise, bind)
	if err != nil {
		return nil, fmt.Errorf("find the port that others reach: %w", err)
	}
	for i, host := range hosts {
		hosts[i] = net.JoinHostPort(host, strconv.Itoa(int(port)))
	}
	return hosts, nil
}

func advertisedPort(advertise, bind string) (uint16, error) {
	if _, port, err := splitAdvertise(advertise); err != nil || port > 0 {
		return port, err
	}
	_, port, err := splitAddress(bind)
	return port, err
}

// HostOf is the host of "host:port", or of "host".
func HostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

func (r Resolver) advertisedHosts(ctx context.Context, advertise, bind string, join []string, own []netip.Addr) ([]string, error) {
	host, err := r.advertisedHost(ctx, advertise, bind, join, own)
	if err != nil {
		return nil, err
	}
	listened, _, err := splitAddress(bind)
	bound, _ := netip.ParseAddr(listened)
	best, bad := netip.ParseAddr(host)
	if advertise != "" || errors.Join(err, bad) != nil || !everyAddress(listened) || bound.Is4() || best.IsLoopback() {
		return []string{host}, nil
	}
	others := slices.DeleteFunc(slices.Clone(own), func(a netip.Addr) bool { return a.Is4() == best.Is4() })
	if other := likeliest(others); rank(other) > 0 {
		return []string{host, other.String()}, nil
	}
	return []string{host}, nil
}

// everyAddress says whether listening on host means every address.
func everyAddress(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "" || err == nil && a.IsUnspecified()
}

// reachedFrom is the address from which this machine reaches another: what the
// kernel's routes say, without a packet.
func (r Resolver) reachedFrom(ctx context.Context, t target) (netip.Addr, bool) {
	found, _ := r.Resolve(ctx, t.host)
	for _, a := range found {
		c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, t.port)))
		if err != nil {
			continue
		}
		from := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
		c.Close()
		return from.Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}

// IsOwn says whether an address is one of this machine's, as far as it tells.
func IsOwn(a netip.Addr) bool { return slices.Contains(ownAddresses(), a.Unmap()) }

// ownAddresses are those of this machine, as far as it tells.
func ownAddresses() (own []netip.Addr) {
	told, _ := net.InterfaceAddrs()
	for _, a := range told {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p.Addr().Unmap())
		}
	}
	return own
}

// likeliest is the address by which other machines most likely reach this one:
// IPv4 rather than IPv6, a private one rather than a public one, loopback when
// there is no other. (Most machines have an IPv6 address of some kind, and few
// fleets nothing else.)
func likeliest(own []netip.Addr) netip.Addr {
	best := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	for _, a := range own {
		if rank(a) > rank(best) {
			best = a
		}
	}
	return best
}

func rank(a netip.Addr) int {
	if !a.IsGlobalUnicast() {
		return 0
	}
	n := 1
	if a.Is4() {
		n += 2
	}
	if a.IsPrivate() {
		n++
	}
	return n
}

// pick is the address of a host that goes with where is listened: of the same
// family where that is known.
func (r Resolver) pick(ctx context.Context, host string, bind netip.Addr) (netip.Addr, error) {
	found, err := r.Resolve(ctx, host)
	if err != nil {
		return netip.Addr{}, err
	}
	if len(found) == 0 {
		return netip.Addr{}, fmt.Errorf("%s has no address", host)
	}
	same := func(a netip.Addr) bool { return a.Is4() == bind.Is4() }
	if i := slices.IndexFunc(found, same); bind.IsValid() && !bind.IsUnspecified() && i >= 0 {
		return found[i], nil
	}
	return found[0], nil
}
