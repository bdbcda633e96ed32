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
	"github.com/millrace/millrace/worker"
	"github.com/millrace/millrace/worker/processor/function"
)

func (a *app) benchCommand() *cobra.Command {
	bench := &cobra.Command{
		Use: "bench", Short: "Measure what the machinery costs",
		Long: `Measure what the machinery costs, apart from the work that it is for.

What real work takes, beside DuckDB alone, GNU parallel and Go programs by hand,
is measured in a clone of the repository: go run ./scripts/bench`,
		Example: "  millrace bench leases\n  millrace bench leases --batches 1000000 --slots 4 --json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	leases := &cobra.Command{
		Use: "leases", Short: "Lease empty batches, as many as go in a second",
		Long: `Cut a job into batches in which there is nothing to do, lease them to a worker
in this process over the same protocol as in a cluster, and count them.`,
		Example: "  millrace bench leases --batches 1000000 --json",
		Args:    cobra.NoArgs,
	}
	batches := leases.Flags().Uint64("batches", 300_000, "lease this many batches")
	slots := leases.Flags().Int("slots", runtime.GOMAXPROCS(0), "run this many at once")
	leases.RunE = func(cmd *cobra.Command, _ []string) error {
		if *batches < 1 || *batches > api.MaxBatches {
			return usage("--batches is %d: 1 to %d", *batches, api.MaxBatches)
		}
		return a.benchLeases(cmd.Context(), *batches, *slots)
	}
	bench.AddCommand(leases)
	return bench
}

// nothing is a function for batches that are empty.
const nothing = "nothing"

// leaseFigures are what `bench leases` tells.
type leaseFigures struct {
	Leases  int64   `json:"leases"`
	Slots   int     `json:"slots"`
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"leases_per_s"`
	Memory  int64   `json:"peak_memory_bytes"`
}

func (a *app) benchLeases(ctx context.Context, batches uint64, slots int) error {
	functions, err := function.NewRegistry(worker.Batch(nothing,
		func(context.Context, *worker.Input[[]byte], func([]byte)) error { return nil }))
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
	figures, err := lease(ctx, cluster.Client, batches)
	if err != nil {
		return failed(err)
	}
	figures.Slots = slots
	return a.tellLeases(figures)
}

// lease runs a job of so many empty batches.
func lease(ctx context.Context, client *api.Client, batches uint64) (leaseFigures, error) {
	spec := &pb.JobSpec{
		Name:   "bench leases",
		Source: &pb.Source{Range: &pb.IntegerRange{To: int64(batches)}},
		Stages: []*pb.Stage{{Processor: &pb.Stage_Function{Function: nothing}}},
		Batch:  &pb.Batching{Batches: batches},
	}
	started := time.Now()
	submitted, err := client.Submit(ctx, spec, "")
	if err != nil {
		return leaseFigures{}, err
	}
	var last *pb.Job
	for job, err := range client.Watch(ctx, submitted.GetId()) {
		if err != nil {
			return leaseFigures{}, err
		}
		last = job
	}
	if last.GetState() != pb.JobState_JOB_STATE_DONE {
		return leaseFigures{}, fmt.Errorf("the job is %s: %s", stateName(last.GetState()), last.GetFailure().GetMessage())
	}
	seconds := time.Since(started).Seconds()
	done := last.GetStats().GetBatchesDone()
	own, _ := peakMemory()
	return leaseFigures{Leases: done, Seconds: seconds, Rate: math.Round(float64(done) / seconds), Memory: own}, nil
}

func (a *app) tellLeases(f leaseFigures) error {
	if a.json {
		return a.printJSON(f)
	}
	_, err := fmt.Fprintf(a.stdout, "%s in %.2f s with %s: %s leases/s, peak memory %s\n",
		count(f.Leases, "lease", "leases"), f.Seconds, count(int64(f.Slots), "slot", "slots"),
		grouped(int64(f.Rate)), size(f.Memory))
	return err
}
