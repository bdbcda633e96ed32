package sim

import (
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
)

// expiryTime is how much later than due a job may be forgotten.
const expiryTime = 1100 * time.Millisecond

// kept says whether the result of a job that is done stays for its user.
func (j *jobBook) kept() bool {
	return j.def.settings.Keep && !j.def.planOnly && !j.def.toFiles()
}

// readAgain: whoever reads a kept result gets all of it.
func (b *book) readAgain(id ledger.JobID, got spans) {
	if want := b.jobs[id].def.part(0, b.jobs[id].def.total); !got.first(b.jobs[id].def.limit).equal(want) {
		b.fail("job %d: its kept result holds %v, not %v", id, got, want)
	}
}

// rests says whether a job is done and its result is kept: what is lost of it is
// lost until somebody asks.
func (j *jobBook) rests() bool { return j.state == ledger.StateDone && j.def.settings.Keep }

// listed: the parts of a complete result cover the source in order, and each is
// the output of a winner.
func (b *book) listed(id ledger.JobID, parts []ledger.Part) {
	j := b.jobs[id]
	at, g := ledger.Position(0), j.stages[len(j.stages)-3]
	for _, p := range parts {
		if p.From < at || p.To <= p.From || !g.has(p.Output.ID) {
			b.fail("job %d: its kept result lists %+v after %d, which is no output of a winner", id, p, at)
		}
		at = p.To
	}
}

// removes notes that a user wants a job forgotten.
func (b *book) removes(id ledger.JobID) { b.jobs[id].removed = true }

// keepFor is how long an ended job is kept.
func (b *book) keepFor(j *jobBook) ledger.Time {
	if d := j.def.settings.KeepFor; d > 0 {
		return j.ended.Add(d)
	}
	return j.ended.Add(b.w.law.ledger.KeepFor)
}

// forgets checks that a job is forgotten at its time, or because its user has
// said so.
func (b *book) forgets(at ledger.Time, f *ledger.JobForgotten) {
	j := b.jobs[f.Job]
	if !j.state.Over() || !j.removed && at < b.keepFor(j) {
		b.fail("job %d is to be forgotten, in state %d: it is to be kept until %d", f.Job, j.state, b.keepFor(j))
	}
}

// checkKept: a job is not kept for longer than it is to be. The log and its
// leader have some time for it, and who reads what he can't read again is let.
func (b *book) checkKept(at ledger.Time) {
	for _, j := range b.order {
		due := max(b.keepFor(j), b.began, b.wentOn).Add(b.w.law.commit + expiryTime)
		if j.state.Over() && !j.forgotten && !(j.reading && !j.kept()) && at > due {
			b.fail("job %d is still there, %v after its time", j.id, at.Sub(due))
		}
	}
}
