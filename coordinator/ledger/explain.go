package ledger

import (
	"fmt"
	"slices"
	"time"
)

// Wait is a reason why the next batch of a job waits.
type Wait struct {
	Kind WaitKind
	// N of M workers are concerned, where it is about workers; N of M leases,
	// batches or outputs elsewhere.
	N, M int
	// Name is the processor, label, stage or user concerned.
	Name string
	// Bytes are those that are in the way.
	Bytes int64
	// Why is what a worker has said.
	Why string
	// Until is when it ends, where that is known.
	Until Time
	// For is how long that is from now.
	For time.Duration
}

// WaitKind is a kind of reason for waiting.
type WaitKind uint8

// The kinds.
const (
	WaitPaused      WaitKind = iota // the job is paused
	WaitEnding                      // its end is being written down
	WaitGrace                       // a new coordinator waits for workers to come back
	WaitLimit                       // the job has all N leases that it may have
	WaitQuota                       // its user has all N leases that he may have, over all of his jobs
	WaitDelay                       // its data is not old enough
	WaitBackoff                     // N batches failed, and wait to be tried again
	WaitLeases                      // everything that is left is leased: N leases
	WaitCommits                     // N outcomes are being written down
	WaitStage                       // the stage waits for the one named
	WaitMerges                      // N merges must be done before
	WaitNoWorkers                   // no worker is attached
	WaitLabel                       // N of M workers lack a label
	WaitProcessor                   // N of M workers lack a processor
	WaitDraining                    // N of M workers leave
	WaitSilent                      // N of M workers have not been heard for a whole lease
	WaitCordoned                    // N of M workers are cordoned
	WaitSuspected                   // N of M workers are suspected by gossip
	WaitQuarantined                 // N of M workers are in quarantine
	WaitBlamed                      // N of M workers have failed it, and others are there
	WaitCredit                      // N of M workers have no credit: they are busy
	WaitReader                      // N outputs wait for the reader, and M batches are under way
	WaitRest                        // a lone batch waits for a worker to be idle
	WaitBlind                       // N of M workers do not find its input
	WaitReturn                      // for the worker named to come back: its input was not found by others
	WaitFolder                      // nothing is written before workers have said whether they see the output folder
	WaitAsked                       // N of M workers have not said whether they see the output folder
	WaitUnable                      // N of M workers can't run any of it
	WaitBarred                      // the worker named gets nothing of it
	WaitUnreached                   // N of M workers do not reach an output that it reads
	WaitFull                        // N of M workers have no room for its output
	WaitRoom                        // N batches wait for room for their outputs
	WaitKept                        // results of N ended jobs hold the room
	WaitRerun                       // N batches run again, or have, since their outputs were lost
	waitKinds
)

// whatWorkersDo is what N of M workers do, in the singular and the plural.
var whatWorkersDo = [waitKinds][2]string{
	WaitDraining:    {"is draining", "are draining"},
	WaitSilent:      {"is silent", "are silent"},
	WaitCordoned:    {"is cordoned", "are cordoned"},
	WaitSuspected:   {"is suspected by gossip", "are suspected by gossip"},
	WaitQuarantined: {"is in quarantine: it failed what others do", "are in quarantine: they failed what others do"},
	WaitBlamed:      {"has failed the batch, and leaves it to others", "have failed the batch, and leave it to others"},
	WaitBlind:       {"does not find its input, and leaves it to others", "do not find its input, and leave it to others"},
	WaitAsked:       {"has not said whether the output folder is seen there", "have not said whether the output folder is seen there"},
	WaitUnable:      {"can't run it", "can't run it"},
	WaitUnreached:   {"does not reach an output that it reads, and leaves it to others", "do not reach an output that it reads, and leave it to others"},
	WaitFull:        {"has no room for its output, and leaves it to others", "have no room for its output, and leave it to others"},
	WaitCredit:      {"is busy", "are busy"},
}

// String returns the reason as a sentence, without a stop.
func (x Wait) String() string {
	if do := whatWorkersDo[x.Kind]; do[0] != "" {
		return x.workers(do[0], do[1])
	}
	switch x.Kind {
	case WaitPaused:
		return "the job is paused"
	case WaitEnding:
		return "the end of the job is being written down"
	case WaitGrace:
		return fmt.Sprintf("the coordinator is new, and waits %v for workers to come back with their leases", shown(x.For))
	case WaitLimit:
		return fmt.Sprintf("the job has all %d leases that it may have at a time", x.N)
	case WaitQuota:
		return fmt.Sprintf("the user `%s` has all %d leases that the quota allows at a time", x.Name, x.M)
	case WaitDelay:
		return fmt.Sprintf("the data is not old enough: the delay ends in %v", shown(x.For))
	case WaitBackoff:
		return x.count("batch has failed and waits", "batches have failed and wait") + fmt.Sprintf(" to be tried again, the first for %v", shown(x.For))
	case WaitLeases:
		return "everything that is left is leased: " + x.count("lease", "leases")
	case WaitCommits:
		return x.count("outcome is", "outcomes are") + " being written down"
	case WaitStage:
		return fmt.Sprintf("it collects the outputs of stage `%s`, which is not done: %d of %d positions are", x.Name, x.N, x.M)
	case WaitMerges:
		return x.count("merge of outputs", "merges of outputs") + " must be done before"
	case WaitNoWorkers:
		return "no worker is attached"
	case WaitLabel:
		return fmt.Sprintf("%d of %d workers lack the label `%s`", x.N, x.M, x.Name)
	case WaitProcessor:
		return fmt.Sprintf("%d of %d workers lack the processor `%s`", x.N, x.M, x.Name)
	case WaitReturn:
		return fmt.Sprintf("nobody who was asked finds its input: the worker `%s` was not asked, and is waited for up to %v", x.Name, shown(x.For))
	case WaitFolder:
		return "nothing is written before the workers have said whether they see the output folder"
	case WaitBarred:
		return fmt.Sprintf("the worker `%s` gets nothing of it: %s", x.Name, x.Why)
	case WaitRoom:
		return x.count("batch waits", "batches wait") + " for room in the spools of the workers, and nothing new is begun before"
	case WaitKept:
		return x.keeper()
	case WaitRerun:
		return x.count("batch runs again, or has: its output was lost with its worker", "batches run again, or have: their outputs were lost with their workers")
	case WaitReader:
		return fmt.Sprintf("the job waits for its result to be read: %d outputs wait for that, and %d batches are under way", x.N, x.M)
	}
	return "the batch needs a whole worker, and one is kept free for it"
}

// workers says that N of M workers do something, in the singular or the plural.
func (x Wait) workers(one, many string) string {
	switch {
	case x.M == 1:
		return "the only worker " + one
	case x.N == 1:
		return fmt.Sprintf("1 of %d workers %s", x.M, one)
	}
	return fmt.Sprintf("%d of %d workers %s", x.N, x.M, many)
}

// keeper says whose results of ended jobs are in the way.
func (x Wait) keeper() string {
	of := ""
	if x.Name != "" {
		of = fmt.Sprintf(" of the user `%s`", x.Name)
	}
	holds := "holds"
	if x.N > 1 {
		holds = "hold"
	}
	return x.count("result of an ended job", "results of ended jobs") + of +
		fmt.Sprintf(" %s %.4g MiB there: `millrace rm` frees that at once, or time does, the first in %v", holds, float64(x.Bytes)/(1<<20), shown(x.For))
}

// count says how many of something there are, in the singular or the plural.
func (x Wait) count(one, many string) string {
	if x.N == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", x.N, many)
}

// shown is a time from now as people want it.
func shown(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}

// Explain returns why what waits of a job is waiting, the nearest reasons
// first. It is empty when the job has ended or nothing waits.
func (l *Ledger) Explain(id JobID, at Time) []Wait {
	r := l.runs[id]
	if r == nil || r.job.state.Over() {
		return nil
	}
	at = max(at, l.now)
	waits := l.explainJob(r, at)
	if len(waits) > 0 {
		return waits
	}
	k := r.current()
	if k == nil {
		return nil
	}
	waits = l.explainStage(r, k, at)
	if r.grantable(k) {
		waits = append(waits, l.explainWorkers(r, k)...)
		waits = append(waits, l.explainBars(k)...)
		waits = append(waits, l.explainAwaited(k, at)...)
	}
	if n := r.job.rerun; n > 0 && len(waits) > 0 {
		waits = append(waits, Wait{Kind: WaitRerun, N: int(n)})
	}
	return waits
}

// explainJob returns what keeps a job from being served at all.
func (l *Ledger) explainJob(r *run, at Time) (waits []Wait) {
	if r.closing {
		waits = append(waits, Wait{Kind: WaitEnding})
	}
	if r.job.paused {
		waits = append(waits, Wait{Kind: WaitPaused})
	}
	if at < r.until {
		waits = append(waits, Wait{Kind: WaitGrace, Until: r.until, For: r.until.Sub(at)})
	}
	if r.full(l.cfg.Bug) {
		waits = append(waits, Wait{Kind: WaitLimit, N: r.leases, M: int(r.job.settings.MaxConcurrency)})
	}
	if r.user.full(l.cfg.Bug) {
		waits = append(waits, Wait{Kind: WaitQuota, N: r.user.leases, M: r.user.quota, Name: r.user.name})
	}
	return waits
}

// explainStage returns what there is to wait for in the stage that a job is
// at.
func (l *Ledger) explainStage(r *run, k *work, at Time) (waits []Wait) {
	if due := r.job.submitted.Add(r.job.settings.Delay); k.index == 0 && at < due {
		waits = append(waits, Wait{Kind: WaitDelay, Until: due, For: due.Sub(at)})
	}
	if r.sinkBy != 0 && k == r.writes() {
		waits = append(waits, Wait{Kind: WaitFolder})
	}
	if k.index > 0 && r.merging > 0 {
		waits = append(waits, Wait{Kind: WaitMerges, N: r.merging})
	}
	if r.reserved != nil {
		waits = append(waits, Wait{Kind: WaitRest})
	}
	var leased, reported, failed int
	first := never
	for b := range r.all.all() {
		switch b.phase {
		case batchLeased:
			leased++
		case batchReported, batchFailing:
			reported++
		case batchBacksOff:
			if !b.cramped {
				failed++
				first = min(first, b.retryAt)
			}
		}
	}
	if r.crowded && !r.grantable(k) && !k.begun() {
		waits = append(waits, Wait{Kind: WaitReader, N: k.stage.outputs, M: leased + reported})
	}
	waits = append(waits, l.explainRoom(r, k, at)...)
	if failed > 0 {
		waits = append(waits, Wait{Kind: WaitBackoff, N: failed, Until: first, For: max(first.Sub(at), 0)})
	}
	if leased > 0 && k.pending.empty() {
		waits = append(waits, Wait{Kind: WaitLeases, N: leased})
	}
	if reported > 0 {
		waits = append(waits, Wait{Kind: WaitCommits, N: reported})
	}
	if next := k.index + 1; k.index >= 0 && next < len(r.stages) {
		waits = append(waits, Wait{Kind: WaitStage, Name: k.plan.Name, N: int(k.stage.size), M: int(k.stage.total)})
	}
	return waits
}

// explainWorkers returns why no worker takes a batch that is ready.
func (l *Ledger) explainWorkers(r *run, k *work) (waits []Wait) {
	if l.attached == 0 {
		return []Wait{{Kind: WaitNoWorkers}}
	}
	for _, c := range l.classes {
		label, processor, ok := c.lacks(r, k)
		switch {
		case c.workers == 0:
		case ok:
		case processor != "":
			waits = lacking(waits, WaitProcessor, processor, c.workers)
		default:
			waits = lacking(waits, WaitLabel, label.Key+"="+label.Value, c.workers)
		}
	}
	for kind, n := range l.unable(r, k) {
		if n > 0 {
			waits = append(waits, Wait{Kind: WaitKind(kind), N: n})
		}
	}
	for i := range waits {
		waits[i].M = l.attached
	}
	return waits
}

// unable counts the workers that could run a stage, by why they do not take
// its next batch.
func (l *Ledger) unable(r *run, k *work) (counts [waitKinds]int) {
	for _, w := range l.workers { // in any order: they are only counted
		if w.attached && l.allows(r, k, w.class) {
			if kind, waits := l.excuse(r, k, w); waits {
				counts[kind]++
			}
		}
	}
	return counts
}

// excuse returns why a worker does not take a stage's next batch, if there is
// a reason.
func (l *Ledger) excuse(r *run, k *work, w *worker) (WaitKind, bool) {
	switch w.standing() {
	case StandingDraining:
		return WaitDraining, true
	case StandingCordoned:
		return WaitCordoned, true
	case StandingQuarantined:
		return WaitQuarantined, true
	case StandingSuspected:
		if w.silent {
			return WaitSilent, true
		}
		return WaitSuspected, true
	}
	switch b := k.bar(w); {
	case b != nil && b.asked:
		return WaitAsked, true
	case b != nil:
		return WaitUnable, true
	}
	switch _, from, to := l.pick(r, k, w); {
	case w.hungry.in == nil || w.keeps():
		return WaitCredit, true
	case from == to:
		return k.grudge(w), true
	default:
		return WaitCredit, w.leases.n > 0 && l.bytesOf(r, k, from, to) > w.room
	}
}

// grudge returns why a worker leaves all batches of a stage to others.
func (k *work) grudge(w *worker) WaitKind {
	for _, b := range k.ready.from(0) {
		switch f, _ := k.stage.failed.get(b.from); {
		case f != nil && slices.Contains(f.gone, w.id):
			return WaitBlind
		case slices.Contains(b.unreached, w.id):
			return WaitUnreached
		case slices.Contains(b.full, w.id):
			return WaitFull
		}
	}
	return WaitBlamed
}

// lacking counts workers that lack the same.
func lacking(waits []Wait, kind WaitKind, name string, n int) []Wait {
	i := slices.IndexFunc(waits, func(x Wait) bool { return x.Kind == kind && x.Name == name })
	if i < 0 {
		return append(waits, Wait{Kind: kind, Name: name, N: n})
	}
	waits[i].N += n
	return waits
}
