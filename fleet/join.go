package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// The pace of joining.
const (
	firstRetry = 50 * time.Millisecond // doubled up to the profile's retry
	atOnce     = 16                    // calls at the same time
)

// joiner calls the members to begin with, until they are in the fleet, and when
// they are no more. A member that knows nobody tries again soon; one that has
// company looks up names again now and then, so that a fleet that fell apart
// grows together, and a member that came back elsewhere is found. It calls the
// dead, too, while they are remembered: one that lives after all learns so that
// it was buried, and objects. (Where it was not cut off for long it may have
// noticed nothing.)
type joiner struct {
	role    Role
	targets []target
	resolve Resolver
	profile profile
	call    func(netip.AddrPort) error
	self    func(netip.AddrPort) bool
	table   *table
	trouble *trouble
	log     *slog.Logger

	answered map[netip.AddrPort]time.Time
	pause    time.Duration // the last one before a retry
}

// target is an entry of Config.Join.
type target struct {
	host string
	port uint16
}

// targetsOf reads Config.Join, and says all that is wrong with it.
func targetsOf(join []string) ([]target, error) {
	var targets []target
	var errs []error
	for _, j := range join {
		host, port, err := splitAddress(j)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("join %w", err))
		case host == "" || port == 0:
			errs = append(errs, fmt.Errorf("join %q: it needs a host, and a port that is not 0", j))
		}
		targets = append(targets, target{host, port})
	}
	return targets, errors.Join(errs...)
}

// run calls until ctx is done; ended hints that a member has gone.
func (j *joiner) run(ctx context.Context, ended <-chan struct{}) {
	for {
		wait := time.NewTimer(j.round(ctx))
		select {
		case <-ctx.Done():
		case <-wait.C:
		case <-ended:
		}
		wait.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// round calls all that should be called, and says when to come back.
func (j *joiner) round(ctx context.Context) time.Duration {
	found, resolved := j.find(ctx)
	j.callAll(ctx, j.due(found), true)
	j.callAll(ctx, j.lost(found), false)
	lives := j.table.standing()
	company := slices.Contains(slices.Collect(maps.Values(lives)), true) || len(j.targets) == 0
	missing := slices.ContainsFunc(found, func(a netip.AddrPort) bool { return j.missing(a, lives) })
	if company && resolved && !missing && len(j.table.lost(j.role)) == 0 {
		j.pause = 0
		return jitter(j.profile.again)
	}
	j.pause = min(max(2*j.pause, firstRetry), j.profile.retry)
	if company {
		j.pause = j.profile.retry
	}
	return jitter(j.pause)
}

// lost are some of the dead that matter to this member, those in found
// excepted, which are called anyway.
func (j *joiner) lost(found []netip.AddrPort) []netip.AddrPort {
	lost := slices.DeleteFunc(j.table.lost(j.role), func(a netip.AddrPort) bool { return slices.Contains(found, a) })
	rand.Shuffle(len(lost), func(i, k int) { lost[i], lost[k] = lost[k], lost[i] })
	return lost[:min(len(lost), atOnce)]
}

// jitter keeps many from calling one at the same moment.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// find are the addresses of all targets now but this member's own, and whether
// all names could be resolved.
func (j *joiner) find(ctx context.Context) (found []netip.AddrPort, resolved bool) {
	resolved = true
	for _, t := range j.targets {
		addrs, err := j.resolve.Resolve(ctx, t.host)
		if err != nil || len(addrs) == 0 {
			resolved = false
			j.trouble.say(j.log, "cannot resolve a member to join", "host", fmt.Sprintf("%s: %v", t.host, err))
		}
		for _, a := range addrs {
			if to := netip.AddrPortFrom(a, t.port); !j.self(to) && !slices.Contains(found, to) {
				found = append(found, to)
			}
		}
	}
	maps.DeleteFunc(j.answered, func(a netip.AddrPort, _ time.Time) bool { return !slices.Contains(found, a) })
	return found, resolved
}

// due are those to call now: no living member gossips there, and they did not
// answer a short while ago. (A member behind a translated address answers and
// is never seen there.)
func (j *joiner) due(found []netip.AddrPort) []netip.AddrPort {
	lives := j.table.standing()
	alone := !slices.Contains(slices.Collect(maps.Values(lives)), true)
	return slices.DeleteFunc(slices.Clone(found), func(a netip.AddrPort) bool {
		recent := time.Since(j.answered[a]) < j.profile.again
		return lives[a.String()] || recent && !alone && !j.missing(a, lives)
	})
}

// missing says whether a should be called again soon: nobody answered there, or
// the list still has its end, which the next call mends.
func (j *joiner) missing(a netip.AddrPort, lives map[string]bool) bool {
	alive, known := lives[a.String()]
	_, answered := j.answered[a]
	return !alive && (known || !answered)
}

// callAll calls each, several at a time, and says who does not answer, if
// somebody wants to know.
func (j *joiner) callAll(ctx context.Context, due []netip.AddrPort, say bool) {
	errs := make([]error, len(due))
	var calls sync.WaitGroup
	room := make(chan struct{}, atOnce)
	for i, a := range due {
		room <- struct{}{}
		calls.Go(func() {
			errs[i] = j.call(a)
			<-room
		})
	}
	calls.Wait()
	for i, err := range errs {
		if err == nil {
			j.answered[due[i]] = time.Now()
			continue
		}
		delete(j.answered, due[i])
		if say && ctx.Err() == nil {
			j.complain(due[i], err)
		}
	}
}

func (j *joiner) complain(a netip.AddrPort, err error) {
	if why := keyTrouble(err.Error()); why != "" {
		j.trouble.say(j.log, why, "from", a.Addr().String())
		return
	}
	j.trouble.say(j.log, "cannot join", "member", fmt.Sprintf("%s: %s", a, plainWords(a.String(), err.Error())))
}
