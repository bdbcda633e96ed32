package ledger

import (
	"fmt"
	"slices"
	"strings"
)

func (l *Ledger) outcomeReported(e *OutcomeReported) {
	w := l.of(e.Worker, e.Session)
	if w == nil {
		return // it is told again when the worker attaches
	}
	l.heard(w)
	if b := l.leased(e.Outcome.Fence); b != nil && (b.worker == w || l.cfg.Bug.has(BugStaleFence)) {
		l.finish(w, b, &e.Outcome)
		return
	}
	l.unknown(w, &e.Outcome, true)
}

// finish takes the outcome of a live lease.
func (l *Ledger) finish(w *worker, b *batch, o *Outcome) {
	w.served = 0
	switch o.Class {
	case OutcomeReturned, OutcomeCancelled, OutcomeUnspecified:
		l.emit(Ack{w.id, w.session, o.Fence})
		l.release(b)
	case OutcomeMissing:
		l.outputsMissing(b, o)
	case OutcomeUnable:
		if b.kind == LeaseMerge { // it runs no program and writes no file
			b.owed = true
			l.fail(b, OutcomeRetryable, o.Failure)
			break
		}
		l.cannot(w, b, o)
	case OutcomeNoRoom:
		l.noRoom(w, b, o)
	case OutcomeDone, OutcomeDoneWithSkips:
		b.owed = true
		w.done++
		w.served = l.steps
		l.done(w, b, o)
		if b.phase == batchReported {
			l.cleared(w, b.work)
		}
	default:
		b.owed = true
		if o.Class != OutcomeInputGone { // or who has other data looks like a broken one
			w.failed++
		}
		b.ran = o.Elapsed
		b.refund = l.faulted(w, b, o.Class) && !l.cfg.Bug.has(BugNoRefund)
		l.fail(b, o.Class, o.Failure)
		if b.refund {
			l.refund(w)
		}
	}
	l.change(b.run)
}

// unknown answers an outcome that belongs to no live lease.
func (l *Ledger) unknown(w *worker, o *Outcome, fresh bool) {
	r := l.runs[o.Fence.Job]
	if r == nil {
		l.emit(Refuse{w.id, w.session, o.Fence, "the job has ended"})
		return
	}
	if b := r.batches[o.Fence.Batch]; b != nil && b.fence == o.Fence && b.worker == w && b.owed {
		return // the answer comes with the commit
	}
	if e := l.state.outputs[o.Output.ID]; e != nil && e.out.Worker == w.id {
		l.emit(Ack{w.id, w.session, o.Fence}) // it won, and the answer was lost
		return
	}
	l.emit(Refuse{w.id, w.session, o.Fence, "the lease is not live: it ran out, or its batch is done"})
	if fresh && (o.Class == OutcomeDone || o.Class == OutcomeDoneWithSkips) {
		l.propose(&WorkWasted{r.job.id})
	}
}

// done proposes that a batch is done.
func (l *Ledger) done(w *worker, b *batch, o *Outcome) {
	r := b.run
	if why := r.refuses(b, o); why != "" {
		l.failWith(b, OutcomeFatal, o.Failure, why)
		return
	}
	l.relieve(b)
	l.unlease(b, int64(o.Elapsed))
	b.enter(batchReported)
	b.skipped, b.output = o.Counters.RecordsSkipped, o.Output.ID
	r.skipping += b.skipped
	w.reported.push(&b.place)
	if b.kind == LeaseProcess {
		b.work.learn(w, b.to-b.from, o.Elapsed)
	}
	l.loseDead(b.work)
	l.propose(doneFact(b, w, o, l.now))
	if l.cfg.Bug.has(BugEarlyAck) {
		l.emit(Ack{w.id, w.session, o.Fence})
		b.owed = false
	}
}

// refuses returns why an outcome that says done ends the job, empty if not.
func (r *run) refuses(b *batch, o *Outcome) string {
	if b.kind == LeasePlan {
		if o.Plan == nil {
			return "the planner gave no plan"
		}
		if err := o.Plan.Check(); err != nil {
			return "the planner's plan is broken: " + err.Error()
		}
	}
	skipped := r.skipped() + r.skipping + o.Counters.RecordsSkipped
	if limit := r.job.settings.SkipLimit; o.Counters.RecordsSkipped > 0 && uint64(skipped) > limit {
		return fmt.Sprintf("%d records had to be skipped: at most %d are allowed", skipped, limit)
	}
	return ""
}

func doneFact(b *batch, w *worker, o *Outcome, at Time) Fact {
	out := o.Output
	if out.ID != "" {
		out.Worker = w.id
	}
	switch b.kind {
	case LeasePlan:
		return &JobPlanned{At: at, Fence: b.fence, Job: b.run.job.id, Plan: o.Plan}
	case LeaseMerge:
		ids := make([]OutputID, 0, len(b.inputs))
		for _, e := range b.inputs {
			if e.out.ID != "" {
				ids = append(ids, e.out.ID)
			}
		}
		return &OutputsMerged{Fence: b.fence, Stage: b.work.index, From: b.from, To: b.to, Inputs: ids, Output: out, Moves: b.moves}
	}
	f := &RangeDone{
		At: at, Fence: b.fence, Stage: b.work.index, From: b.from, To: b.to, Worker: w.id,
		Output: out, Counters: o.Counters, Elapsed: o.Elapsed,
	}
	if o.Class == OutcomeDoneWithSkips {
		f.Skips = o.Failure
	}
	return f
}

// fail proposes that an attempt has failed.
func (l *Ledger) fail(b *batch, class OutcomeClass, failure []byte) {
	l.failWith(b, class, failure, "")
}

func (l *Ledger) failWith(b *batch, class OutcomeClass, failure []byte, why string) {
	if class == OutcomeExpired {
		b.ran = l.now.Sub(b.granted)
	}
	l.relieve(b)
	l.unlease(b, int64(b.ran))
	b.enter(batchFailing)
	if b.kind == LeaseMerge {
		l.mergeFailed(b, class, failure)
		return
	}
	r, w := b.run, b.worker
	if class == OutcomeInputGone && l.losing(b) {
		b.limbo = true
		l.answerOutcome(b, true)
		return
	}
	w.reported.push(&b.place)
	if b.counted = class != OutcomeInputGone; b.counted {
		r.failing++
	}
	f := &RangeFailed{
		Fence: b.fence, Stage: b.work.index, From: b.from, To: b.to,
		Worker: w.id, Class: class, Failure: failure,
	}
	if class == OutcomeKilledMemory && b.work.index == 0 {
		f.SplitAt = r.job.layout.halve(b.from, b.to)
	}
	l.propose(f)
	switch {
	case b.ahead():
		if why != "" {
			l.refuseOwed(b, why) // its output is good for nothing
		}
		return // what it says counts when everything before it is done
	case why == "":
		why = l.ends(b, class)
	}
	if why != "" && class == OutcomeInputGone && b.kind == LeaseCommit && r.refiled < maxRefiled {
		r.refiled++
		for e := range r.job.stages[b.inputStage()].order.all() {
			l.lose(e) // they can be made again
		}
		return
	}
	if why != "" {
		l.endFailed(b, class, failure, why)
	}
}

// FailedForGood is why a job ends of which an attempt said that no other could do
// better: what it said is the whole reason.
const FailedForGood = "a batch failed for good"

// maxRefiled is how often all files of a sink are made again, because one of
// them is not there when they are to be moved in place.
const maxRefiled = 3

// inputStage returns the stage whose outputs a batch reads, -1 when it reads
// none.
func (b *batch) inputStage() int {
	switch {
	case b.kind == LeaseCommit:
		return b.run.job.last()
	case b.kind == LeaseProcess:
		return b.work.index - 1
	}
	return -1
}

// losing says whether the loss of an input of a batch was proposed.
func (l *Ledger) losing(b *batch) bool {
	if b.inputStage() < 0 {
		return false
	}
	for e := range b.run.job.stages[b.inputStage()].order.all() {
		if e.losing {
			return true
		}
	}
	return false
}

// ends returns why a failure is the last that its job can bear, empty if it is
// not.
func (l *Ledger) ends(b *batch, class OutcomeClass) string {
	r := b.run
	known := b.knownFailure()
	if class == OutcomeInputGone && !l.cfg.Bug.has(BugSpendGone) {
		asked := b.goneWith(known)
		if l.now < l.gathered || l.elsewhere(r, b.work, asked) || l.await(b, asked) {
			return ""
		}
		return l.noInput(b, asked)
	}
	spent := uint32(1)
	if known != nil {
		spent = uint32(l.unrefunded(known.by, int64(known.spent)+1))
	}
	if b.refund {
		return "" // this one is given back
	}
	switch budget := r.job.settings.RetryBudget; {
	case class == OutcomeFatal:
		return FailedForGood
	case spent >= r.maxAttempts() && class == OutcomeExpired:
		return b.lostWith(spent)
	case spent >= r.maxAttempts() && spent == 1:
		return "a batch failed"
	case spent >= r.maxAttempts():
		return fmt.Sprintf("a batch failed %d times", spent)
	case budget > 0 && l.spentInAll(r) > budget:
		return fmt.Sprintf("%d attempts failed in all", l.spentInAll(r))
	}
	return ""
}

func (b *batch) knownFailure() *failure {
	if f, ok := b.work.stage.failed.get(b.from); ok && f.to == b.to {
		return f
	}
	return nil
}

// goneWith returns the workers that did not find a batch's input, with the one
// that had it last.
func (b *batch) goneWith(f *failure) []WorkerID {
	if f == nil {
		return []WorkerID{b.worker.id}
	}
	if slices.Contains(f.gone, b.worker.id) {
		return f.gone
	}
	return append(slices.Clip(f.gone), b.worker.id)
}

// endFailed proposes that a job has failed by a batch: by what was first said
// of it, for that is mostly the cause.
func (l *Ledger) endFailed(b *batch, class OutcomeClass, failure []byte, why string) {
	if f := b.toldFirst(class); f != nil {
		class, failure = f.class, f.first
	}
	l.close(b.run, &JobClosed{
		State: StateFailed, Class: class, Reason: why, Failure: failure, Untried: class != OutcomeInputGone, Inputs: b.source(),
	})
}

// toldFirst returns what is known of a batch's failures, if what was first said
// of it stands for a failure that ends its job.
func (b *batch) toldFirst(class OutcomeClass) *failure {
	f := b.knownFailure()
	if f == nil || len(f.first) == 0 || class == OutcomeFatal || class == OutcomeInputGone && f.class != class {
		return nil
	}
	return f
}

// teller returns the worker whose failure is told of inputs that nobody finds.
func (b *batch) teller() WorkerID {
	if f := b.toldFirst(OutcomeInputGone); f != nil {
		return f.gone[0]
	}
	return b.worker.id
}

// source returns what a batch reads of the source: the first of it.
func (b *batch) source() (inputs []Input) {
	if b.kind != LeaseProcess || b.work.index != 0 {
		return nil
	}
	y := b.run.job.layout
	splits := y.splits(b.from, b.to)
	for _, s := range splits[:min(len(splits), maxInputs)] {
		inputs = append(inputs, Input{y.fragments[s.Fragment].Payload, s.From, s.To})
	}
	return inputs
}

// lostWith says that a batch was lost with its worker, again and again.
func (b *batch) lostWith(spent uint32) string {
	names := []string{}
	if f := b.knownFailure(); f != nil {
		for _, id := range f.blamed() {
			names = append(names, string(id))
		}
	}
	if !slices.Contains(names, string(b.worker.id)) {
		names = append(names, string(b.worker.id))
	}
	times := ""
	if spent > 1 {
		times = fmt.Sprintf(" %d times", spent)
	}
	return fmt.Sprintf("a batch failed%s: its worker (%s) fell silent or was lost while it ran it; it may be what ends the process",
		times, strings.Join(names, ", "))
}

// close proposes the end of a job. Nothing of it is granted any more.
func (l *Ledger) close(r *run, f *JobClosed) {
	if r.closing {
		return
	}
	r.closing = true
	f.At, f.Job = l.now, r.job.id
	l.propose(f)
	l.relist(r)
}

func (l *Ledger) deadlineDue(r *run) {
	if r.job.state.Over() || r.job.remaking || l.runs[r.job.id] != r {
		return
	}
	l.close(r, &JobClosed{
		State: StateFailed, Class: OutcomeKilledTime,
		Reason: fmt.Sprintf("the job was not done %v after its submission", r.job.settings.Deadline),
	})
}
