package cli

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

// What is measured in a round, beside the batches that were asked for.
const (
	benchWorkers   = 2
	warmBatches    = 20_000 // before any are counted
	warmJobs       = 50
	idleJobs       = 500 // one batch each, one after the other
	maxOneByOne    = 100_000
	oneByOneShare  = 10 // of the batches, one at a time
	benchSecondsUs = 1e6
)

// fleetFigures are what `bench leases` tells.
type fleetFigures struct {
	Leases  int64   `json:"leases"`
	Slots   int     `json:"slots"`
	Rounds  int     `json:"rounds"`
	Rate    float64 `json:"leases_per_s"`
	Bare    float64 `json:"bare_stream_per_s"`
	Ratio   float64 `json:"ratio"`
	One     float64 `json:"one_credit_per_s"`
	Middle  float64 `json:"p50_us"`
	Highest float64 `json:"p99_us"`
	Memory  int64   `json:"coordinator_peak_memory_bytes"`
}

// benchProcesses measures round after round, all in turn.
func (a *app) benchProcesses(ctx context.Context, o *leaseOptions) error {
	rounds := make([]fleetFigures, o.rounds)
	for i := range rounds {
		if err := a.benchRound(ctx, o, &rounds[i]); err != nil {
			return failed(err)
		}
	}
	middle := func(of func(f fleetFigures) float64) float64 {
		all := make([]float64, len(rounds))
		for i := range rounds {
			all[i] = of(rounds[i])
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	f := fleetFigures{
		Leases: int64(o.batches), Slots: o.slots, Rounds: o.rounds,
		Rate:    math.Round(middle(func(f fleetFigures) float64 { return f.Rate })),
		Bare:    math.Round(middle(func(f fleetFigures) float64 { return f.Bare })),
		Ratio:   math.Round(1000*middle(func(f fleetFigures) float64 { return f.Rate / f.Bare })) / 1000,
		One:     math.Round(middle(func(f fleetFigures) float64 { return f.One })),
		Middle:  math.Round(middle(func(f fleetFigures) float64 { return f.Middle })),
		Highest: math.Round(middle(func(f fleetFigures) float64 { return f.Highest })),
		Memory:  int64(middle(func(f fleetFigures) float64 { return float64(f.Memory) })),
	}
	return a.tellFleet(f)
}

func (a *app) benchRound(ctx context.Context, o *leaseOptions, f *fleetFigures) error {
	if err := a.benchBare(ctx, o, f); err != nil {
		return fmt.Errorf("bare streams: %w", err)
	}
	processes, err := a.newBenchProcesses()
	if err != nil {
		return err
	}
	defer processes.stop() // what follows stops them, too, and looks at the error
	boss, told, err := processes.start("coordinator")
	if err != nil {
		return err
	}
	for i, slots := range shares(o.slots, benchWorkers) {
		if _, _, err := processes.start("worker", "--join", told.Gossip, "--slots", strconv.Itoa(slots), "--name", benchName(i+1)); err != nil {
			return err
		}
	}
	if err := benchJobs(ctx, told.Address, o, f); err != nil {
		return err
	}
	f.Memory = peakOfStatus(fmt.Sprintf("/proc/%d/status", boss.cmd.Process.Pid))
	return processes.stop()
}

// benchLabel is the label that holds a worker's name, for jobs of one worker.
const benchLabel = "name"

func benchName(i int) string { return fmt.Sprintf("bench-%d", i) }

// shares divides slots among workers; each has one at least.
func shares(slots, workers int) []int {
	all := make([]int, workers)
	for i := range all {
		all[i] = max(1, (slots+workers-1-i)/workers)
	}
	return all
}

// benchBare has bare streams carry as many leases.
func (a *app) benchBare(ctx context.Context, o *leaseOptions, f *fleetFigures) error {
	processes, err := a.newBenchProcesses()
	if err != nil {
		return err
	}
	defer processes.stop()
	boss, told, err := processes.start("bare-coordinator",
		"--leases", strconv.FormatUint(o.batches, 10), "--workers", strconv.Itoa(benchWorkers))
	if err != nil {
		return err
	}
	for range benchWorkers {
		if _, _, err := processes.start("bare-worker", "--join", told.Address); err != nil {
			return err
		}
	}
	stop := context.AfterFunc(ctx, func() { boss.stdin.Close() })
	defer stop()
	if told, err = boss.told(); err != nil {
		return err
	}
	f.Bare = float64(o.batches) / told.Seconds
	return processes.stop()
}

// benchJobs runs the jobs that are measured.
func benchJobs(ctx context.Context, address string, o *leaseOptions, f *fleetFigures) error {
	client, err := api.Dial(address)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := untilAttached(ctx, client, benchWorkers); err != nil {
		return err
	}
	if _, _, err := lease(ctx, client, emptyBatches(warmBatches)); err != nil {
		return fmt.Errorf("to warm up: %w", err)
	}
	if err := benchIdle(ctx, client, f); err != nil {
		return fmt.Errorf("a job of one batch: %w", err)
	}
	one := emptyBatches(max(1, min(o.batches/oneByOneShare, maxOneByOne)))
	one.Limits, one.Labels = &pb.Limits{MaxConcurrency: 1}, map[string]string{benchLabel: benchName(1)}
	done, seconds, err := lease(ctx, client, one)
	if err != nil {
		return fmt.Errorf("one batch at a time: %w", err)
	}
	f.One = float64(done) / seconds

	done, seconds, err = lease(ctx, client, emptyBatches(o.batches))
	f.Leases, f.Rate = done, float64(done)/seconds
	return err
}

// benchIdle runs one job of one batch after the other, and tells how long they
// took until they ran.
func benchIdle(ctx context.Context, client *api.Client, f *fleetFigures) (err error) {
	waits := make([]time.Duration, warmJobs+idleJobs)
	for i := range waits {
		if waits[i], err = untilStarted(ctx, client); err != nil {
			return err
		}
	}
	waits = waits[warmJobs:]
	slices.Sort(waits)
	f.Middle = waits[len(waits)/2].Seconds() * benchSecondsUs
	f.Highest = waits[len(waits)*99/100].Seconds() * benchSecondsUs
	return nil
}

// untilStarted submits a job of one batch, and tells how long it took until that
// batch ran. Its clock and the worker's are the same machine's.
func untilStarted(ctx context.Context, client *api.Client) (time.Duration, error) {
	submitted := time.Now()
	job, err := client.Submit(ctx, startedJob(), "", api.ReadOnce())
	if err != nil {
		return 0, err
	}
	ran, err := whenStarted(ctx, client, job.GetId())
	return ran.Sub(submitted), err
}

// startedJob is a job of one batch that tells when it runs.
func startedJob() *pb.JobSpec {
	spec := emptyBatches(1)
	spec.Stages[0].Processor = &pb.Stage_Function{Function: started}
	return spec
}

// whenStarted reads the result of such a job.
func whenStarted(ctx context.Context, client *api.Client, id string) (time.Time, error) {
	result, err := client.Result(ctx, id)
	if err != nil {
		return time.Time{}, err
	}
	defer result.Close()
	line, err := bufio.NewReader(result).ReadString('\n')
	if err != nil && line == "" {
		return time.Time{}, fmt.Errorf("the batch did not tell when it ran: %w", err)
	}
	nanos, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	return time.Unix(0, nanos), err
}

func (a *app) tellFleet(f fleetFigures) error {
	if a.json {
		return a.printJSON(f)
	}
	_, err := fmt.Fprintf(a.stdout, `%s of %s leases; processes of their own, over loopback: a coordinator and %d
workers with %s together, and as many with bare streams. Medians of the rounds.
leases                     %9s /s   of one job, from its submission until it is done
bare gRPC streams          %9s /s   the same messages, and nothing behind them
ratio                      %9.2f
with a credit of one       %9s /s   one lease under way, of one worker
submitted until it runs    %9s µs   p50 of %d jobs of one batch, one after the other
                           %9s µs   p99
coordinator's peak memory  %9s
`,
		count(int64(f.Rounds), "round", "rounds"), grouped(f.Leases), benchWorkers, count(int64(f.Slots), "slot", "slots"),
		grouped(int64(f.Rate)), grouped(int64(f.Bare)), f.Ratio, grouped(int64(f.One)),
		grouped(int64(f.Middle)), idleJobs, grouped(int64(f.Highest)), size(f.Memory))
	return err
}
