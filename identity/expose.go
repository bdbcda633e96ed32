package identity

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// CheckExposure is nil when a process of a role, Coordinator or Worker, is safe
// in listening on listen ("host:port"): on loopback, or with TLS and a gossip
// key, or when insecure says that it is meant. Otherwise it says what is open to
// whom, and what to do.
func CheckExposure(role Role, listen string, hasTLS, hasKey, insecure bool) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT (an IPv6 address goes in brackets)", listen)
	}
	open := Exposure(role, listen, hasTLS, hasKey)
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
	return fmt.Errorf("%s: give %s, or %s on 127.0.0.1, or say that it is meant with --insecure",
		open, strings.Join(fix, " and "), dangerOf(role, listen, host).instead)
}

// Exposure says what is open to whom where a process of a role, Coordinator or
// Worker, listens ("host:port"); empty on loopback, and with TLS and a gossip
// key.
func Exposure(role Role, listen string, hasTLS, hasKey bool) string {
	host, _, _ := net.SplitHostPort(listen)
	if hasTLS && hasKey || isLoopback(host) {
		return ""
	}
	d := dangerOf(role, listen, host)
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
type danger struct{ what, calls, gossip, instead string }

func dangerOf(role Role, listen, host string) danger {
	if role == Worker {
		return danger{
			what:    "a worker on " + cmp.Or(host, "all addresses"),
			calls:   "be taken for a coordinator, which has workers run programs and read and write files, and for another worker, which is given outputs",
			gossip:  "join the fleet's gossip and speak for anybody in it",
			instead: "join a fleet",
		}
	}
	return danger{
		what:    "listening on " + listen,
		calls:   "be taken for a client or a worker of the fleet: submit jobs, which run programs and read files, and read their results",
		gossip:  "join the fleet's gossip and speak for any worker",
		instead: "listen",
	}
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}
