package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

func (a *app) watchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "watch ID", Short: "Show how a job goes, until it has ended",
		Long: `Show how a job goes, and why it waits, until it has ended; then tell what
happened. The exit status is 0 when it is done, and 1 when it failed or was
cancelled. With --json each change is an object on a line of standard output. An
interrupt ends the watching, not the job.`,
		Example: "  millrace watch k3x9a-7\n  millrace watch --json k3x9a-7 | jq .positions_done",
		Args:    exactlyOne("which job? Give its identifier; millrace list tells it"),
	}
	client := addClientFlags(cmd)
	o := &submitOptions{}
	cmd.Flags().BoolVarP(&o.run.quiet, "quiet", "q", false, "no progress and no summary")
	cmd.Flags().StringVar(&o.run.stats, "stats", "", "write what happened to this `file`, as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.with(cmd.Context(), client, func(l *link) error { return a.watch(cmd.Context(), l, args[0], o) })
	}
	return cmd
}

func (a *app) watch(ctx context.Context, l *link, id string, o *submitOptions) error {
	job, err := l.Get(ctx, id)
	if err != nil {
		return l.told(ctx, err)
	}
	r := &remote{job: a.jobOnCluster(l, &o.run), link: l, ask: o}
	r.started = job.GetSubmitted().AsTime()
	if a.json {
		return r.watchAsJSON(ctx, id)
	}
	return r.wait(ctx, id)
}

// jobOnCluster is a job that was submitted before, and whose spec is not known
// here: nothing of it comes here but news.
func (a *app) jobOnCluster(l *link, o *runOptions) *job {
	return &job{app: a, spec: &pb.JobSpec{}, options: o, out: &output{to: a.stdout}, client: l.Client}
}

// watchAsJSON prints every change of a job, and ends as the job did.
func (r *remote) watchAsJSON(ctx context.Context, id string) error {
	for job, err := range r.client.Watch(ctx, id) {
		if err != nil {
			return r.link.told(ctx, err)
		}
		v := viewJob(job)
		if job.GetStats().GetBatchesRunning() == 0 {
			v.Waiting = r.link.waits(ctx, job)
		}
		if err := r.app.printLine(v); err != nil {
			return failed(err)
		}
		if api.Ended(job.GetState()) && job.GetState() != pb.JobState_JOB_STATE_DONE {
			return &failure{status: statusFailed}
		}
	}
	return nil
}
