package identity

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// CheckExposure is nil when a process of a role, Coordinator or Worker, is safe
// in listening on addresses ("host:port"): on loopback, or with TLS and a gossip
// key, or when insecure says that it is meant. Otherwise it says what is open to
// whom, and what to do.
func CheckExposure(role Role, hasTLS, hasKey, insecure bool, addresses ...string) error {
	for _, listen := range addresses {
		if _, _, err := net.SplitHostPort(listen); err != nil {
			return fmt.Errorf("%q is not HOST:PORT (an IPv6 address goes in brackets)", listen)
		}
	}
	open := Exposure(role, hasTLS, hasKey, addresses...)
	if insecure || open == "" {
		return nil
	}
	var fix []string
	if !hasTLS {
		fix = append(fix, "--tls-cert, --tls-key and --tls-ca (millrace certs makes them)")
	}
	if !hasKey {
		fix = append(fix, "--gossip-key-file")
	}
	instead := "listen"
	if role == Worker {
		instead = "join a fleet"
	}
	return fmt.Errorf("%s: give %s, or %s on 127.0.0.1, or say that it is meant with --insecure", open, strings.Join(fix, " and "), instead)
}

// Exposure says what is open to whom where a process of a role, Coordinator or
// Worker, listens ("host:port"), at the first address where anything is; empty
// on loopback, and with TLS and a gossip key.
func Exposure(role Role, hasTLS, hasKey bool, addresses ...string) string {
	i := slices.IndexFunc(addresses, func(listen string) bool { return !isLoopback(hostOf(listen)) })
	if hasTLS && hasKey || i < 0 {
		return ""
	}
	d := dangerOf(role, addresses[i])
	var open []string
	if !hasTLS {
		open = append(open, d.calls)
	}
	if !hasKey {
		open = append(open, d.gossip)
	}
	return fmt.Sprintf("%s lets everybody who reaches it %s", d.what, strings.Join(open, ", and "))
}

// danger is what strangers could do without TLS and without a gossip key.
type danger struct{ what, calls, gossip string }

func dangerOf(role Role, listen string) danger {
	if role == Worker {
		return danger{
			what:   "a worker on " + cmp.Or(hostOf(listen), "all addresses"),
			calls:  "be taken for a coordinator, which has workers run programs and read and write files, and for another worker, which is given outputs",
			gossip: "join the fleet's gossip and speak for anybody in it",
		}
	}
	return danger{
		what:   "listening on " + listen,
		calls:  "be taken for a client or a worker of the fleet: submit jobs, which run programs and read files, and read their results",
		gossip: "join the fleet's gossip and speak for any worker",
	}
}

func hostOf(listen string) string {
	host, _, _ := net.SplitHostPort(listen)
	return host
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}
