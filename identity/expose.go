package identity

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// CheckExposure is nil when listening on listen ("host:port") is safe: on
// loopback, or with TLS and a gossip key, or when insecure says that it is
// meant. Otherwise it says what is open to whom, and what to do.
func CheckExposure(listen string, hasTLS, hasKey, insecure bool) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT (an IPv6 address goes in brackets)", listen)
	}
	if insecure || hasTLS && hasKey || isLoopback(host) {
		return nil
	}
	var open, fix []string
	if !hasTLS {
		open = append(open, "be taken for a client or a worker of the fleet: submit jobs, which run programs and read files, and read their results")
		fix = append(fix, "--tls-cert, --tls-key and --tls-ca (millrace certs makes them)")
	}
	if !hasKey {
		open = append(open, "join the fleet's gossip and speak for any worker")
		fix = append(fix, "--gossip-key-file")
	}
	return fmt.Errorf("listening on %s lets everybody who reaches it %s: give %s, or listen on 127.0.0.1, or say that it is meant with --insecure",
		listen, strings.Join(open, ", and "), strings.Join(fix, " and "))
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}
