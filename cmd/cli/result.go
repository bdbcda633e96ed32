package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/api"
	"github.com/millrace/millrace/api/dataplane"
	pb "github.com/millrace/millrace/api/millracev1"
)

const resultLong = `Read the result of a job, as often as wanted for as long as it is kept: from the
workers that hold it, by Arrow Flight, or through the coordinator where they
can't be reached. It waits until the job is done. What was lost of it with its
worker is made again first, if its input is still there.

On a terminal records are a table; in a pipe they are CSV with a header, and
what a program writes is passed on as it is. A job that was submitted with a
format of its own (--output-format, or format under sink) has its result in that
one.`

func (a *app) resultCommand() *cobra.Command {
	var asked string
	var locations, quiet bool
	cmd := &cobra.Command{
		Use: "result ID", Short: "Read the result of a job", Long: resultLong,
		Example: `  millrace result k3x9a-7
  millrace result k3x9a-7 --output-format parquet >result.parquet
  millrace result k3x9a-7 --locations --json`,
		Args: exactlyOne("which job? Give its identifier; millrace list tells it"),
	}
	o := addClientFlags(cmd)
	cmd.Flags().StringVar(&asked, "output-format", "", "the result's `format`: "+strings.Join(outputFormats, ", "))
	cmd.Flags().BoolVar(&locations, "locations", false, "list the parts of the result, and where they are, and stop")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "no progress while the job is not done")
	complete(cmd, "output-format", outputFormats...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if asked != "" && !slices.Contains(outputFormats, asked) {
			return usage("--output-format %q is not one of %s", asked, strings.Join(outputFormats, ", "))
		}
		return a.with(cmd.Context(), o, func(l *link) error {
			if locations {
				return a.locations(cmd.Context(), l, args[0])
			}
			return a.result(cmd.Context(), l, args[0], asked, quiet)
		})
	}
	return cmd
}

// result reads a result and writes it. While the job is not done it shows how
// that goes, as `submit --wait` does.
func (a *app) result(ctx context.Context, l *link, id, asked string, quiet bool) error {
	job, err := l.Get(ctx, id)
	if err != nil {
		return l.told(ctx, err)
	}
	if !api.Ended(job.GetState()) {
		r := &remote{job: a.jobOnCluster(l, &runOptions{quiet: quiet}), link: l, ask: &submitOptions{}, once: !job.GetKept(), kept: job.GetKept()}
		r.form = outputForm{asked, terminalWidth(a.stdout) > 0}
		r.started = job.GetSubmitted().AsTime()
		return r.wait(ctx, id)
	}
	return a.printResult(ctx, l, job, asked)
}

func (a *app) printResult(ctx context.Context, l *link, job *pb.Job, asked string) error {
	result, err := l.result(ctx, job.GetId(), job.GetKept())
	if err != nil {
		return a.noResult(ctx, l, err)
	}
	defer result.Close()
	form, err := outputForm{asked, terminalWidth(a.stdout) > 0}.of(result.Header())
	if err != nil {
		return failed(err)
	}
	out := &output{to: a.stdout}
	if err := form.write(result, out); err != nil {
		switch {
		case isClosedPipe(out.err):
			return nil // whoever read has enough
		case out.err != nil:
			return failed(fmt.Errorf("write the result: %w", out.err))
		}
		return a.noResult(ctx, l, err)
	}
	return nil
}

// result opens the result of a job: the one that is kept wherever it is, the one
// that is not where it comes by.
func (l *link) result(ctx context.Context, id string, kept bool) (*api.Result, error) {
	if kept {
		return dataplane.Result(ctx, l.Client, l.workers, id)
	}
	return l.Client.Result(ctx, id)
}

// noResult tells why a result can't be read: of a job that failed, what it has
// to say of that.
func (a *app) noResult(ctx context.Context, l *link, err error) error {
	if e := api.AsError(err); e.Code == api.Failed && e.Failure != nil {
		tellFailure(a.stderr, e.Failure)
		return &failure{status: statusFailed}
	}
	return l.told(ctx, err)
}

// partJSON is a part of a result as JSON. The ticket is in base64.
type partJSON struct {
	Worker    string   `json:"worker"`
	Addresses []string `json:"addresses"`
	Kind      string   `json:"kind"`
	Records   int64    `json:"records"`
	Bytes     int64    `json:"bytes"`
	Ticket    []byte   `json:"ticket"`
}

func (a *app) locations(ctx context.Context, l *link, id string) error {
	_, parts, err := l.Locate(ctx, id)
	if err != nil {
		return a.noResult(ctx, l, err)
	}
	if a.json {
		list := make([]partJSON, len(parts))
		for i, p := range parts {
			list[i] = partJSON{p.GetWorker(), p.GetAddresses(), kindName(p.GetKind()), p.GetRecords(), p.GetBytes(), p.GetTicket()}
		}
		return a.printJSON(list)
	}
	return partTable(parts).write(a.stdout, terminalWidth(a.stdout))
}

func partTable(parts []*pb.ResultPart) *table {
	t := &table{columns: []column{
		{title: "PART", right: true}, {title: "WORKER"}, {title: "ADDRESSES", spare: 1}, {title: "KIND", spare: 2},
		{title: "RECORDS", right: true}, {title: "SIZE", right: true},
	}}
	for i, p := range parts {
		t.add(strconv.Itoa(i), orElse(p.GetWorker(), "coordinator"), strings.Join(p.GetAddresses(), ","), kindName(p.GetKind()),
			grouped(p.GetRecords()), size(p.GetBytes()))
	}
	return t
}

func kindName(kind pb.OutputKind) string { return enumWord(kind.String(), "OUTPUT_KIND_") }
