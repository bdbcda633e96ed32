package wire

import (
	"cmp"
	"slices"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
)

// Attached is a worker's attach as the ledger sees it.
func Attached(a *pb.Attach) ledger.WorkerAttached {
	e := ledger.WorkerAttached{
		Worker:      ledger.WorkerID(a.GetWorker()),
		Session:     ledger.SessionID(a.GetSession()),
		Incarnation: a.GetIncarnation(),
		Slots:       int(a.GetSlots()),
		Memory:      a.GetMemoryBytes(),
		Labels:      Labels(a.GetLabels()),
		Processors:  a.GetProcessors(),
		Zone:        a.GetZone(),
	}
	for _, held := range a.GetLeases() {
		e.Leases = append(e.Leases, ledger.HeldLease{Lease: heldLease(held.GetFence(), held.GetLease()), Started: held.GetStarted()})
	}
	for _, o := range a.GetOutcomes() {
		outcome := Outcome(o)
		if o.GetGranted() != nil {
			granted := heldLease(o.GetFence(), o.GetGranted())
			outcome.Granted = &granted
		}
		e.Outcomes = append(e.Outcomes, outcome)
	}
	for _, o := range a.GetOutputs() {
		e.Outputs = append(e.Outputs, ledger.OutputID(o.GetId()))
	}
	return e
}

func heldLease(fence *pb.Fence, l *pb.Lease) ledger.Lease {
	held := ledger.Lease{
		Fence: Fence(fence),
		Kind:  leaseKind(l.GetKind()),
		Stage: int(l.GetStage()),
		From:  ledger.Position(l.GetPosition()),
		To:    ledger.Position(l.GetEndPosition()),
		Alone: l.GetAlone(),
		Bytes: l.GetCreditBytes(),
	}
	for _, in := range l.GetInputs() {
		held.Inputs = append(held.Inputs, output(in))
	}
	return held
}

// maxCredit is how many leases one message may ask for: one step grants them
// all, and no worker can hold more.
const maxCredit = 100_000

// Said is what a worker says in a session, after its attach, as events in the
// order in which they count: what renews leases first, then that it leaves, so
// that what its outcomes free is given to others.
func Said(worker ledger.WorkerID, session ledger.SessionID, r *pb.SessionRequest) []ledger.Event {
	events := make([]ledger.Event, 0, len(r.GetOutcomes())+3)
	if h := r.GetHeartbeat(); h != nil {
		events = append(events, ledger.Heartbeat{
			Worker: worker, Session: session, Sequence: h.GetSequence(), Progress: progress(h.GetProgress()),
		})
	}
	if r.GetDrain() {
		events = append(events, ledger.WorkerDraining{Worker: worker, Session: session})
	}
	for _, o := range r.GetOutcomes() {
		events = append(events, ledger.OutcomeReported{Worker: worker, Session: session, Outcome: Outcome(o)})
	}
	for _, s := range r.GetSinks() {
		events = append(events, ledger.SinkChecked{
			Worker: worker, Session: session, Job: ledger.JobID(s.GetJob()), View: sinkView(s.GetView()), Reason: api.Clip(s.GetReason(), maxReason),
		})
	}
	if c := r.GetCredit(); c != nil {
		events = append(events, ledger.CreditGranted{
			Worker: worker, Session: session, Batches: min(c.GetBatches(), maxCredit), Bytes: max(c.GetBytes(), 0),
		})
	}
	return events
}

// sinkView is a view that the contract knows; any other is none.
func sinkView(v pb.SinkView) ledger.SinkView {
	if pb.SinkView_name[int32(v)] == "" {
		return ledger.SinkUnknown
	}
	return ledger.SinkView(v)
}

func progress(list []*pb.Progress) []ledger.Progress {
	ps := make([]ledger.Progress, len(list))
	for i, p := range list {
		ps[i] = ledger.Progress{Fence: Fence(p.GetFence()), Records: p.GetRecords(), Bytes: p.GetBytes()}
	}
	return ps
}

// Fence is an attempt's name.
func Fence(f *pb.Fence) ledger.Fence {
	return ledger.Fence{
		Job:     ledger.JobID(f.GetJob()),
		Batch:   ledger.BatchID(f.GetBatch()),
		Attempt: ledger.Attempt(f.GetAttempt()),
		Term:    ledger.Term(f.GetTerm()),
	}
}

// Outcome is a worker's outcome. A plan that can't be understood makes it fatal
// for the job. A plan is taken apart, and must not be used afterwards.
func Outcome(o *pb.Outcome) ledger.Outcome {
	out := ledger.Outcome{
		Fence:    Fence(o.GetFence()),
		Class:    class(o.GetClass()),
		Output:   output(o.GetOutput()),
		Counters: counters(o.GetCounters()),
		Elapsed:  max(o.GetElapsed().AsDuration(), 0),
		Missing:  missing(o),
	}
	if f := o.GetFailure(); f != nil {
		out.Failure = marshal(api.ClipFailure(f))
	}
	if out.Class == ledger.OutcomeUnable {
		out.Reason = api.Clip(o.GetFailure().GetMessage(), maxReason)
	}
	if o.GetPlan() == nil || out.Class != ledger.OutcomeDone {
		return out
	}
	plan, err := Plan(o.GetPlan())
	if err != nil {
		out.Class, out.Failure = ledger.OutcomeFatal, Failure(err.Error())
	}
	out.Plan = plan
	return out
}

// missing are the inputs that an attempt could not have. A worker that names
// none, or very many, is not asked for more than the first ones.
func missing(o *pb.Outcome) []ledger.Missing {
	if o.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_OUTPUT_MISSING {
		return nil
	}
	list := o.GetMissing()
	ms := make([]ledger.Missing, min(len(list), maxMissing))
	for i := range ms {
		ms[i] = ledger.Missing{
			Output: ledger.OutputID(list[i].GetId()), Gone: list[i].GetGone(),
			Reason: api.Clip(list[i].GetReason(), maxMissingReason),
		}
	}
	return ms
}

// How many missing inputs of one outcome are looked at, and how many bytes of
// each one's reason.
const (
	maxMissing       = 1_000
	maxMissingReason = 500

	// maxReason bounds why a worker can't run a stage, in bytes.
	maxReason = 500
)

// class is a class that the contract knows. One that it does not is a failure
// by a newer worker, which another may do better.
func class(c pb.OutcomeClass) ledger.OutcomeClass {
	if c <= pb.OutcomeClass_OUTCOME_CLASS_UNSPECIFIED || c > pb.OutcomeClass_OUTCOME_CLASS_UNABLE {
		return ledger.OutcomeRetryable
	}
	return ledger.OutcomeClass(c)
}

// Failure is a failure of the coordinator's own, as the ledger keeps it.
func Failure(message string) []byte {
	return marshal(&pb.Failure{Message: message, ExitStatus: -1})
}

func output(o *pb.OutputRef) ledger.Output {
	if o == nil {
		return ledger.Output{}
	}
	return ledger.Output{
		ID:      ledger.OutputID(o.GetId()),
		Worker:  ledger.WorkerID(o.GetWorker()),
		Kind:    outputKind(o.GetKind()),
		Bytes:   max(o.GetBytes(), 0),
		Records: max(o.GetRecords(), 0),
		Path:    o.GetPath(),
	}
}

// outputKind is a kind that the contract knows; any other is none.
func outputKind(k pb.OutputKind) ledger.OutputKind {
	if pb.OutputKind_name[int32(k)] == "" {
		return ledger.OutputNone
	}
	return ledger.OutputKind(k)
}

// leaseKind is a kind that the contract knows; any other is none.
func leaseKind(k pb.LeaseKind) ledger.LeaseKind {
	if pb.LeaseKind_name[int32(k)] == "" {
		return ledger.LeaseUnspecified
	}
	return ledger.LeaseKind(k)
}

// counters are within the limits of the contract: the ledger keeps them.
func counters(c *pb.Counters) ledger.Counters {
	sum := ledger.Counters{
		RecordsIn: max(c.GetRecordsIn(), 0), BytesIn: max(c.GetBytesIn(), 0),
		RecordsOut: max(c.GetRecordsOut(), 0), BytesOut: max(c.GetBytesOut(), 0),
		RecordsSkipped: max(c.GetRecordsSkipped(), 0),
	}
	for name, value := range c.GetCustom() {
		if len(name) <= api.MaxCounterNameBytes {
			sum.Custom = append(sum.Custom, ledger.Count{Name: name, Value: value})
		}
	}
	slices.SortFunc(sum.Custom, func(a, b ledger.Count) int { return cmp.Compare(a.Name, b.Name) })
	sum.Custom = sum.Custom[:min(len(sum.Custom), api.MaxCounters)]
	return sum
}
