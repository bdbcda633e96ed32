package coordinator

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/coordinator/wire"
	"github.com/millrace/millrace/fleet"
)

// known is what is kept of a worker beside what the ledger knows: for people,
// and for other workers. All of it is the owner's.
type known struct {
	said   introduction    // in its last session
	spool  int64           // bytes in its spool, as it last said
	member fleet.Member    // its newest process that gossip knows; no name when none
	probe  func()          // ends the probing of its address; nil when there is none
	state  ledger.Standing // when a line was last written about it
	reason string
	warned ledger.Time // when it was last told of what it could not have

	refusals map[ledger.Refusal]refusals
}

// refusals are the sessions that were refused for one reason.
type refusals struct {
	logged ledger.Time // when there was last a line about it
	since  int         // how many there were after that
}

// refusalEvery is how often at most it is logged that a worker's sessions are
// refused for one reason: it tries again and again.
const refusalEvery = time.Minute

// refuse counts a refusal. It says whether that is logged, and how many before it
// were not.
func (k *known) refuse(why ledger.Refusal, now ledger.Time) (unlogged int, logged bool) {
	r := k.refusals[why]
	if r.logged != 0 && now.Sub(r.logged) < refusalEvery {
		r.since++
	} else {
		unlogged, logged = r.since, true
		r = refusals{logged: now}
	}
	if k.refusals == nil {
		k.refusals = make(map[ledger.Refusal]refusals)
	}
	k.refusals[why] = r
	return unlogged, logged
}

// fleetBook is what is known of all workers. Those that the ledger knows no
// more are left out now and then.
type fleetBook struct {
	workers map[ledger.WorkerID]*known
	views   func() []ledger.WorkerView // of all workers that the ledger knows
	sweepAt int                        // how many there must be for the next sweep

	rivals map[string]fleet.Member // other coordinators that live, by name
}

const firstSweep = 1_000

func newFleetBook(views func() []ledger.WorkerView) *fleetBook {
	return &fleetBook{workers: make(map[ledger.WorkerID]*known), views: views, sweepAt: firstSweep, rivals: make(map[string]fleet.Member)}
}

// of is what is known of a worker, from now on.
func (b *fleetBook) of(id ledger.WorkerID) *known {
	k := b.workers[id]
	if k == nil {
		if len(b.workers) >= b.sweepAt {
			b.sweep()
		}
		k = &known{}
		b.workers[id] = k
	}
	return k
}

// sweep forgets those that the ledger does not know.
func (b *fleetBook) sweep() {
	left := make(map[ledger.WorkerID]*known)
	for _, v := range b.views() {
		if k := b.workers[v.Name]; k != nil {
			left[v.Name] = k
		}
	}
	for id, k := range b.workers {
		if left[id] == nil {
			k.stopProbe()
		}
	}
	b.workers, b.sweepAt = left, max(firstSweep, 2*len(left))
}

func (k *known) stopProbe() {
	if k.probe != nil {
		k.probe()
		k.probe = nil
	}
}

// Addresses is where a worker serves its outputs, as it last said.
func (b *fleetBook) Addresses(id ledger.WorkerID) []string {
	if k := b.workers[id]; k != nil {
		return k.said.addresses
	}
	return nil
}

// peerOf is where a call comes from; nil when that is not known.
func peerOf(ctx context.Context) net.Addr {
	if p, ok := peer.FromContext(ctx); ok {
		return p.Addr
	}
	return nil
}

// Observe tells the coordinator what gossip holds of a member. It is called
// with every change, in order, and may wait for room.
func (c *Coordinator) Observe(m fleet.Member) {
	c.later(func(o *owner) {
		if m.Role == fleet.Worker {
			o.gossiped(m)
		} else {
			o.fleet.rival(m)
		}
	})
}

// rival notes how another coordinator of the fleet is.
func (b *fleetBook) rival(m fleet.Member) {
	if m.Opinion == fleet.Alive || m.Opinion == fleet.Suspect {
		b.rivals[m.Name] = m
	} else if b.rivals[m.Name].Incarnation <= m.Incarnation {
		delete(b.rivals, m.Name)
	}
}

// elsewhere is why a worker that lives may have no session here: it may have one
// with another coordinator. It is empty when there is none.
func (b *fleetBook) elsewhere() string {
	var where []string
	for _, name := range slices.Sorted(maps.Keys(b.rivals)) {
		where = append(where, b.rivals[name].Addresses...)
	}
	if len(where) == 0 {
		return ""
	}
	return fmt.Sprintf("it may be with another coordinator of this fleet, at %s: stop one of the two", strings.Join(where, ", "))
}

func (o *owner) gossiped(m fleet.Member) {
	id := ledger.WorkerID(m.Name)
	k := o.fleet.of(id)
	if m.Incarnation >= k.member.Incarnation {
		k.member = m
	}
	o.step(ledger.Gossiped{Worker: id, Incarnation: m.Incarnation, Opinion: opinion(m.Opinion)})
}

// opinion is gossip's opinion as the ledger knows it.
func opinion(o fleet.Opinion) ledger.Opinion {
	switch o {
	case fleet.Alive:
		return ledger.OpinionAlive
	case fleet.Suspect:
		return ledger.OpinionSuspect
	case fleet.Dead:
		return ledger.OpinionDead
	case fleet.Left:
		return ledger.OpinionLeft
	}
	return ledger.OpinionUnknown
}

// workerChanged logs a worker's transition, if there was one: of one that is
// away also what has become known of that since. That it attached was told.
func (o *owner) workerChanged(id ledger.WorkerID) {
	k := o.fleet.workers[id]
	v, ok := o.ledger.Worker(id, o.now)
	if k == nil || !ok {
		return
	}
	before, because := k.state, k.reason
	k.state, k.reason = v.State, v.Reason
	news := v.State != before || v.State == ledger.StandingAway && v.Reason != because
	if !news || before == ledger.StandingNone && v.State == ledger.StandingReady {
		return
	}
	level := slog.LevelInfo
	if v.State == ledger.StandingQuarantined || v.State == ledger.StandingSuspected {
		level = slog.LevelWarn
	}
	o.logger.Log(context.Background(), level, "worker "+shown(pb.WorkerState(v.State)), "worker", string(id),
		"before", shown(pb.WorkerState(before)), "reason", v.Reason,
		"session", shown(pb.SessionOpinion(v.Session)), "gossip", shown(pb.GossipOpinion(v.Gossip)))
}

// shown is a value of an enum in words.
func shown(value protoreflect.Enum) string { return cmp.Or(api.ShortName(value), "unknown") }

// worker is how a worker is, for people.
func (o *owner) worker(v ledger.WorkerView) *pb.Worker {
	m := wire.Worker(v)
	k := o.fleet.workers[v.Name]
	if k == nil {
		return m
	}
	m.Version, m.DataAddresses, m.DataRoots, m.SpoolBytes = k.said.version, k.said.addresses, k.said.roots, k.spool
	if member := k.member; m.GetAttached() == nil && member.Name != "" {
		m.Version, m.DataAddresses, m.Zone = member.Version, member.Addresses, member.Zone
		m.Slots, m.Incarnation = uint32(max(member.Slots, 0)), member.Incarnation
	}
	if k.member.Opinion == fleet.Alive {
		m.Reason = o.fleet.reason(v.State, m.Reason)
	}
	return m
}

// reason is why a worker that lives is as it is, beside what the ledger knows.
func (b *fleetBook) reason(state ledger.Standing, known string) string {
	elsewhere := b.elsewhere()
	switch {
	case state == ledger.StandingUnattached:
		return cmp.Or(known, elsewhere, "it has not attached: its log says why")
	case state == ledger.StandingAway && elsewhere != "":
		return known + "; " + elsewhere
	}
	return known
}

// drainWorker tells a worker to leave.
func (o *owner) drainWorker(e ledger.DrainWorker) {
	if out := o.to(e.Worker, e.Session); out != nil {
		out.Drain, out.DrainWithin = true, durationpb.New(e.Within)
	}
}

// warnEvery is how often at most it is told of outputs that a worker could not
// have.
const warnEvery = time.Second

// warnUnseen tells of what a worker could not have, which costs work that runs
// twice, or elsewhere, and shows nowhere else.
func (o *owner) warnUnseen(s *session, outcome ledger.Outcome) {
	if len(outcome.Missing) > 0 {
		o.warnMissing(s, outcome)
	}
	if o.c.config.LoneWorker {
		return // it ends the job, which says so itself
	}
	switch outcome.Class {
	case ledger.OutcomeUnable:
		o.warnUnable(s, outcome.Fence.Job, outcome.Reason)
	case ledger.OutcomeInputGone:
		if j := o.jobs[outcome.Fence.Job]; j.warns(s.worker, outcome.Class) {
			o.logger.Warn("input not seen", "job", j.name, "worker", string(s.worker), "reason", wire.Message(outcome.Failure))
		}
	}
}

// warnUnable tells, once, of a worker that can run nothing of a job.
func (o *owner) warnUnable(s *session, id ledger.JobID, reason string) {
	if j := o.jobs[id]; j.warns(s.worker, ledger.OutcomeUnable) {
		o.logger.Warn("worker can't run the job", "job", j.name, "worker", string(s.worker), "reason", reason)
	}
}

// warnMissing tells of outputs that a worker could not have: most likely it does
// not reach an address.
func (o *owner) warnMissing(s *session, outcome ledger.Outcome) {
	k := o.fleet.of(s.worker)
	if k.warned != 0 && o.now.Sub(k.warned) < warnEvery {
		return
	}
	k.warned = o.now
	first := outcome.Missing[0]
	o.logger.Warn("outputs missing", "worker", string(s.worker), "job", o.c.names.name(outcome.Fence.Job), "outputs", len(outcome.Missing),
		"output", string(first.Output), "gone", first.Gone, "reason", first.Reason)
}
