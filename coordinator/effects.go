package coordinator

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/coordinator/wire"
)

// do carries out an effect. It never steps the ledger.
func (o *owner) do(effect ledger.Effect) {
	switch e := effect.(type) {
	case ledger.Grant:
		o.grant(e)
	case ledger.Ack:
		if out := o.to(e.Worker, e.Session); out != nil {
			out.Acks = append(out.Acks, wire.Ack(e.Fence, false, ""))
		}
	case ledger.Refuse:
		if out := o.to(e.Worker, e.Session); out != nil {
			out.Acks = append(out.Acks, wire.Ack(e.Fence, true, e.Reason))
		}
	case ledger.Append:
		o.proposed = append(o.proposed, e.Facts...)
	case ledger.Changed:
		o.changed(e.Job)
	case ledger.Renewed:
		if out := o.to(e.Worker, e.Session); out != nil {
			out.Heartbeat = e.Sequence
		}
	case ledger.Revoke:
		if out := o.to(e.Worker, e.Session); out != nil {
			out.Revokes = append(out.Revokes, wire.Revoke(e))
		}
	case ledger.CheckSink:
		o.checkSink(e)
	case ledger.DropOutputs:
		o.dropOutputs(e)
	case ledger.Attached:
		o.attached(e)
	case ledger.RefuseSession:
		o.refused(e)
	case ledger.DrainWorker:
		o.drainWorker(e)
	case ledger.LetGo:
		if out := o.to(e.Worker, e.Session); out != nil {
			out.Leave = true
		}
	case ledger.WorkerChanged:
		o.workerChanged(e.Worker)
	case ledger.OutputReady:
		o.outputReady(e)
	case ledger.Answer:
		o.answer(e)
	case ledger.JobEnded:
		o.jobEnded(e)
	case ledger.EndJob:
		o.endJob(e.Job)
	case ledger.WakeAt:
		o.timer.Reset(max(0, e.At.Sub(o.now)))
	default:
		panic(fmt.Sprintf("coordinator: unknown effect %T", effect))
	}
}

// to is what gathers for a session, nil when that is not the worker's session
// any more: what it should have been told, its next attach makes good.
func (o *owner) to(worker ledger.WorkerID, number ledger.SessionID) *pb.SessionResponse {
	s := o.sessions[worker]
	if s == nil || s.number != number {
		return nil
	}
	if s.out == nil {
		s.out = &pb.SessionResponse{}
		o.dirty = append(o.dirty, s)
	}
	return s.out
}

func (o *owner) grant(e ledger.Grant) {
	out := o.to(e.Worker, e.Session)
	if out == nil {
		return
	}
	s, j := o.sessions[e.Worker], o.job(e.Lease.Fence.Job)
	shared := j.context(contextStage(e.Lease), o)
	if s.known.learn(shared) {
		out.Jobs = append(out.Jobs, shared)
	}
	out.Grants = append(out.Grants, wire.Lease(e.Lease, shared.GetDigest(), j, o.fleet))
	if o.logger.Enabled(context.Background(), slog.LevelDebug) {
		o.logger.Debug("lease granted", "job", j.name, "batch", uint64(e.Lease.Fence.Batch),
			"attempt", uint32(e.Lease.Fence.Attempt), "stage", e.Lease.Stage, "worker", string(e.Worker))
	}
}

// checkSink asks a worker whether it sees a job's output folder.
func (o *owner) checkSink(e ledger.CheckSink) {
	out := o.to(e.Worker, e.Session)
	if out == nil {
		return
	}
	shared := o.job(e.Job).context(contextCommit, o) // all that it needs
	if o.sessions[e.Worker].known.learn(shared) {
		out.Jobs = append(out.Jobs, shared)
	}
	out.CheckSinks = append(out.CheckSinks, &pb.SinkCheck{Job: uint64(e.Job), Context: shared.GetDigest()})
}

func (o *owner) dropOutputs(e ledger.DropOutputs) {
	out := o.to(e.Worker, e.Session)
	if out == nil {
		return
	}
	for _, id := range e.Outputs {
		out.DropOutputs = append(out.DropOutputs, string(id))
	}
}

func (o *owner) answer(e ledger.Answer) {
	then := o.requests[e.Request]
	delete(o.requests, e.Request)
	if then != nil {
		then(e)
	}
}

// note acts on facts that the ledger has taken in.
func (o *owner) note(fact ledger.Fact) {
	switch f := fact.(type) {
	case *ledger.JobPlanned:
		o.planned(f.Job)
	case *ledger.OutputsLost:
		if j := o.jobs[f.Job]; j != nil {
			j.losses++
		}
		o.asks.lost(f.Outputs)
	case *ledger.PauseSet:
		o.logger.Info("job paused or resumed", "job", o.c.names.name(f.Job), "paused", f.Paused)
	case *ledger.JobForgotten:
		o.forget(f.Job)
	}
}

// endJob tells workers that they can delete what they have of a job.
func (o *owner) endJob(id ledger.JobID) {
	for worker, s := range o.sessions {
		if s.known.forget(id) {
			out := o.to(worker, s.number)
			out.EndedJobs = append(out.EndedJobs, uint64(id))
		}
	}
	if j := o.jobs[id]; j != nil {
		j.release()
	}
}

// jobEnded is the last transition of a job.
func (o *owner) jobEnded(e ledger.JobEnded) {
	view, ok := o.ledger.Job(e.Job, o.now)
	if !ok {
		return
	}
	j, told := o.job(e.Job), wire.Job(view, o.c.names.name(e.Job))
	what := "job ended"
	switch {
	case view.Remake != "":
		what = "result not made again"
	case j.rests:
		what = "result made again"
	}
	o.logger.Info(what, "job", j.name, "state", shown(told.GetState()),
		"batches", told.GetStats().GetBatchesDone(), "retries", told.GetStats().GetRetries(),
		"elapsed", told.GetStats().GetElapsed().AsDuration().Round(time.Millisecond),
		"failure", cmp.Or(told.GetFailure().GetMessage(), view.Remake))
	j.expires, j.rests = view.Expires, view.Kept && view.State == ledger.StateDone
	j.ended(told)
	j.release()
	o.shelve(e.Job)
}
