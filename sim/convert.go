package sim

import (
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/worker/session"
)

// This file converts between the ledger's words and the session's.

func fenceOut(f ledger.Fence) session.Fence {
	return session.Fence{Job: session.JobID(f.Job), Batch: session.BatchID(f.Batch),
		Attempt: uint32(f.Attempt), Term: session.Term(f.Term)}
}

func fenceIn(f session.Fence) ledger.Fence {
	return ledger.Fence{Job: ledger.JobID(f.Job), Batch: ledger.BatchID(f.Batch),
		Attempt: ledger.Attempt(f.Attempt), Term: ledger.Term(f.Term)}
}

func fencesOut(fences []ledger.Fence) []session.Fence {
	out := make([]session.Fence, len(fences))
	for i, f := range fences {
		out[i] = fenceOut(f)
	}
	return out
}

// wire is an effect that goes to a worker's session, as a part of a response.
func (w *world) wire(e ledger.Effect) (ledger.WorkerID, ledger.SessionID, func(*session.Response)) {
	switch e := e.(type) {
	case ledger.Attached:
		a := &session.Attached{Term: session.Term(e.Term), Lease: e.Lease, Heartbeat: e.Heartbeat,
			Keep: fencesOut(e.Keep), Drop: fencesOut(e.Drop)}
		return e.Worker, e.Session, func(r *session.Response) { r.Attached = a }
	case ledger.DrainWorker:
		return e.Worker, e.Session, func(r *session.Response) { r.Drain, r.DrainWithin = true, e.Within }
	case ledger.LetGo:
		return e.Worker, e.Session, func(r *session.Response) { r.Leave = true }
	case ledger.Renewed:
		return e.Worker, e.Session, func(r *session.Response) { r.Heartbeat = max(r.Heartbeat, e.Sequence) }
	case ledger.Grant:
		lease := w.leaseOut(e.Lease)
		return e.Worker, e.Session, func(r *session.Response) { r.Grants = append(r.Grants, lease) }
	case ledger.Revoke:
		v := session.Revoke{Fence: fenceOut(e.Fence), IfWaiting: e.IfWaiting}
		return e.Worker, e.Session, func(r *session.Response) { r.Revokes = append(r.Revokes, v) }
	case ledger.Ack:
		a := session.Ack{Fence: fenceOut(e.Fence)}
		return e.Worker, e.Session, func(r *session.Response) { r.Acks = append(r.Acks, a) }
	case ledger.Refuse:
		a := session.Ack{Fence: fenceOut(e.Fence), Stale: true}
		return e.Worker, e.Session, func(r *session.Response) { r.Acks = append(r.Acks, a) }
	case ledger.CheckSink:
		return e.Worker, e.Session, nil
	case ledger.DropOutputs:
		ids := make([]session.OutputID, len(e.Outputs))
		for i, id := range e.Outputs {
			ids[i] = session.OutputID(id)
		}
		return e.Worker, e.Session, func(r *session.Response) { r.DropOutputs = append(r.DropOutputs, ids...) }
	}
	panic("sim: an effect that the coordinator does not know")
}

// work is what a worker is to do, as its shell knows it.
type work struct {
	lease *ledger.Lease
	def   *jobDef // a job's number may mean another one by now
	// holders are the processes at the addresses that were told for each
	// input, nil where none was.
	holders []*worker
}

func (w *world) leaseOut(lease *ledger.Lease) session.Lease {
	own := *lease
	own.Splits = append([]ledger.Split(nil), lease.Splits...)
	own.Inputs = append([]ledger.Output(nil), lease.Inputs...)
	x := &work{lease: &own, def: w.jobOf(lease.Fence.Job)}
	for _, in := range own.Inputs {
		x.holders = append(x.holders, w.coordinator.processOf(in.Worker))
	}
	return session.Lease{Fence: fenceOut(lease.Fence), Bytes: lease.Bytes, Alone: lease.Alone,
		Timeout: lease.Timeout, Work: x}
}

// result is what a worker's data plane has to say of an attempt.
type result struct {
	counters ledger.Counters
	output   ledger.Output
	plan     *ledger.Plan
	failure  []byte
	missing  []ledger.Missing
}

// The classes of an attempt that could not have its inputs, of one whose worker
// can run nothing of its stage, and of one whose output has no room because of
// others.
const (
	outputMissing = session.Class(ledger.OutcomeMissing)
	unable        = session.Class(ledger.OutcomeUnable)
	noRoom        = session.Class(ledger.OutcomeNoRoom)
)

func outcomeOf(o session.Outcome) ledger.Outcome {
	out := ledger.Outcome{Fence: fenceIn(o.Fence), Class: ledger.OutcomeClass(o.Class), Elapsed: o.Elapsed}
	if r, ok := o.Body.(*result); ok {
		out.Counters, out.Plan, out.Failure, out.Missing = r.counters, r.plan, r.failure, r.missing
		if o.Output.ID != "" {
			out.Output = r.output
		}
	}
	if o.Granted != nil {
		out.Granted = o.Granted.Work.(*work).lease
	}
	return out
}

func attachEvent(l *link, a *session.Attach) ledger.WorkerAttached {
	k := l.worker
	e := ledger.WorkerAttached{Worker: k.id(), Session: ledger.SessionID(a.Session), Incarnation: l.incarnation, Slots: a.Slots,
		Memory: 1 << 30, Labels: k.labels, Processors: k.processors}
	for _, h := range a.Leases {
		e.Leases = append(e.Leases, ledger.HeldLease{Lease: *h.Lease.Work.(*work).lease, Started: h.Started})
	}
	for _, o := range a.Outcomes {
		e.Outcomes = append(e.Outcomes, outcomeOf(o))
	}
	for _, o := range a.Outputs {
		e.Outputs = append(e.Outputs, ledger.OutputID(o.ID))
	}
	return e
}

// seconds is for people.
func seconds(d time.Duration) float64 { return float64(d) / float64(time.Second) }
