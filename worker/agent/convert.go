package agent

import (
	"context"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/session"
)

// This file alone converts between the contract and the session machine.

// learn takes from a response what is not the machine's business: the contexts
// of jobs, outputs to upload, and folders to look at.
func (a *Agent) learn(ctx context.Context, response *pb.SessionResponse) {
	for _, job := range response.GetJobs() {
		a.contexts[job.GetDigest()] = job
	}
	for _, send := range response.GetSends() {
		a.workers.Add(1)
		go a.upload(ctx, send)
	}
	for _, check := range response.GetCheckSinks() {
		a.look(check)
	}
}

func (a *Agent) decode(r *pb.SessionResponse) session.Response {
	response := session.Response{
		Grants: make([]session.Lease, len(r.GetGrants())), Acks: make([]session.Ack, len(r.GetAcks())),
		Heartbeat: r.GetHeartbeat(), Drain: r.GetDrain(), DrainWithin: r.GetDrainWithin().AsDuration(), Leave: r.GetLeave(),
	}
	if attached := r.GetAttached(); attached != nil {
		response.Attached = &session.Attached{
			Term: session.Term(attached.GetTerm()), Lease: attached.GetLease().AsDuration(),
			Heartbeat: attached.GetHeartbeat().AsDuration(),
			Keep:      mapped(attached.GetKeep(), fence), Drop: mapped(attached.GetDrop(), fence),
		}
	}
	if response.Leave {
		a.log.Info("worker may leave", "worker", a.config.Name, "session", uint64(a.machine.Session()))
	}
	for i, lease := range r.GetGrants() {
		response.Grants[i] = a.decodeLease(lease)
	}
	for i, ack := range r.GetAcks() {
		response.Acks[i] = session.Ack{Fence: fence(ack.GetFence()), Stale: ack.GetStale()}
	}
	response.Revokes = mapped(r.GetRevokes(), func(revoke *pb.Revoke) session.Revoke {
		return session.Revoke{Fence: fence(revoke.GetFence()), IfWaiting: revoke.GetIfWaiting()}
	})
	response.DropOutputs = mapped(r.GetDropOutputs(), func(id string) session.OutputID { return session.OutputID(id) })
	response.EndedJobs = mapped(r.GetEndedJobs(), func(job uint64) session.JobID { return session.JobID(job) })
	return response
}

func (a *Agent) decodeLease(lease *pb.Lease) session.Lease {
	return session.Lease{
		Fence: fence(lease.GetFence()), Bytes: lease.GetCreditBytes(),
		Alone: lease.GetAlone(), Timeout: lease.GetTimeout().AsDuration(),
		Work: &work{lease: lease, job: a.contexts[lease.GetContext()]},
	}
}

// encode makes the message of what gathered; jobs are for an attach.
func (a *Agent) encode(m session.Message, beat *pb.Heartbeat, jobs []uint64) *pb.SessionRequest {
	request := &pb.SessionRequest{Heartbeat: beat, Drain: m.Drain, Outcomes: mapped(m.Outcomes, wireOutcome)}
	if m.Attach != nil {
		request.Attach = a.encodeAttach(m.Attach)
		request.Attach.Jobs = jobs
	}
	if m.Batches > 0 || m.Bytes > 0 {
		request.Credit = &pb.Credit{Batches: uint32(m.Batches), Bytes: m.Bytes}
	}
	return request
}

func (a *Agent) encodeAttach(attach *session.Attach) *pb.Attach {
	return &pb.Attach{
		Worker: a.config.Name, Session: uint64(attach.Session), Slots: uint32(attach.Slots),
		MemoryBytes: a.config.MemoryBytes, Labels: a.config.Labels, Version: a.config.Version,
		Processors: a.processors(), Protocol: api.Protocol, Incarnation: a.config.Incarnation, Zone: a.config.Zone,
		DataAddresses: a.config.DataAddresses, DataRoots: a.config.Roots.Folders(),
		Leases: mapped(attach.Leases, func(held session.Held) *pb.HeldLease {
			lease := held.Lease.Work.(*work).lease
			return &pb.HeldLease{Fence: lease.GetFence(), Started: held.Started, Lease: bounds(lease)}
		}),
		Outcomes: mapped(attach.Outcomes, attachedOutcome),
		Outputs: mapped(attach.Outputs, func(o session.Output) *pb.OutputRef {
			return &pb.OutputRef{Id: string(o.ID), Job: uint64(o.Job)}
		}),
	}
}

// report is what the machine carries of an outcome, for the messages to come.
type report struct {
	outcome *pb.Outcome
	lease   *pb.Lease
}

// machineOutcome is an outcome as the machine keeps it.
func machineOutcome(o *pb.Outcome, lease *pb.Lease) session.Outcome {
	outcome := session.Outcome{
		Fence: fence(o.GetFence()), Class: session.Class(o.GetClass()),
		Elapsed: o.GetElapsed().AsDuration(), Body: report{o, lease},
	}
	if ref := o.GetOutput(); ref != nil {
		outcome.Output = session.Output{ID: session.OutputID(ref.GetId()), Job: session.JobID(ref.GetJob()), Body: ref}
	}
	return outcome
}

// wireOutcome is an outcome as it is reported: a message of its own, since an
// earlier one of the same outcome may still be on its way. The machine may have
// changed the class, and makes outcomes of its own for leases that never started.
func wireOutcome(o session.Outcome) *pb.Outcome {
	wire := &pb.Outcome{Class: pb.OutcomeClass(o.Class)}
	body, ok := o.Body.(report)
	if !ok {
		wire.Fence = &pb.Fence{
			Job: uint64(o.Fence.Job), Batch: uint64(o.Fence.Batch), Attempt: o.Fence.Attempt, Term: uint64(o.Fence.Term),
		}
		return wire
	}
	told := body.outcome
	wire.Fence, wire.Counters, wire.Failure = told.GetFence(), told.GetCounters(), told.GetFailure()
	wire.Elapsed, wire.Plan, wire.Missing = told.GetElapsed(), told.GetPlan(), told.GetMissing()
	if o.Output.ID != "" {
		wire.Output = told.GetOutput()
	}
	return wire
}

// attachedOutcome is an outcome in an inventory: with its lease, since it may
// reach a coordinator that did not grant it.
func attachedOutcome(o session.Outcome) *pb.Outcome {
	wire := wireOutcome(o)
	if body, ok := o.Body.(report); ok {
		wire.Granted = bounds(body.lease)
	}
	return wire
}

// bounds is what an inventory says of a lease: which inputs it reads, and what
// it covers. Files and paths would make an attach too long to be taken.
func bounds(lease *pb.Lease) *pb.Lease {
	return &pb.Lease{
		Fence: lease.GetFence(), Kind: lease.GetKind(), Stage: lease.GetStage(), Position: lease.GetPosition(),
		EndPosition: lease.GetEndPosition(), Alone: lease.GetAlone(), CreditBytes: lease.GetCreditBytes(),
		Inputs: mapped(lease.GetInputs(), func(in *pb.OutputRef) *pb.OutputRef { return &pb.OutputRef{Id: in.GetId()} }),
	}
}

func fence(f *pb.Fence) session.Fence {
	return session.Fence{
		Job: session.JobID(f.GetJob()), Batch: session.BatchID(f.GetBatch()),
		Attempt: f.GetAttempt(), Term: session.Term(f.GetTerm()),
	}
}

// mapped converts every item of a list; nothing gives nil.
func mapped[From, To any](list []From, convert func(From) To) []To {
	if len(list) == 0 {
		return nil
	}
	converted := make([]To, 0, len(list))
	for _, item := range list {
		converted = append(converted, convert(item))
	}
	return converted
}
