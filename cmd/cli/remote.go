package cli

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

// askAgainAfter is how long a job may seem to do nothing before its reasons for
// waiting are asked for, and how often they are asked for then.
const askAgainAfter = time.Second

// remote is a job of a cluster that somebody waits for.
type remote struct {
	*job
	link *link
	ask  *submitOptions
	once bool // the result is not kept, and so read while the job runs
	kept bool // the result is read once the job is done
}

// submit submits the job, and waits for it where that was asked for.
func (r *remote) submit(ctx context.Context) error {
	r.started = time.Now()
	job, err := r.send(ctx)
	if err != nil {
		return r.link.told(ctx, err)
	}
	if !r.ask.wait && !r.options.explain {
		return r.app.tellSubmitted(job)
	}
	r.once = r.streams() && r.ask.keep != nil && *r.ask.keep == 0
	r.kept = r.streams() && !r.once
	return r.wait(ctx, job.GetId())
}

func (r *remote) send(ctx context.Context) (*pb.Job, error) {
	if r.options.explain {
		return r.client.Plan(ctx, r.spec, r.ask.options()...)
	}
	return r.client.Submit(ctx, r.spec, r.ask.key, r.ask.options()...)
}

// wait follows a job to its end, passes its result on, and tells how it ended. A
// signal ends the waiting, or the job where that was asked for.
func (r *remote) wait(ctx context.Context, id string) error {
	alive, leave := context.WithCancelCause(context.Background())
	defer leave(nil)
	r.alive = alive
	r.progress = newProgress(r.app.stderr, !r.options.quiet && !r.options.explain)
	defer r.progress.stop()
	stop := context.AfterFunc(ctx, func() {
		if !r.ask.cancel {
			leave(context.Cause(ctx))
			return
		}
		r.progress.cancelling()
		r.cancel(id, context.Cause(ctx).Error())
	})
	defer stop()

	watched := make(chan watchedJob, 1)
	go func() { watched <- r.watchAndTell(id) }()
	var broken error
	if r.once {
		broken = r.pass(id)
	}
	if r.out.err != nil {
		r.cancel(id, "the result could not be written")
	}
	last := <-watched
	if last.err != nil {
		r.progress.stop()
		return r.gone(alive, id, last.err)
	}
	if r.kept && last.job.GetState() == pb.JobState_JOB_STATE_DONE {
		broken = r.pass(id)
	}
	r.progress.stop()
	if alive.Err() != nil {
		return r.gone(alive, id, broken)
	}
	return r.ended(ctx, last.job, broken)
}

// gone is the end of waiting before that of the job.
func (r *remote) gone(alive context.Context, id string, err error) error {
	status, ok := isInterrupted(alive)
	if !ok {
		return r.link.told(context.Background(), err)
	}
	fmt.Fprintf(r.app.stderr, "millrace: no longer waiting for job %s, which goes on; millrace watch %s, or cancel %s\n", id, id, id)
	return &failure{status: status}
}

// pass reads the result, a kept one from the workers or through the coordinator,
// and writes it.
func (r *remote) pass(id string) error {
	result, err := r.link.result(r.alive, id, r.kept)
	if err != nil {
		return err
	}
	defer result.Close()
	r.out.before = r.progress.stop
	form, err := r.form.of(result.Header())
	if err != nil {
		return err
	}
	return form.write(result, r.out)
}

// watchAndTell follows a job, and tells why it waits while nothing of it runs.
func (r *remote) watchAndTell(id string) watchedJob {
	w := &waiting{of: r, id: id, idle: make(chan bool, 1)}
	ctx, end := context.WithCancel(r.alive)
	defer end()
	if !r.options.quiet {
		go w.tell(ctx)
	}
	var last watchedJob
	for job, err := range r.client.Watch(r.alive, id) {
		if err != nil {
			return watchedJob{last.job, cmp.Or(context.Cause(r.alive), err)}
		}
		last.job = job
		r.progress.update(job)
		w.hear(job)
	}
	return last
}

// waiting asks why a job waits.
type waiting struct {
	of   *remote
	id   string
	idle chan bool // the latest news: whether nothing of the job runs
}

// hear takes the news of a job.
func (w *waiting) hear(job *pb.Job) {
	select {
	case <-w.idle:
	default:
	}
	w.idle <- job.GetStats().GetBatchesRunning() == 0 && !api.Ended(job.GetState())
}

// tell tells a job's reasons whenever nothing of it runs for a while, and when
// they change.
func (w *waiting) tell(ctx context.Context) {
	timer := time.NewTimer(askAgainAfter)
	defer timer.Stop()
	idle, said := true, ""
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-w.idle:
			if now != idle {
				idle = now
				timer.Reset(askAgainAfter)
			}
			if !idle {
				said = w.say("", said)
			}
		case <-timer.C:
			if idle {
				said = w.say(w.reasons(ctx), said)
			}
			timer.Reset(askAgainAfter)
		}
	}
}

func (w *waiting) reasons(ctx context.Context) string {
	told, err := w.of.client.Explain(ctx, w.id)
	if err != nil {
		return ""
	}
	reasons := make([]string, len(told.GetWaiting()))
	for i, reason := range told.GetWaiting() {
		reasons[i] = strings.TrimSuffix(reason, ".")
	}
	return strings.Join(reasons, "; ")
}

// say shows reasons, in the bar or else as a line when they are new ones.
func (w *waiting) say(reasons, before string) string {
	w.of.progress.waits(reasons)
	if reasons != "" && untimed(reasons) != untimed(before) && !w.of.progress.shows() {
		fmt.Fprintf(w.of.app.stderr, "millrace: job %s waits: %s\n", w.id, plain(reasons))
	}
	return reasons
}

// durations are times that go by while a job waits.
var durations = regexp.MustCompile(`\b([\d.]+(h|m|s|ms|µs|ns))+\b`)

// untimed is a text without its durations.
func untimed(text string) string { return durations.ReplaceAllString(text, "") }

// of is the form in which a result is written that is as its header says.
func (f outputForm) of(header *pb.ResultHeader) (outputForm, error) {
	made := header.GetFormat()
	switch {
	case made == pb.Format_FORMAT_ARROW && f.format == "" && f.terminal:
		f.format = formatTable
	case made == pb.Format_FORMAT_ARROW && f.format == "":
		f.format = "csv"
	case made == pb.Format_FORMAT_ARROW, f.format == "":
	case f.format == formatTable && made == pb.Format_FORMAT_CSV:
		f.format = "csv" // its columns' widths are not known
	case f.format != api.ShortName(made):
		return f, fmt.Errorf("the result is %s, as its job made it, and can't be written as %s: leave --output-format out",
			orElse(api.ShortName(made), "bytes"), f.format)
	}
	if f.format == "" && made == pb.Format_FORMAT_CSV {
		f.format = "csv" // with its header
	}
	return f, nil
}
