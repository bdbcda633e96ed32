package coordinator

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/coordinator/wire"
)

// fragmentsKept is up to how many fragments a job's are kept decoded. Beyond
// it each is decoded for every lease that reads it: those are files that are
// small, and read once.
const fragmentsKept = 4_096

// job is what the owner keeps of a job for its messages. All but the watchers
// and the reader is made from the ledger when it is needed, and can be dropped
// at any time.
type job struct {
	id   ledger.JobID
	name string

	spec      *pb.JobSpec
	plan      *ledger.Plan // nil before there is one
	shared    *pb.Plan     // the plan without fragments and stages
	fragments []*pb.Fragment
	contexts  map[int]*pb.JobContext // by stage, or one of those below

	watchers map[*watcher]struct{}
	feed     *feed // of the client that reads a result that is not kept
	read     bool  // some of the result was consumed

	readings int         // of clients that read a kept result
	rests    bool        // it is done, and its result kept
	losses   int         // rises when outputs are lost
	shelved  bool        // the ledger was told that the result is here
	expires  ledger.Time // once it has ended

	warned map[warning]bool // what was logged of its workers
}

// warning is something that a worker lacks for a job: all of it, or a file.
type warning struct {
	worker ledger.WorkerID
	class  ledger.OutcomeClass
}

// warns says whether a worker's answer of a class is the first one, and so to be
// logged.
func (j *job) warns(worker ledger.WorkerID, class ledger.OutcomeClass) bool {
	w := warning{worker, class}
	if j == nil || j.warned[w] {
		return false
	}
	if j.warned == nil {
		j.warned = make(map[warning]bool)
	}
	j.warned[w] = true
	return true
}

// Contexts of leases that belong to no stage.
const (
	contextPlan   = -1
	contextCommit = -2
)

// contextStage is the stage whose context a lease needs.
func contextStage(l *ledger.Lease) int {
	switch l.Kind {
	case ledger.LeasePlan:
		return contextPlan
	case ledger.LeaseCommit:
		return contextCommit
	}
	return l.Stage
}

// find is the job with a number, if the ledger knows it.
func (o *owner) find(id ledger.JobID) (*job, error) {
	if j := o.jobs[id]; j != nil {
		return j, nil
	}
	if _, ok := o.ledger.Job(id, o.now); !ok {
		return nil, o.unknown(id)
	}
	j := &job{id: id, name: o.c.names.name(id), watchers: make(map[*watcher]struct{})}
	o.jobs[id] = j
	return j, nil
}

func (o *owner) unknown(id ledger.JobID) error {
	if why := o.graves.why(id); why != "" {
		return api.Errorf(api.NotFound, "job %s is not kept any more, nor is its result: %s", o.c.names.name(id), why)
	}
	return api.Errorf(api.NotFound, "there is no job %s: it was never submitted here, or was forgotten since", o.c.names.name(id))
}

// job is a job that the ledger itself has named.
func (o *owner) job(id ledger.JobID) *job {
	j, err := o.find(id)
	if err != nil {
		panic(fmt.Sprintf("coordinator: the ledger named a job that it does not know: %v", err))
	}
	return j
}

// view is how a job is, for clients.
func (o *owner) view(id ledger.JobID) (*pb.Job, error) {
	v, ok := o.ledger.Job(id, o.now)
	if !ok {
		return nil, o.unknown(id)
	}
	return wire.Job(v, o.c.names.name(id)), nil
}

// load makes what is needed of the spec and the plan, once there is one.
func (j *job) load(o *owner) {
	if j.spec != nil && j.plan != nil {
		return
	}
	v, ok := o.ledger.Job(j.id, o.now)
	if !ok {
		return
	}
	if j.spec == nil {
		j.spec = wire.Spec(v.Spec)
	}
	if j.plan == nil && v.Plan != nil {
		j.plan, j.shared = v.Plan, wire.Shared(v.Plan.Payload)
	}
}

// context is what all leases of a stage share.
func (j *job) context(stage int, o *owner) *pb.JobContext {
	if known := j.contexts[stage]; known != nil {
		return known
	}
	j.load(o)
	c := &pb.JobContext{Job: uint64(j.id), JobId: j.name, Spec: j.spec}
	if stage != contextPlan {
		c.Plan = j.shared
	}
	if stage >= 0 {
		c.Stage = wire.Stage(j.plan.Stages[stage].Payload)
	}
	c.Digest = digest(c)
	if j.contexts == nil {
		j.contexts = make(map[int]*pb.JobContext)
	}
	j.contexts[stage] = c
	return c
}

func digest(c *pb.JobContext) string {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(c)
	if err != nil {
		panic(fmt.Sprintf("coordinator: encode a context: %v", err)) // all of it was decoded here
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Fragment is a fragment of the job's plan, without its cuts.
func (j *job) Fragment(i int) *pb.Fragment {
	if len(j.plan.Fragments) > fragmentsKept {
		return wire.Fragment(j.plan.Fragments[i].Payload)
	}
	if j.fragments == nil {
		j.fragments = make([]*pb.Fragment, len(j.plan.Fragments))
	}
	if j.fragments[i] == nil {
		j.fragments[i] = wire.Fragment(j.plan.Fragments[i].Payload)
	}
	return j.fragments[i]
}

// release drops what can be made again, and what of an ended job is no matter.
func (j *job) release() {
	j.spec, j.plan, j.shared, j.fragments, j.contexts = nil, nil, nil, nil, nil
	j.warned = nil
}

// planned is the job's transition from planning.
func (o *owner) planned(id ledger.JobID) {
	v, ok := o.ledger.Job(id, o.now)
	if !ok || v.Plan == nil {
		return // the plan came too late
	}
	j := o.job(id)
	o.logger.Info("job planned", "job", j.name, "fragments", len(v.Plan.Fragments), "stages", len(v.Plan.Stages))
	if j.feed != nil {
		j.feed.head(o.header(j))
	}
}

// changed wakes those who watch a job.
func (o *owner) changed(id ledger.JobID) {
	j := o.jobs[id]
	if j == nil {
		return // nobody has looked at it yet
	}
	for w := range j.watchers {
		w.wake()
	}
	if j.rests {
		o.recheck(j)
	}
}

// recheck ends the transfers of what was lost of a kept result: of a job that is
// done that is no fact until somebody asks.
func (o *owner) recheck(j *job) {
	if v, ok := o.ledger.Job(j.id, o.now); !ok || v.State != ledger.StateDone || v.Shelved {
		return
	}
	there := make(map[ledger.OutputID]bool)
	parts, _ := o.ledger.Result(j.id)
	for _, p := range parts {
		there[p.Output.ID] = true
	}
	j.losses++
	o.asks.keep(j.id, there)
}

// ended tells all who wait for a job that it has ended.
func (j *job) ended(told *pb.Job) {
	for w := range j.watchers {
		w.hurry()
	}
	if err := endError(told); err != nil && j.feed != nil {
		j.feed.fail(err)
	}
}

// endError is what the reader of an ended job's result gets, nil when the job
// is done.
func endError(told *pb.Job) error {
	switch told.GetState() {
	case pb.JobState_JOB_STATE_FAILED:
		return &api.Error{Code: api.Failed, Message: told.GetFailure().GetMessage(), Failure: told.GetFailure()}
	case pb.JobState_JOB_STATE_CANCELLED:
		return api.Errorf(api.Cancelled, "job %s was cancelled", told.GetId())
	}
	return nil
}

// forget drops a job that the ledger has forgotten.
func (o *owner) forget(id ledger.JobID) {
	o.shelf.Drop(id)
	j := o.jobs[id]
	if o.graves.why(id) == "" {
		o.graves.bury(id, o.whyForgotten(j))
	}
	if j == nil {
		return
	}
	o.logger.Info("job forgotten", "job", j.name, "reason", o.graves.why(id))
	for w := range j.watchers {
		w.hurry()
	}
	if j.feed != nil {
		j.feed.fail(o.unknown(id))
	}
	delete(o.jobs, id)
	o.asks.over(id)
}

// whyForgotten is why a job was forgotten that nobody has removed.
func (o *owner) whyForgotten(j *job) string {
	if j != nil && j.expires != 0 && j.expires <= o.now {
		return "its time was over at " + wire.Moment(j.expires).AsTime().Format(time.RFC3339)
	}
	return fmt.Sprintf("newer jobs have ended, and %d are kept (--keep-jobs), or fewer whose specs are very large", o.c.config.KeepJobs)
}
