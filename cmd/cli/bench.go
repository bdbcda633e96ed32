package cli

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/cmd/cli/embedded"
)

// leaseOptions are the flags of `bench leases`.
type leaseOptions struct {
	batches  uint64
	slots    int
	rounds   int
	embedded bool
}

const leasesLong = `Lease empty batches, and count how many are leased, run and acknowledged in a
second: by a coordinator and two workers, which are three processes here, over
the loopback network. Nothing is done in a batch, so this is what the machinery
costs.

leases_per_s      batches of one job, from its submission until it is done
bare_stream_per_s the same with nothing behind it: three processes again, and
                  over bare gRPC streams the same messages, as many of them
                  under way, and what gathers while one is written in the next
ratio             the first by the second, of each round
one_credit_per_s  batches of a job of which one may be leased at a time, by one
                  of the workers: each waits for the outcome of the one before
p50_us, p99_us    with all idle: microseconds from the submission of a job of
                  one batch until that batch runs in a worker, and so with its
                  planning lease, which comes first. Median and 99th percentile
                  of 500 jobs, one after the other

Both kinds of processes are warmed up by some thousands of leases that are not
counted. Figures are medians of the rounds, in which all are measured in turn.
With --embedded coordinator and worker are in this process, as in millrace run,
and there is only the first.`

func (a *app) benchCommand() *cobra.Command {
	bench := &cobra.Command{
		Use: "bench", Short: "Measure what the machinery costs",
		Long: `Measure what the machinery costs, apart from the work that it is for.

What real work takes, beside DuckDB alone, GNU parallel and Go programs by hand,
and what a fleet does under faults, is measured in a clone of the repository:
go run ./scripts/bench`,
		Example: "  millrace bench leases\n  millrace bench leases --batches 1000000 --slots 4 --json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	leases := &cobra.Command{
		Use: "leases", Short: "Lease empty batches, as many as go in a second",
		Long:    leasesLong,
		Example: "  millrace bench leases --json\n  millrace bench leases --embedded --batches 1000000",
		Args:    cobra.NoArgs,
	}
	o, flags := &leaseOptions{}, leases.Flags()
	flags.Uint64Var(&o.batches, "batches", 300_000, "lease this many batches in a round")
	flags.IntVar(&o.slots, "slots", runtime.GOMAXPROCS(0), "run this many at once, in all workers together")
	flags.IntVar(&o.rounds, "rounds", 3, "measure so many times")
	flags.BoolVar(&o.embedded, "embedded", false, "coordinator and worker in this process")
	leases.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := o.check(); err != nil {
			return err
		}
		if o.embedded {
			return a.benchEmbedded(cmd.Context(), o.batches, o.slots)
		}
		return a.benchProcesses(cmd.Context(), o)
	}
	bench.AddCommand(leases, a.benchSessionsCommand(), a.benchJoinCommand(), a.benchProcessCommand())
	return bench
}

func (o *leaseOptions) check() error {
	switch {
	case o.batches < 1 || o.batches > api.MaxBatches:
		return usage("--batches is %d: 1 to %d", o.batches, api.MaxBatches)
	case o.slots < 1:
		return usage("--slots is %d: at least 1", o.slots)
	case o.rounds < 1:
		return usage("--rounds is %d: at least 1", o.rounds)
	}
	return nil
}

// leaseFigures are what `bench leases --embedded` tells.
type leaseFigures struct {
	Leases  int64   `json:"leases"`
	Slots   int     `json:"slots"`
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"leases_per_s"`
	Memory  int64   `json:"peak_memory_bytes"`
}

// benchEmbedded leases the batches within this process.
func (a *app) benchEmbedded(ctx context.Context, batches uint64, slots int) error {
	functions, err := benchFunctions()
	if err != nil {
		return failed(err)
	}
	folder, err := embedded.MakeFolder("")
	if err != nil {
		return failed(err)
	}
	defer folder.Remove()
	cluster, err := embedded.Start(embedded.Config{
		Slots: slots, MemoryBytes: embedded.DefaultMemory(), Folder: folder.Path,
		Functions: functions, Version: version().Version, Logger: a.logger(a.stderr),
	})
	if err != nil {
		return failed(err)
	}
	defer cluster.Close()
	done, seconds, err := lease(ctx, cluster.Client, emptyBatches(batches))
	if err != nil {
		return failed(err)
	}
	own, _ := peakMemory()
	return a.tellEmbedded(leaseFigures{
		Leases: done, Slots: slots, Seconds: seconds, Rate: math.Round(float64(done) / seconds), Memory: own,
	})
}

// emptyBatches is a job in whose batches there is nothing to do.
func emptyBatches(batches uint64) *pb.JobSpec {
	return &pb.JobSpec{
		Name:   "bench leases",
		Source: &pb.Source{Range: &pb.IntegerRange{To: int64(batches)}},
		Stages: []*pb.Stage{{Processor: &pb.Stage_Function{Function: nothing}}},
		Batch:  &pb.Batching{Batches: batches},
	}
}

// lease runs a job, and tells how many of its batches were done in how many
// seconds.
func lease(ctx context.Context, client *api.Client, spec *pb.JobSpec) (int64, float64, error) {
	started := time.Now()
	submitted, err := client.Submit(ctx, spec, "", api.ReadOnce())
	if err != nil {
		return 0, 0, err
	}
	var last *pb.Job
	for job, err := range client.Watch(ctx, submitted.GetId()) {
		if err != nil {
			return 0, 0, err
		}
		last = job
	}
	if last.GetState() != pb.JobState_JOB_STATE_DONE {
		return 0, 0, fmt.Errorf("the job is %s: %s", stateName(last.GetState()), last.GetFailure().GetMessage())
	}
	return last.GetStats().GetBatchesDone(), time.Since(started).Seconds(), nil
}

func (a *app) tellEmbedded(f leaseFigures) error {
	if a.json {
		return a.printJSON(f)
	}
	_, err := fmt.Fprintf(a.stdout, "%s in %.2f s with %s: %s leases/s, peak memory %s\n",
		count(f.Leases, "lease", "leases"), f.Seconds, count(int64(f.Slots), "slot", "slots"),
		grouped(int64(f.Rate)), size(f.Memory))
	return err
}
