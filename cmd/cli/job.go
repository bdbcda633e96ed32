package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

// job is one run of one job.
type job struct {
	app      *app
	spec     *pb.JobSpec
	options  *runOptions
	unnamed  bool // a query reads standard input, which has no name to tell its format by
	form     outputForm
	out      *output
	progress *progress
	client   *api.Client
	alive    context.Context // ends with what runs the job
	started  time.Time       // when it was submitted
}

// follow submits the job, passes its result on, and tells how it ended. A signal
// cancels the job, and what happens then is followed as well.
func (r *job) follow(ctx context.Context) error {
	r.started = time.Now()
	submitted, err := r.submit(ctx)
	if err != nil {
		return r.refused(ctx, err)
	}
	id := submitted.GetId()
	stop := context.AfterFunc(ctx, func() {
		r.progress.cancelling()
		r.cancel(id, context.Cause(ctx).Error())
	})
	defer stop()

	watched := make(chan watchedJob, 1)
	go func() { watched <- r.watch(id) }()
	var broken error
	if r.streams() {
		broken = r.pass(id)
	}
	if r.out.err != nil {
		r.cancel(id, "the result could not be written")
	}
	last := <-watched
	r.progress.stop()
	if last.err != nil {
		return failed(cmp.Or(context.Cause(r.alive), last.err))
	}
	return r.ended(ctx, last.job, broken)
}

func (r *job) submit(ctx context.Context) (*pb.Job, error) {
	if r.options.explain {
		return r.client.Plan(ctx, r.spec)
	}
	return r.client.Submit(ctx, r.spec, "", api.ReadOnce())
}

// streams says whether the result comes here.
func (r *job) streams() bool { return r.spec.GetSink().GetFiles() == nil && !r.options.explain }

// refused is the error of a job that was not taken.
func (r *job) refused(ctx context.Context, err error) error {
	if status, ok := isInterrupted(ctx); ok {
		return &failure{status, context.Cause(ctx)}
	}
	if api.CodeOf(err) == api.Invalid {
		return &failure{statusUsage, err}
	}
	return failed(err)
}

// cancel asks for the job's end. Nobody waits for the answer: the watch tells. A
// job that has ended meanwhile is no harm.
func (r *job) cancel(id, why string) {
	_, err := r.client.Cancel(r.alive, id, why)
	if err != nil && api.CodeOf(err) != api.Conflict {
		fmt.Fprintf(r.progress, "millrace: cancel the job: %v\n", err)
	}
}

// watchedJob is how a job ended, or why that is not known.
type watchedJob struct {
	job *pb.Job
	err error
}

func (r *job) watch(id string) watchedJob {
	var last watchedJob
	for job, err := range r.client.Watch(r.alive, id) {
		if err != nil {
			return watchedJob{last.job, err}
		}
		last.job = job
		r.progress.update(job)
	}
	return last
}

// pass reads the result and writes it. What ends a job ends its result too, and
// is told by the job.
func (r *job) pass(id string) error {
	result, err := r.client.Result(r.alive, id)
	if err != nil {
		return err
	}
	defer result.Close()
	r.out.before = r.progress.stop
	return r.form.write(result, r.out)
}

// cancelled says that a job was cancelled, and what for, as its notes have it.
func cancelled(notes []string) string {
	for _, note := range notes {
		if strings.HasPrefix(note, "cancelled") {
			return "the job was " + note
		}
	}
	return "the job was cancelled"
}

// isClosedPipe says that whoever reads our output has gone away.
func isClosedPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }

// ended tells how the job ended, and what to exit with.
func (r *job) ended(ctx context.Context, last *pb.Job, broken error) error {
	switch {
	case isClosedPipe(r.out.err):
		return nil // whoever read has enough
	case r.options.explain && last.GetState() == pb.JobState_JOB_STATE_DONE:
		return r.explain(last)
	}
	told := r.tell(last)
	switch {
	case r.out.err != nil:
		return failed(fmt.Errorf("write the result: %w", r.out.err))
	case last.GetState() == pb.JobState_JOB_STATE_CANCELLED:
		if status, ok := isInterrupted(ctx); ok {
			return &failure{status, context.Cause(ctx)}
		}
		return failed(errors.New(cancelled(last.GetNotes())))
	case last.GetState() == pb.JobState_JOB_STATE_FAILED:
		return &failure{status: statusFailed}
	case broken != nil:
		return failed(fmt.Errorf("read the result: %w", broken))
	case told != nil:
		return failed(told)
	}
	return nil
}
