// Package attempt runs one attempt of one lease, from what the coordinator
// granted to the outcome that it is told: it opens the input, runs the steps of
// the stage one after the other, keeps the output, and says how it ended. When
// it runs, and whether its outcome still counts, is decided by the session.
package attempt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/exchange"
	"github.com/millrace/millrace/worker/processor"
	"github.com/millrace/millrace/worker/roots"
	"github.com/millrace/millrace/worker/sink"
	"github.com/millrace/millrace/worker/source"
)

// Causes of a cancelled attempt, given to the context that it runs in.
var (
	// ErrRevoked says that the coordinator took the lease back.
	ErrRevoked = errors.New("the lease was revoked")
	// ErrDrained says that the worker leaves and could wait no longer.
	ErrDrained = errors.New("the worker leaves")
	// ErrTimeout says that the batch ran longer than the job allows.
	ErrTimeout = errors.New("the batch ran too long")
)

// Planner makes the plan of a job, of which only the spec and the identifier are
// known.
type Planner func(ctx context.Context, job *pb.JobContext) (*pb.Plan, error)

// Config is what a Runner needs.
type Config struct {
	// Worker is the worker's name.
	Worker string
	// Slots is how many attempts run at once; one that is alone gets them all.
	Slots int
	// MemoryBytes is shared by the slots.
	MemoryBytes int64
	// Spool keeps the outputs.
	Spool *exchange.Spool
	// Alone says that there is no other worker: what this one has no room for
	// fails at once.
	Alone bool
	// Fetch fetches outputs that other workers hold; nil where there are none.
	Fetch exchange.Fetcher
	// Roots are the folders whose files jobs may read and write; all when nil.
	Roots *roots.Roots
	// Plan makes plans.
	Plan Planner
	// Steps makes the step that a stage of a job asks for.
	Steps func(job *pb.JobContext, step *pb.Step) (processor.Step, error)
}

// Runner runs attempts. It is safe for use by several goroutines.
type Runner struct {
	Config
	stages stages
}

// NewRunner makes a runner.
func NewRunner(config Config) *Runner {
	r := &Runner{Config: config}
	r.stages.make = config.Steps
	return r
}

// Close frees what the stages of all jobs keep. No attempt may be running.
func (r *Runner) Close() error { return r.stages.closeAll() }

// EndJob frees what the stages of a job that is over keep, and removes files that
// lie aside in its sink. No attempt of the job may be running. Context is one of
// the job's, nil when the worker has none.
func (r *Runner) EndJob(number uint64, context *pb.JobContext) error {
	r.stages.end(number)
	if context.GetSpec().GetSink().GetFiles() == nil {
		return nil
	}
	return r.folder(context).Discard()
}

// Run runs one attempt to its end. What panics on the way is a failure.
// Live is where others may look at its progress meanwhile.
func (r *Runner) Run(ctx context.Context, lease *pb.Lease, job *pb.JobContext, live *Live) *pb.Outcome {
	started := time.Now()
	outcome := &pb.Outcome{Fence: lease.GetFence(), Class: pb.OutcomeClass_OUTCOME_CLASS_DONE}
	spool := r.Spool.Made()
	err := caught(func() error { return r.dispatch(ctx, lease, job, live, outcome) })
	if err == nil {
		err = live.tooManySkipped()
	}
	outcome.Elapsed = durationpb.New(time.Since(started))
	if err != nil {
		r.Spool.Drop(outcome.GetOutput().GetId())
		outcome.Output, outcome.Counters, outcome.Plan = nil, nil, nil
		class, failure := r.classify(ctx, r.blameless(ctx, err, spool), lease, job)
		outcome.Class, outcome.Failure = class, api.ClipFailure(placed(failure, err, lease))
		if class != pb.OutcomeClass_OUTCOME_CLASS_OUTPUT_MISSING {
			outcome.Missing = nil
		}
		return outcome
	}
	outcome.Counters = live.counters(outcome.GetCounters())
	if bad := live.skipped(); bad != nil {
		outcome.Class, outcome.Failure = pb.OutcomeClass_OUTCOME_CLASS_DONE_WITH_SKIPS, bad
	}
	return outcome
}

// blameless is the error of an attempt, unless the spool says that another than
// the attempt is to blame for it.
func (r *Runner) blameless(ctx context.Context, err error, spool int) error {
	excuse, fault := r.Spool.Excuse(ctx, err, spool)
	if excuse != "" {
		return processor.Fail(pb.OutcomeClass_OUTCOME_CLASS_RETURNED, "%s", excuse)
	}
	return errors.Join(err, fault)
}

func (r *Runner) dispatch(ctx context.Context, lease *pb.Lease, job *pb.JobContext, live *Live, outcome *pb.Outcome) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx) // it was cancelled before it began
	}
	if job == nil {
		return processor.Fail(pb.OutcomeClass_OUTCOME_CLASS_RETRYABLE, "the coordinator did not say what job the lease is of")
	}
	switch lease.GetKind() {
	case pb.LeaseKind_LEASE_KIND_PLAN:
		outcome.Plan, err = r.plan(ctx, job)
	case pb.LeaseKind_LEASE_KIND_COMMIT:
		err = r.folder(job).Commit(lease.GetInputs())
	case pb.LeaseKind_LEASE_KIND_PROCESS, pb.LeaseKind_LEASE_KIND_MERGE:
		err = r.process(ctx, lease, job, live, outcome)
	default:
		err = processor.Fatal("this worker does not know leases of kind %s: it is older than its coordinator", lease.GetKind())
	}
	return err
}

func (r *Runner) plan(ctx context.Context, job *pb.JobContext) (*pb.Plan, error) {
	plan, err := r.Plan(ctx, job)
	if err != nil {
		return nil, err
	}
	return plan, checkPlan(plan)
}

// Look tells whether this worker sees the output folder of a job as its plan
// left it, and if not, why.
func (r *Runner) Look(job *pb.JobContext) (pb.SinkView, error) { return r.folder(job).Look() }

func (r *Runner) folder(job *pb.JobContext) *sink.Folder {
	return sink.In(r.Roots, job)
}

// process runs the steps of a stage over the lease's input.
func (r *Runner) process(ctx context.Context, lease *pb.Lease, job *pb.JobContext, live *Live, outcome *pb.Outcome) error {
	stage, err := r.stages.use(job, lease.GetKind())
	if err != nil {
		return err
	}
	defer r.stages.release(stage)
	temp := tempFolder{parent: r.Spool.Dir()}
	defer temp.remove()

	if err := r.checkFiles(lease); err != nil {
		return err
	}
	if err := stage.checkPages(ctx, lease, job, r.files()); err != nil {
		return err
	}
	out, err := r.output(lease, job)
	if err != nil {
		return err
	}
	counted := &tap{Output: out}
	links, last := stage.tapped(counted)
	a := r.attempt(lease, job, live, &temp)
	inputs := r.Spool.Inputs(lease.GetInputs(), r.Fetch)
	err = run(ctx, a, links, r.input(lease, job, inputs), last)
	if outcome.Missing = inputs.Missing(); len(outcome.Missing) > 0 {
		err = inputs.Failure() // whatever a processor made of it
	}
	if err == nil {
		err = r.checkFiles(lease)
	}
	if err != nil {
		out.Abandon()
		return err
	}
	if outcome.Output, err = out.Finish(); err != nil {
		return err
	}
	records := counted.total()
	if outcome.Output != nil {
		outcome.Output.Records = records
	}
	outcome.Counters = &pb.Counters{RecordsOut: records, BytesOut: outcome.GetOutput().GetBytes()}
	return ctx.Err()
}

// checkFiles fails when a file that processors read by themselves is not as it
// was planned. Text is checked by who reads it.
func (r *Runner) checkFiles(lease *pb.Lease) error {
	for _, split := range lease.GetSplits() {
		if split.GetSource().GetUnit() != pb.Unit_UNIT_ROWS {
			continue
		}
		if err := source.Check(split.GetSource(), r.files()); err != nil {
			return err
		}
	}
	return nil
}

// files says which files a job may read.
func (r *Runner) files() source.Options { return source.Options{Roots: r.Roots} }

func (r *Runner) output(lease *pb.Lease, job *pb.JobContext) (output, error) {
	fence := lease.GetFence()
	if kind := job.GetStage().GetOutput(); kind != pb.OutputKind_OUTPUT_KIND_FILE {
		return r.Spool.Create(fence.GetJob(), kind, job.GetSpec().GetLimits().GetMaxSpoolBytes()), nil
	}
	name := fmt.Sprintf("%016x-%d-%d-%d", lease.GetPosition(), fence.GetBatch(), fence.GetAttempt(), fence.GetTerm())
	return r.folder(job).Begin(fence.GetJob(), r.Worker, name)
}

func (r *Runner) attempt(lease *pb.Lease, job *pb.JobContext, live *Live, temp *tempFolder) *processor.Attempt {
	a := &processor.Attempt{
		JobID: job.GetJobId(), Job: job.GetJob(), Stage: job.GetStage().GetName(),
		Batch: lease.GetFence().GetBatch(), Number: lease.GetFence().GetAttempt(),
		Position: lease.GetPosition(), EndPosition: lease.GetEndPosition(),
		Threads: 1, MemoryBytes: r.memory(job) / int64(r.Slots), TempDir: temp.make,
		Read: live.read, Status: live.setStatus, Count: live.count,
		Skip: func(bad *pb.BadRecord) error { return live.skip(bad, lease.GetMaySkip()) },
	}
	if lease.GetAlone() {
		a.Threads, a.MemoryBytes = r.Slots, r.memory(job)
	}
	live.maySkip.Store(lease.GetMaySkip())
	return a
}

func (r *Runner) memory(job *pb.JobContext) int64 {
	if limit := job.GetSpec().GetLimits().GetMaxMemoryBytes(); limit > 0 {
		return min(limit, r.MemoryBytes)
	}
	return r.MemoryBytes
}

// input is what the first step of a lease reads.
func (r *Runner) input(lease *pb.Lease, job *pb.JobContext, inputs *exchange.Inputs) processor.Input {
	reader := source.NewReader(job.GetSpec().GetSource(), job.GetPlan(), r.files())
	in := reader.Input(lease.GetSplits())
	if len(lease.GetSplits()) > 0 {
		return in
	}
	in.Format, in.Csv, in.Columns = collectedFormat(lease, job), writtenCsv(), nil
	in.Parts = inputs.Parts()
	return in
}

// collectedFormat is the format of outputs that a stage reads.
func collectedFormat(lease *pb.Lease, job *pb.JobContext) pb.Format {
	for _, ref := range lease.GetInputs() {
		if ref.GetKind() != pb.OutputKind_OUTPUT_KIND_BYTES {
			return pb.Format_FORMAT_ARROW
		}
	}
	if format := job.GetStage().GetInputFormat(); format != pb.Format_FORMAT_UNSPECIFIED {
		return format
	}
	return pb.Format_FORMAT_LINES
}

// classify says how an attempt ended that returned an error.
func (r *Runner) classify(ctx context.Context, err error, lease *pb.Lease, job *pb.JobContext) (pb.OutcomeClass, *pb.Failure) {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrTimeout):
		f := processor.Fail(pb.OutcomeClass_OUTCOME_CLASS_KILLED_TIME,
			"the batch ran longer than the %s that the job allows", lease.GetTimeout().AsDuration())
		return f.Class, withEvidence(f.Detail, err)
	case errors.Is(cause, ErrDrained):
		return pb.OutcomeClass_OUTCOME_CLASS_RETURNED, nil
	case cause != nil:
		return pb.OutcomeClass_OUTCOME_CLASS_CANCELLED, nil
	}
	var failure *processor.Failure
	if errors.As(err, &failure) {
		if failure.Class == pb.OutcomeClass_OUTCOME_CLASS_CANCELLED { // and nobody cancelled it: it would be leased for ever
			return pb.OutcomeClass_OUTCOME_CLASS_RETRYABLE, failure.Detail
		}
		return failure.Class, failure.Detail
	}
	if exchange.IsFull(err) {
		return r.full(err)
	}
	return pb.OutcomeClass_OUTCOME_CLASS_RETRYABLE, &pb.Failure{
		Message: fmt.Sprintf("stage %s: %v", job.GetStage().GetName(), err), ExitStatus: -1,
	}
}

// withEvidence keeps what a killed program had said.
func withEvidence(f *pb.Failure, err error) *pb.Failure {
	var said *processor.Failure
	if errors.As(err, &said) {
		f.Detail = said.Detail.GetDetail()
	}
	return f
}

// full is the failure of an attempt that had no room: another worker may have
// it, or this one when other jobs' outputs are gone.
func (r *Runner) full(err error) (pb.OutcomeClass, *pb.Failure) {
	class, disk := pb.OutcomeClass_OUTCOME_CLASS_RETRYABLE, "the disk of worker "+r.Worker
	if r.Alone {
		class, disk = pb.OutcomeClass_OUTCOME_CLASS_FATAL, "the disk"
	}
	message := fmt.Sprintf("%s is full: %v", disk, diskError(err))
	if spool := (*exchange.FullError)(nil); errors.As(err, &spool) {
		message = spool.Error()
		if spool.Others {
			class = pb.OutcomeClass_OUTCOME_CLASS_NO_ROOM
		}
	}
	return class, &pb.Failure{Message: message, ExitStatus: -1}
}

func diskError(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return fmt.Errorf("writing in %s: %w", filepath.Dir(at.Path), at.Err)
	}
	return err
}
