package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

func (a *app) listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the jobs, newest first", Aliases: []string{"ls", "jobs"},
		Example: "  millrace list\n  millrace list --json | jq -r '.[] | select(.state == \"running\").id'",
		Args:    cobra.NoArgs,
	}
	o := addClientFlags(cmd)
	limit := cmd.Flags().IntP("limit", "n", 100, "list at most `N` of them, up to 1000")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *limit < 1 || *limit > 1000 {
			return usage("--limit is %d: 1 to 1000", *limit)
		}
		return a.with(cmd.Context(), o, func(l *link) error {
			jobs, err := l.List(cmd.Context(), *limit)
			if err != nil {
				return l.told(cmd.Context(), err)
			}
			return a.tellJobs(jobs, time.Now())
		})
	}
	return cmd
}

func (a *app) tellJobs(jobs []*pb.Job, now time.Time) error {
	if a.json {
		list := make([]jobJSON, len(jobs))
		for i, job := range jobs {
			list[i] = viewJob(job)
		}
		return a.printJSON(list)
	}
	return jobTable(jobs, now).write(a.stdout, terminalWidth(a.stdout))
}

func jobTable(jobs []*pb.Job, now time.Time) *table {
	t := &table{columns: []column{
		{title: "ID"}, {title: "NAME", spare: 2}, {title: "USER", spare: 6}, {title: "STATE"}, {title: "DONE", right: true},
		{title: "BATCHES", spare: 4, right: true}, {title: "RECORDS", spare: 5, right: true},
		{title: "RETRIES", spare: 7, right: true}, {title: "TIME", spare: 3, right: true}, {title: "SUBMITTED", spare: 8},
	}}
	for _, job := range jobs {
		stats := job.GetStats()
		t.add(job.GetId(), job.GetName(), job.GetUser(), stateWord(job), percent(stats),
			grouped(stats.GetBatchesDone()), grouped(stats.GetCounters().GetRecordsIn()), grouped(stats.GetRetries()),
			rounded(stats.GetElapsed().AsDuration()), ago(job.GetSubmitted().AsTime(), now))
	}
	return t
}

// stateWord is a job's state for people.
func stateWord(job *pb.Job) string {
	if job.GetPaused() && !api.Ended(job.GetState()) {
		return "paused"
	}
	return stateName(job.GetState())
}

func percent(stats *pb.JobStats) string {
	if stats.GetPositionsTotal() == 0 {
		return "-"
	}
	return fmt.Sprintf("%d%%", 100*stats.GetPositionsDone()/stats.GetPositionsTotal())
}

// ago is how long ago something was, in its largest unit.
func ago(at, now time.Time) string {
	d := max(now.Sub(at), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", d/time.Minute)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh ago", d/time.Hour)
	}
	return fmt.Sprintf("%dd ago", d/(24*time.Hour))
}

// jobCommand makes a command that does something to jobs by their identifiers.
func (a *app) jobCommand(use, short, long, example string, do func(context.Context, *link, string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: use + " ID…", Short: short, Long: long, Example: example, Args: oneOrMore("which jobs?" + listsJobs),
	}
	o := addClientFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, ids []string) error {
		return a.with(cmd.Context(), o, func(l *link) error { return eachJob(cmd.Context(), l, ids, do) })
	}
	return cmd
}

// listsJobs says where identifiers come from.
const listsJobs = " Give their identifiers; millrace list tells them"

// exactlyOne wants one argument, and asks for it.
func exactlyOne(question string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return usage("%s\nSee: %s --help", question, cmd.CommandPath())
		case 1:
			return nil
		}
		return usage("%s takes one, and not %s\nSee: %s --help", cmd.Name(), strings.Join(args, " "), cmd.CommandPath())
	}
}

// oneOrMore wants at least one argument, and asks for it.
func oneOrMore(question string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usage("%s\nSee: %s --help", question, cmd.CommandPath())
		}
		return nil
	}
}

// eachJob does it to each job. One that fails does not keep it from the others.
func eachJob(ctx context.Context, l *link, ids []string, do func(context.Context, *link, string) error) error {
	var faults []error
	status := statusDone
	for _, id := range ids {
		if err := do(ctx, l, id); err != nil {
			told := l.told(ctx, err)
			var f *failure
			if errors.As(told, &f) {
				status = max(status, f.status)
			}
			faults = append(faults, told)
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return &failure{max(status, statusFailed), errors.Join(faults...)}
}

func (a *app) cancelCommand() *cobra.Command {
	var why string
	cmd := a.jobCommand("cancel", "End jobs; nothing of their sinks is committed",
		"End jobs before they are done. What runs of them is stopped, and nothing of\ntheir sinks is committed.",
		"  millrace cancel k3x9a-7 --reason 'wrong input'",
		func(ctx context.Context, l *link, id string) error {
			job, err := l.Cancel(ctx, id, why)
			return a.tellChanged(job, err)
		})
	cmd.Flags().StringVar(&why, "reason", "", "say why, in a `sentence`")
	return cmd
}

func (a *app) pauseCommand() *cobra.Command {
	return a.jobCommand("pause", "Give jobs no new leases; what runs finishes",
		"Give jobs no new leases, until they are resumed. What runs of them finishes.",
		"  millrace pause k3x9a-7",
		func(ctx context.Context, l *link, id string) error {
			job, err := l.Pause(ctx, id)
			return a.tellChanged(job, err)
		})
}

func (a *app) resumeCommand() *cobra.Command {
	return a.jobCommand("resume", "Let paused jobs go on", "Let paused jobs go on.", "  millrace resume k3x9a-7",
		func(ctx context.Context, l *link, id string) error {
			job, err := l.Resume(ctx, id)
			return a.tellChanged(job, err)
		})
}

func (a *app) removeCommand() *cobra.Command {
	return a.jobCommand("rm", "Forget jobs that have ended, and their results",
		"Forget jobs that have ended, and the results that are kept of them. Files that\nthey wrote stay.",
		"  millrace rm k3x9a-7\n  millrace list --json | jq -r '.[] | select(.state == \"failed\").id' |\n    xargs millrace rm",
		func(ctx context.Context, l *link, id string) error {
			if err := l.Remove(ctx, id); err != nil {
				return err
			}
			if a.json {
				return a.printLine(map[string]any{"id": id, "removed": true})
			}
			return a.print("%s removed\n", id)
		})
}

// tellChanged tells how a job is after something was done to it.
func (a *app) tellChanged(job *pb.Job, err error) error {
	switch {
	case err != nil:
		return err
	case a.json:
		return a.printLine(viewJob(job))
	}
	return a.print("%s %s\n", job.GetId(), stateWord(job))
}

func (a *app) getCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "get ID", Short: "Tell how a job is",
		Long: `Tell how a job is: its state, its figures, why it waits or failed. Batches that
were done and had to run again, since their outputs were lost with their worker,
are counted apart.`,
		Example: "  millrace get k3x9a-7\n  millrace get --json k3x9a-7 | jq .batches_rerun",
		Args:    exactlyOne("which job? Give its identifier; millrace list tells it"),
	}
	o := addClientFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.with(cmd.Context(), o, func(l *link) error {
			job, err := l.Get(cmd.Context(), args[0])
			if err != nil {
				return l.told(cmd.Context(), err)
			}
			return a.tellJob(job, l.waits(cmd.Context(), job))
		})
	}
	return cmd
}

// waits is why a job waits, as far as that can be told.
func (l *link) waits(ctx context.Context, job *pb.Job) []string {
	if api.Ended(job.GetState()) {
		return nil
	}
	told, err := l.Explain(ctx, job.GetId())
	if err != nil {
		return nil
	}
	return told.GetWaiting()
}

// tellJob tells of one job.
func (a *app) tellJob(job *pb.Job, waiting []string) error {
	if a.json {
		v := viewJob(job)
		v.Waiting = waiting
		return a.printJSON(v)
	}
	if err := a.print("%s", jobText(job, waiting)); err != nil {
		return err
	}
	if job.GetState() == pb.JobState_JOB_STATE_FAILED {
		tellFailure(a.stderr, job.GetFailure())
	}
	tellSkipped(a.stderr, job.GetStats())
	return nil
}

// jobText is a job for people: a line for each figure that says something.
func jobText(job *pb.Job, waiting []string) string {
	stats := job.GetStats()
	counters := stats.GetCounters()
	var b strings.Builder
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-10s%s\n", name, plain(text))
		}
	}
	line("job", job.GetId())
	line("name", job.GetName())
	line("user", job.GetUser())
	line("state", stateWord(job))
	for _, reason := range waiting {
		line("waits", reason)
	}
	line("submitted", job.GetSubmitted().AsTime().Local().Format(time.DateTime))
	if job.GetEnded() != nil {
		line("ended", job.GetEnded().AsTime().Local().Format(time.DateTime))
	}
	line("time", timeLine(stats))
	if stats.GetPositionsTotal() > 0 {
		line("input", fmt.Sprintf("%s of it done: %s, %s", percent(stats), count(counters.GetRecordsIn(), "record", "records"), size(counters.GetBytesIn())))
		line("batches", batchLine(stats))
	}
	if stats.GetBatchesDone() > 0 {
		line("speed", fmt.Sprintf("%s records/s a batch, batch size %s, delay time %s", short(stats.GetRecordsPerSecond()),
			count(int64(stats.GetBatchRecords()), "record", "records"), rounded(stats.GetDelayTime().AsDuration())))
		line("output", fmt.Sprintf("%s, %s", count(counters.GetRecordsOut(), "record", "records"), size(counters.GetBytesOut())))
	}
	line("result", keptLine(job))
	for _, note := range job.GetNotes() {
		line("note", note)
	}
	return b.String()
}

func timeLine(stats *pb.JobStats) string {
	text := rounded(stats.GetElapsed().AsDuration())
	if left := stats.GetRemaining(); left != nil {
		text += ", " + left.AsDuration().Round(time.Second).String() + " left"
	}
	return text
}

// batchLine counts batches, and apart from them those that ran again.
func batchLine(stats *pb.JobStats) string {
	text := grouped(stats.GetBatchesDone()) + " done"
	for _, more := range []struct {
		n    int64
		what string
	}{
		{stats.GetBatchesRunning(), "running"}, {stats.GetRetries(), "tried again"},
		{stats.GetBatchesRerun(), "run again, since their outputs were lost"}, {stats.GetWasted(), "thrown away"},
	} {
		if more.n > 0 {
			text += ", " + grouped(more.n) + " " + more.what
		}
	}
	return text
}

// keptLine says where a result is, and how long it stays.
func keptLine(job *pb.Job) string {
	if !job.GetKept() || job.GetState() != pb.JobState_JOB_STATE_DONE {
		return ""
	}
	text := "kept"
	if job.GetExpires() != nil {
		text += " until " + job.GetExpires().AsTime().Local().Format(time.DateTime)
	}
	if n := job.GetResultBytes(); n > 0 {
		text += ", " + size(n) + " with workers"
	}
	return text
}
