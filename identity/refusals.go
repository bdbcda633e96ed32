package identity

import (
	"errors"
	"net"
	"strings"
	"sync"
	"time"
)

const (
	// refusalEvery is how often at most it is logged that a host is refused for
	// one reason: a process with a wrong certificate tries again every second.
	refusalEvery = time.Minute
	// maxRefusals bounds how many hosts with reasons are told apart.
	maxRefusals = 1_000
)

// refusals count who was refused and why.
type refusals struct {
	mu   sync.Mutex
	seen map[string]repeated
}

// repeated is one host, refused for one reason.
type repeated struct {
	logged time.Time // when there was last a line about it
	since  int       // how many there were after that
}

// count counts a refusal. It says whether that is to be logged, and how many
// before it were not.
func (r *refusals) count(from net.Addr, err error, now time.Time) (unlogged int, log bool) {
	ip, _, _ := net.SplitHostPort(host(from))
	key := ip + " " + reason(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	one, known := r.seen[key]
	if known && now.Sub(one.logged) < refusalEvery {
		one.since++
		r.seen[key] = one
		return 0, false
	}
	if r.seen == nil || len(r.seen) >= maxRefusals {
		r.seen = make(map[string]repeated)
	}
	r.seen[key] = repeated{logged: now}
	return one.since, true
}

// reason is an error without what is another each time: ports and the hour.
func reason(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op + ": " + op.Err.Error()
	}
	text, _, _ := strings.Cut(err.Error(), nowIs)
	return text
}

// tellRefused logs that a connection was refused, if that has not just been told
// of its host.
func (k *Keeper) tellRefused(from net.Addr, err error) {
	unlogged, log := k.refusals.count(from, err, time.Now())
	if !log {
		return
	}
	said := []any{"from", host(from), "error", err}
	if unlogged > 0 {
		said = append(said, "unlogged", unlogged)
	}
	k.logger().Warn("connection refused", said...)
}
