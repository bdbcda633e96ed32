package ledger

// committed follows facts that have become durable.
func (l *Ledger) committed(e Committed) {
	for _, f := range e.Facts {
		l.follow(f)
	}
}

func (l *Ledger) follow(f Fact) {
	switch f := f.(type) { // these must look before the state forgets
	case *OutputsLost:
		l.followLost(f)
		return
	case *ResultRead:
		l.followRead(f)
		return
	}
	took := l.state.Apply(f)
	switch f := f.(type) {
	case *JobAdded:
		l.followAdded(f, took)
	case *JobPlanned:
		l.followPlanned(f, took)
	case *PauseSet:
		l.followPause(f, took)
	case *JobClosed:
		l.followClosed(f, took)
	case *RangeDone:
		l.followDone(f, took)
	case *RangeFailed:
		l.followFailed(f, took)
	case *OutputsMerged:
		l.followMerged(f, took)
	case *JobForgotten:
		l.followForgotten(f, took)
	case *JobShelved:
		l.followShelved(f, took)
	case *CordonSet:
		l.followCordoned(f)
	case *AttemptsRefunded:
		l.followRefunded(f)
	}
	switch f.(type) {
	case *JobClosed, *JobForgotten, *JobShelved:
		l.roomMade()
	}
}

// reported returns the batch whose reported outcome a fact is about.
func (r *run) reported(f Fence, phase batchPhase) *batch {
	if b := r.batches[f.Batch]; b != nil && b.phase == phase && b.fence == f {
		return b
	}
	return nil
}

// answerOutcome tells a worker what became of its outcome.
func (l *Ledger) answerOutcome(b *batch, took bool) {
	if !took {
		l.refuseOwed(b, "the batch is done, or its job has ended")
		return
	}
	if b.owed && b.worker.attached {
		l.emit(Ack{b.worker.id, b.worker.session, b.fence})
	}
	b.owed = false
}

func (l *Ledger) followPlanned(f *JobPlanned, took bool) {
	r := l.runs[f.Job]
	if r == nil {
		return
	}
	var by *worker
	if b := r.reported(f.Fence, batchReported); b != nil {
		by = b.worker
		l.answerOutcome(b, took)
		l.drop(b)
	}
	if !took {
		l.touch(r)
		return
	}
	l.dissolveAll(r, &r.planning, 0, 1, "the job is planned")
	r.planning.pending.remove(0, 1)
	r.layStages(l)
	l.checkSink(r, by)
	l.moveOn(r)
}

func (l *Ledger) followDone(f *RangeDone, took bool) {
	r := l.runs[f.Fence.Job]
	if r == nil {
		return
	}
	k := r.work(f.Stage)
	b := r.reported(f.Fence, batchReported)
	lost := false
	if b != nil {
		lost = b.undone
		l.answerOutcome(b, took)
		l.drop(b)
	}
	switch {
	case took && b == nil: // proposed by a leader before this one
		l.dissolveAll(r, k, f.From, f.To, "the batch is done")
		k.pending.remove(f.From, f.To)
	case b != nil && !took:
		l.reopen(r, k, f.From, f.To)
	}
	if took {
		l.followBound(r, k)
		l.followOutput(r, k, f.Output, lost)
	}
	l.moveOn(r)
}

// followOutput takes note of a new output.
func (l *Ledger) followOutput(r *run, k *work, out Output, lost bool) {
	l.dropDropped()
	e := l.state.outputs[out.ID]
	if out.ID == "" || e == nil {
		return
	}
	l.presence(out.Worker)
	switch {
	case lost:
		l.lose(e)
	case e.wasRead():
		l.consume(e)
	default:
		l.considerMerge(r, k, e)
	}
}

func (l *Ledger) followFailed(f *RangeFailed, took bool) {
	r := l.runs[f.Fence.Job]
	if r == nil {
		return
	}
	k := r.work(f.Stage)
	b := r.reported(f.Fence, batchFailing)
	if b != nil {
		l.answerOutcome(b, true)
		if took && (f.SplitAt <= f.From || f.SplitAt >= f.To) {
			b.place.leave()
			b.uncount()
			if x := b.knownFailure(); f.Class == OutcomeInputGone && l.leftTo(b, x.gone) {
				l.ready(b)
			} else {
				l.backOff(b, x.spent)
			}
			l.change(r)
			return
		}
		l.drop(b)
	} else if took {
		l.dissolveAll(r, k, f.From, f.To, "the batch has failed elsewhere")
	}
	if took {
		k.pending.remove(f.From, f.To)
		for at, x := range k.stage.failed.from(f.From) {
			if at >= f.To {
				break
			}
			l.failed(r, k, x)
		}
		l.relist(r)
		l.askRefused(r) // later batches may be smaller
	} else if b != nil {
		l.reopen(r, k, f.From, f.To)
	}
	l.change(r)
}

// failed makes a batch of a range that has failed before.
func (l *Ledger) failed(r *run, k *work, f *failure) {
	k.pending.remove(f.from, f.to)
	b := l.newBatch(r, k, leaseKind(k), f.from, f.to)
	b.attempt = Attempt(f.spent)
	l.backOff(b, f.spent)
}

// dissolveAll gives up all batches of a stage that overlap a range.
func (l *Ledger) dissolveAll(r *run, k *work, from, to Position, reason string) {
	for b := range r.all.all() {
		if b.work == k && b.kind != LeaseMerge && b.from < to && from < b.to {
			l.dissolve(b, reason)
		}
	}
}

// followLost makes the ranges of lost outputs work again, and ends what was
// about to read them.
func (l *Ledger) followLost(f *OutputsLost) {
	r := l.runs[f.Job]
	var ranges []Position
	for _, id := range f.Outputs {
		if e := l.state.outputs[id]; e != nil && e.job.id == f.Job && e.stage == f.Stage {
			ranges = append(ranges, e.from, e.to)
		}
	}
	var closed []bool
	for i := range l.stagesOf(r) {
		closed = append(closed, r.job.stages[i].closed)
	}
	ran := r != nil && r.job.state == StateRunning
	took := l.state.Apply(f)
	if r == nil {
		return
	}
	r.remaking = false
	if !took {
		l.notLost(f)
		l.leaveLimbo(r)
		return
	}
	l.dropDropped()
	r.ended = false
	for b := range r.all.all() {
		if b.reads(f.Stage) {
			l.dissolve(b, "an input is lost")
		}
	}
	for i := 0; i < len(ranges); i += 2 {
		r.stages[f.Stage].pending.add(ranges[i], ranges[i+1])
	}
	for i := range f.Stage {
		if closed[i] && !r.job.stages[i].closed {
			r.stages[i].pending.add(0, r.stages[i].stage.total)
		}
	}
	r.commit.pending.add(0, 1)
	if !ran {
		l.askSinks(r) // who came meanwhile
	}
	l.restartReading(r)
	l.moveOn(r)
	l.touch(r)
}

// notLost follows a loss that did not take hold: of a kept result that was done
// meanwhile, what is lost waits until somebody asks.
func (l *Ledger) notLost(f *OutputsLost) {
	for _, id := range f.Outputs {
		if e := l.state.outputs[id]; e != nil && e.job.id == f.Job {
			e.losing = false
			l.lose(e)
		}
	}
}

// leaveLimbo takes up batches again whose inputs turned out not to be lost.
func (l *Ledger) leaveLimbo(r *run) {
	for b := range r.all.all() {
		if b.limbo {
			b.limbo = false
			l.ready(b)
		}
	}
}

func (l *Ledger) stagesOf(r *run) []work {
	if r == nil {
		return nil
	}
	return r.stages
}

// reads says whether a batch reads outputs of a stage, directly or not.
func (b *batch) reads(stage int) bool {
	switch {
	case b.phase == batchOver:
		return false
	case b.kind == LeaseMerge:
		return b.work.index == stage && !b.intact() || b.work.index > stage
	}
	return b.kind == LeaseCommit || b.work.index > stage
}

// intact says whether the inputs of a merge are all there.
func (b *batch) intact() bool {
	for _, e := range b.inputs {
		if e.place.in == nil {
			return false
		}
	}
	return true
}

// moveOn follows whatever a job has come to.
func (l *Ledger) moveOn(r *run) {
	l.change(r)
	if !r.job.state.Over() {
		l.gather(r)
		if l.relist(r) {
			l.looking = true
		}
		l.advanceReading(r)
		return
	}
	l.endRun(r, "the job is done")
	l.advanceReading(r)
	if r.job.released {
		l.retire(r)
	}
}

// endRun stops everything that a job still has going.
func (l *Ledger) endRun(r *run, reason string) {
	for b := range r.all.all() {
		if !b.moves || !r.job.moves(b.work.index) {
			l.dissolve(b, reason)
		}
	}
	if r.reserved != nil {
		l.unreserve(r)
	}
	l.relist(r)
	if !r.ended {
		r.ended = true
		l.emit(JobEnded{r.job.id, r.job.state})
		l.expireAt(r.job.expires(l))
		l.prune()
	}
}

// retire forgets a job's volatile side: nothing of it is needed any more.
func (l *Ledger) retire(r *run) {
	l.emit(EndJob{r.job.id})
	delete(l.runs, r.job.id)
	l.leave(r.user)
}

// prune proposes to forget the oldest ended jobs that are too many, or too large;
// not the only one, however large those are that have not ended.
func (l *Ledger) prune() {
	over, bytes := len(l.state.order)-l.state.live, l.state.bytes
	for _, j := range l.state.order {
		if over <= l.cfg.KeepJobs && (bytes <= l.cfg.KeepBytes || over <= 1) {
			return
		}
		if j.state.Over() {
			over--
			bytes -= j.bytes
			if !j.pruned {
				l.forget(j, Asked{})
			}
		}
	}
}

// dropDropped tells workers which outputs the last fact made useless.
func (l *Ledger) dropDropped() {
	dropped := l.state.dropped
	for len(dropped) > 0 {
		n := 1
		for n < len(dropped) && dropped[n].Worker == dropped[0].Worker {
			n++
		}
		if w := l.workers[dropped[0].Worker]; w != nil && w.attached {
			ids := make([]OutputID, n)
			for i := range ids {
				ids[i] = dropped[i].ID
			}
			l.emit(DropOutputs{w.id, w.session, ids})
		}
		dropped = dropped[n:]
	}
}
