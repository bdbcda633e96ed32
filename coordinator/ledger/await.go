package ledger

import (
	"fmt"
	"slices"
	"strings"
)

// A worker may be unable to take leases for a moment only: it is suspected, in
// quarantine, or its session broke. An input that nobody finds who was asked is
// not gone while such a one may still see it: its batch waits for those that
// are expected back, as long as what they hold would wait for them. Who drains
// or is cordoned is not expected.

// returning says whether a worker that gets no leases now is expected to be asked
// soon.
func (l *Ledger) returning(w *worker) bool {
	if w.class == nil || l.workers[w.id] != w || l.cfg.Bug.has(BugImpatient) {
		return false
	}
	switch w.standing() {
	case StandingAway:
		return !w.draining && !w.cordoned && w.opinion != OpinionLeft && l.now < w.goneAt
	case StandingSuspected, StandingQuarantined:
		return l.now < l.patience(w)
	}
	return false
}

// patience is until when a worker is expected back that is doubted.
func (l *Ledger) patience(w *worker) Time { return w.unableAt.Add(l.cfg.WorkerGone) }

// await has a batch whose input was not found wait for the workers that can run
// it, are expected back and were not asked. It says whether there are any.
func (l *Ledger) await(b *batch, asked []WorkerID) bool {
	some, until := l.expected(b.work, asked)
	b.awaits = some
	if some == nil {
		return false
	}
	l.timers.push(timer{at: until, kind: dueRetry, batch: b})
	return true
}

// awaited returns the workers for which a batch waits.
func (l *Ledger) awaited(b *batch, asked []WorkerID) (waits []*worker) {
	for _, w := range b.awaits {
		if l.workers[w.id] == w && l.expectedUntil(b.work, w) > l.now && !slices.Contains(asked, w.id) {
			waits = append(waits, w)
		}
	}
	return waits
}

// leftTo says whether a batch is left to other workers than those that did not
// find its input: there are some, or will be.
func (l *Ledger) leftTo(b *batch, asked []WorkerID) bool {
	return l.elsewhere(b.run, b.work, asked) || len(l.awaited(b, asked)) > 0
}

// explainAwaited returns for whom the batches of a stage wait whose input nobody
// found yet.
func (l *Ledger) explainAwaited(k *work, at Time) (waits []Wait) {
	for _, b := range k.ready.from(0) {
		f := b.knownFailure()
		if f == nil || l.elsewhere(b.run, k, f.gone) {
			continue
		}
		for _, w := range l.awaited(b, f.gone) {
			until := l.expectedUntil(k, w)
			waits = append(waits, Wait{Kind: WaitReturn, Name: string(w.id), Until: until, For: max(until.Sub(at), 0)})
		}
		return waits[:min(len(waits), maxNamed)] // of the first that waits
	}
	return nil
}

// maxNamed is how many workers are named where something is said of several.
const maxNamed = 5

// noInput is why a job ends whose input no worker finds: it names the first
// workers that looked, those that could not be asked, and, of several, whose
// failure is told: each has reasons of its own. Where there never is but one,
// that says it all.
func (l *Ledger) noInput(b *batch, asked []WorkerID) string {
	if l.cfg.LoneWorker {
		return FailedForGood
	}
	said := fmt.Sprintf("the worker %s can't get at it", asked[0])
	if len(asked) > 1 {
		said = fmt.Sprintf("the workers %s can't get at it", listed(asked))
	}
	var kept []WorkerID
	for id, w := range l.workers { // sorted below
		if w.attached && w.cordoned && !slices.Contains(asked, id) && l.allows(b.run, b.work, w.class) {
			kept = append(kept, id)
		}
	}
	slices.Sort(kept)
	switch {
	case len(kept) == 1:
		said += fmt.Sprintf(" (%s is cordoned, and was not asked)", kept[0])
	case len(kept) > 1:
		said += fmt.Sprintf(" (%s are cordoned, and were not asked)", listed(kept))
	case len(asked) == 1:
		said += ", and there is no other that may run it"
	}
	if len(asked) > 1 {
		said += fmt.Sprintf("; %s says", b.teller())
	}
	return said
}

// listed names several workers, the first of them.
func listed(names []WorkerID) string {
	last := len(names) - 1
	if last == 0 {
		return string(names[0])
	}
	if more := len(names) - maxNamed; more > 0 {
		return fmt.Sprintf("%s and %d more", joined(names[:maxNamed]), more)
	}
	return joined(names[:last]) + " and " + string(names[last])
}

func joined(names []WorkerID) string {
	parts := make([]string, len(names))
	for i, id := range names {
		parts[i] = string(id)
	}
	return strings.Join(parts, ", ")
}
