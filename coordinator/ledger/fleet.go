package ledger

import (
	"cmp"
	"fmt"
	"slices"
)

// Standing is what a worker is good for now. Where several hold, the first of
// draining, cordoned, suspected and quarantined counts.
type Standing uint8

// The states, with the numbers of the contract.
const (
	StandingNone        Standing = iota // no worker
	StandingReady                       // it takes leases
	StandingCordoned                    // it gets no new leases: an operator said so
	StandingDraining                    // it finishes what it runs, and leaves
	StandingQuarantined                 // it failed everything that it got
	StandingSuspected                   // session or gossip doubts that it lives
	StandingAway                        // it has no session; what it held waits for it
	StandingUnattached                  // gossip knows it, but it has never attached
	standings
)

// SessionOpinion is what the session says of a worker's life.
type SessionOpinion uint8

// The opinions, with the numbers of the contract.
const (
	SessionNone   SessionOpinion = iota // there was none
	SessionAlive                        // heard within the time of a lease
	SessionSilent                       // attached, and silent for longer
	SessionBroken                       // it broke
)

// WorkerView is how a worker is.
type WorkerView struct {
	Name        WorkerID
	Incarnation uint64
	State       Standing
	// Reason says more of the state, for people; empty where there is no more.
	Reason  string
	Session SessionOpinion
	Gossip  Opinion
	// Cordoned by an operator, whatever the state is.
	Cordoned bool
	Zone     string
	Slots    int
	Memory   int64
	// Running leases have a slot; Waiting ones wait for one.
	Running, Waiting int
	Labels           []Label
	Processors       []string
	// Attached is when the session began, Heard when it last said something;
	// 0 where it never did.
	Attached, Heard Time
	// Done and Failed count its attempts since it attached first.
	Done, Failed int64
}

// WorkerChanged tells that a worker is not as it was, for people. There may be
// no change to see in the end.
type WorkerChanged struct {
	Worker WorkerID
}

func (WorkerChanged) effect() {}

// changeWorker tells that a worker is not as it was.
func (l *Ledger) changeWorker(w *worker) { l.emit(WorkerChanged{w.id}) }

// Worker returns how a worker is at a time.
func (l *Ledger) Worker(id WorkerID, at Time) (WorkerView, bool) {
	if w := l.workers[id]; w != nil {
		return l.workerView(w, max(at, l.now)), true
	}
	return WorkerView{}, false
}

// standing returns what a worker is good for.
func (w *worker) standing() Standing {
	switch {
	case !w.attached: // be it that only the log knows that it held something
		return StandingAway
	case w.draining:
		return StandingDraining
	case w.cordoned:
		return StandingCordoned
	case w.silent || w.opinion.doubtful():
		return StandingSuspected
	case w.paused:
		return StandingQuarantined
	}
	return StandingReady
}

// Workers returns how all workers are that are attached, were lately, are
// cordoned, or are known by gossip, by name.
func (l *Ledger) Workers(at Time) []WorkerView {
	at = max(at, l.now)
	views := make([]WorkerView, 0, len(l.workers))
	for _, w := range l.workers { // sorted below
		views = append(views, l.workerView(w, at))
	}
	for id, r := range l.rumours {
		if l.workers[id] == nil && !r.opinion.deadly() {
			views = append(views, WorkerView{
				Name: id, Incarnation: r.incarnation, State: StandingUnattached, Gossip: r.opinion, Cordoned: l.state.cordoned[id],
			})
		}
	}
	for id := range l.state.cordoned {
		r, rumoured := l.rumours[id]
		if l.workers[id] == nil && (!rumoured || r.opinion.deadly()) {
			views = append(views, WorkerView{
				Name: id, Incarnation: r.incarnation, State: StandingAway, Gossip: r.opinion, Cordoned: true, Reason: "it is cordoned, and not here",
			})
		}
	}
	slices.SortFunc(views, func(a, b WorkerView) int { return cmp.Compare(a.Name, b.Name) })
	return views
}

func (l *Ledger) workerView(w *worker, at Time) WorkerView {
	v := WorkerView{
		Name: w.id, Incarnation: w.incarnation, State: w.standing(), Session: l.sessionOpinion(w, at), Gossip: w.opinion,
		Cordoned: w.cordoned, Zone: w.zone, Slots: w.slots, Memory: w.memory, Labels: w.labels, Processors: w.processors,
		Attached: w.attachedAt, Heard: w.heardAt, Done: w.done, Failed: w.failed,
	}
	v.Running = min(w.leases.n, w.slots)
	if w.alone {
		v.Running = min(w.leases.n, 1)
	}
	v.Waiting = w.leases.n - v.Running
	v.Reason = l.reasonOf(w, v.State, at)
	return v
}

func (l *Ledger) sessionOpinion(w *worker, at Time) SessionOpinion {
	switch {
	case w.class == nil:
		return SessionNone
	case !w.attached:
		return SessionBroken
	case w.silent || w.deadSilent(at) || at.Sub(w.heardAt) > l.cfg.Lease:
		return SessionSilent
	}
	return SessionAlive
}

// reasonOf says more of why a worker is as it is.
func (l *Ledger) reasonOf(w *worker, s Standing, at Time) string {
	switch s {
	case StandingDraining:
		if w.drainBy > 0 {
			return fmt.Sprintf("an operator drains it: it leaves within %v", shown(max(w.drainBy.Sub(at), 0)))
		}
		return "it said that it leaves"
	case StandingCordoned:
		return "an operator gives it no new leases"
	case StandingSuspected:
		return w.doubt(at)
	case StandingAway:
		return w.absence()
	case StandingQuarantined:
		return w.quarantine.reason(at)
	}
	return ""
}

// doubt says who doubts that a worker lives.
func (w *worker) doubt(at Time) string {
	switch {
	case w.silent && w.opinion.doubtful() || w.deadSilent(at):
		return "its session is silent, and " + opinions[w.opinion]
	case w.silent:
		return "its session is silent: a lease ran out without a word"
	}
	return opinions[w.opinion] + ", though its session lives"
}

// deadSilent says whether a worker that is attached is dead by both witnesses: its
// session is silent, and gossip says so.
func (w *worker) deadSilent(at Time) bool { return w.opinion.deadly() && at >= w.hushed() }

// absence says what is known of a worker without a session.
func (w *worker) absence() string {
	switch {
	case w.class == nil:
		return "it has not attached since the coordinator started"
	case w.draining && w.refused:
		return "it left, as it had said"
	case w.refused:
		return "its session broke, and its address refuses connections"
	case w.opinion.doubtful():
		return "its session broke, and " + opinions[w.opinion]
	}
	return "its session broke"
}

var opinions = [...]string{
	OpinionUnknown: "gossip does not know it", OpinionAlive: "gossip says that it lives",
	OpinionSuspect: "gossip suspects it", OpinionDead: "gossip says that it is dead",
	OpinionLeft: "gossip says that it left",
}
