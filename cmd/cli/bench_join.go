package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/api"
)

const joinLong = `Submit a job of one batch to a coordinator without workers, start a worker,
and tell how long it takes from the start of its process until the batch runs.
In this time the worker joins by gossip, attaches, makes the plan (its first
lease), and gets the batch (its second).`

// joinFigures are what `bench join` tells, in milliseconds.
type joinFigures struct {
	Rounds  int     `json:"rounds"`
	Middle  float64 `json:"p50_ms"`
	Highest float64 `json:"max_ms"`
}

func (a *app) benchJoinCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "join", Short: "How long a new worker takes until it runs its first batch",
		Long: joinLong, Example: "  millrace bench join --rounds 20", Args: cobra.NoArgs,
	}
	rounds := cmd.Flags().Int("rounds", 10, "start so many workers, one after the other")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *rounds < 1 {
			return usage("--rounds is %d: at least 1", *rounds)
		}
		figures, err := a.benchJoin(cmd.Context(), *rounds)
		if err != nil {
			return failed(err)
		}
		if a.json {
			return a.printJSON(figures)
		}
		return a.print("from the start of a worker's process until its first batch runs: %.0f ms (p50), %.0f ms at most\n",
			figures.Middle, figures.Highest)
	}
	return cmd
}

func (a *app) benchJoin(ctx context.Context, rounds int) (f joinFigures, err error) {
	processes, err := a.newBenchProcesses()
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, processes.stop()) }()
	_, told, err := processes.start("coordinator")
	if err != nil {
		return f, err
	}
	client, err := api.Dial(told.Address)
	if err != nil {
		return f, err
	}
	defer client.Close()
	waits := make([]float64, rounds)
	for i := range waits {
		wait, err := a.joins(ctx, client, told.Gossip, fmt.Sprintf("new-%d", i))
		if err != nil {
			return f, err
		}
		waits[i] = math.Round(10*wait.Seconds()*1000) / 10
	}
	slices.Sort(waits)
	return joinFigures{Rounds: rounds, Middle: waits[rounds/2], Highest: waits[rounds-1]}, nil
}

// joins starts a worker for a job that waits for one, and tells how long the
// job's batch took to run.
func (a *app) joins(ctx context.Context, client *api.Client, gossip, name string) (wait time.Duration, err error) {
	job, err := client.Submit(ctx, startedJob(), "", api.ReadOnce())
	if err != nil {
		return 0, err
	}
	processes, err := a.newBenchProcesses()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, processes.stop()) }()
	began := time.Now()
	if _, _, err := processes.start("worker", "--join", gossip, "--name", name); err != nil {
		return 0, err
	}
	ran, err := whenStarted(ctx, client, job.GetId())
	return ran.Sub(began), err
}
