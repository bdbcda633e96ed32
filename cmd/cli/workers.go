package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/cmd/cli/settings"
)

func (a *app) workersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "workers", Short: "List the workers",
		Long: `List the workers that the coordinator or gossip knows, with what both say of
their lives: SESSION is the worker's own link to the coordinator, GOSSIP what
the other members see. One that is dead by both gives its leases back at once.

  ready        takes leases
  cordoned     gets no new leases, since an operator said so
  draining     finishes what it runs, and leaves
  quarantined  failed all that it got; it is tried with one batch at a time
  suspected    one of session and gossip doubts that it lives: no new leases
  away         has no session; its leases and outputs wait for it
  unattached   gossip knows it, but it has never attached here`,
		Example: "  millrace workers\n  millrace workers --json | jq -r '.[] | select(.state != \"ready\").name'",
		Args:    cobra.NoArgs,
	}
	o := addClientFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.with(cmd.Context(), o, func(l *link) error {
			workers, err := l.Workers(cmd.Context())
			if err != nil {
				return l.told(cmd.Context(), err)
			}
			return a.tellWorkers(workers)
		})
	}
	return cmd
}

// workerJSON is a worker as JSON. Sizes are in bytes.
type workerJSON struct {
	Name          string            `json:"name"`
	State         string            `json:"state"`
	Reason        string            `json:"reason,omitempty"`
	Session       string            `json:"session"`
	Gossip        string            `json:"gossip"`
	Slots         uint32            `json:"slots"`
	Running       uint32            `json:"running"`
	Waiting       uint32            `json:"waiting"`
	MemoryBytes   int64             `json:"memory_bytes"`
	SpoolBytes    int64             `json:"spool_bytes"`
	Labels        map[string]string `json:"labels"`
	Zone          string            `json:"zone"`
	Version       string            `json:"version"`
	Processors    []string          `json:"processors"`
	DataAddresses []string          `json:"data_addresses"`
	DataRoots     []string          `json:"data_roots"`
	Incarnation   string            `json:"incarnation"`
	Attached      *time.Time        `json:"attached,omitempty"`
	Heard         *time.Time        `json:"heard,omitempty"`
	Done          int64             `json:"done"`
	Failed        int64             `json:"failed"`
}

func viewWorker(w *pb.Worker) workerJSON {
	return workerJSON{
		Name: w.GetName(), State: workerState(w), Reason: w.GetReason(),
		Session: sessionOpinion(w), Gossip: gossipOpinion(w),
		Slots: w.GetSlots(), Running: w.GetRunning(), Waiting: w.GetWaiting(),
		MemoryBytes: w.GetMemoryBytes(), SpoolBytes: w.GetSpoolBytes(),
		Labels: orEmpty(w.GetLabels()), Zone: w.GetZone(), Version: w.GetVersion(),
		Processors: list(w.GetProcessors()), DataAddresses: list(w.GetDataAddresses()), DataRoots: list(w.GetDataRoots()),
		Incarnation: strconv.FormatUint(w.GetIncarnation(), 10),
		Attached:    timeOf(w.GetAttached()), Heard: timeOf(w.GetHeard()),
		Done: w.GetDone(), Failed: w.GetFailed(),
	}
}

// list is a list that is [] in JSON when it is empty.
func list(texts []string) []string { return append([]string{}, texts...) }

// orEmpty is a map that is {} in JSON when it is empty.
func orEmpty(labels map[string]string) map[string]string {
	if labels == nil {
		return map[string]string{}
	}
	return labels
}

func workerState(w *pb.Worker) string { return enumWord(w.GetState().String(), "WORKER_STATE_") }

// sessionOpinion and gossipOpinion are what each witness says; none where it
// knows nothing.
func sessionOpinion(w *pb.Worker) string {
	if w.GetSessionOpinion() == pb.SessionOpinion_SESSION_OPINION_UNSPECIFIED {
		return "none"
	}
	return enumWord(w.GetSessionOpinion().String(), "SESSION_OPINION_")
}

func gossipOpinion(w *pb.Worker) string {
	if w.GetGossipOpinion() == pb.GossipOpinion_GOSSIP_OPINION_UNSPECIFIED {
		return "none"
	}
	return enumWord(w.GetGossipOpinion().String(), "GOSSIP_OPINION_")
}

func (a *app) tellWorkers(workers []*pb.Worker) error {
	if a.json {
		views := make([]workerJSON, len(workers))
		for i, w := range workers {
			views[i] = viewWorker(w)
		}
		return a.printJSON(views)
	}
	return workerTable(workers).write(a.stdout, terminalWidth(a.stdout))
}

func workerTable(workers []*pb.Worker) *table {
	t := &table{columns: []column{
		{title: "NAME"}, {title: "STATE"}, {title: "SESSION", spare: 2}, {title: "GOSSIP", spare: 2},
		{title: "SLOTS", right: true}, {title: "RUNNING", right: true, spare: 2}, {title: "WAITING", right: true, spare: 5},
		{title: "DONE", right: true, spare: 4}, {title: "FAILED", right: true, spare: 4},
		{title: "SPOOL", right: true, spare: 6}, {title: "ZONE", spare: 7}, {title: "LABELS", spare: 3},
		{title: "ADDRESS", spare: 8}, {title: "VERSION", spare: 9}, {title: "WHY", spare: 1},
	}}
	for _, w := range workers {
		address := ""
		if all := w.GetDataAddresses(); len(all) > 0 {
			address = all[0]
		}
		t.add(w.GetName(), workerState(w), sessionOpinion(w), gossipOpinion(w),
			number(w.GetSlots()), number(w.GetRunning()), number(w.GetWaiting()),
			grouped(w.GetDone()), grouped(w.GetFailed()), size(w.GetSpoolBytes()),
			w.GetZone(), labelText(w.GetLabels()), address, w.GetVersion(), w.GetReason())
	}
	return t
}

func number(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

func labelText(labels map[string]string) string {
	words := make([]string, 0, len(labels))
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		words = append(words, name+"="+labels[name])
	}
	return strings.Join(words, ",")
}

// selecting makes a command that does something to workers, by name or label.
func (a *app) selecting(use, short, long, example string, do func(context.Context, *link, *pb.WorkerSelector) ([]*pb.Worker, error)) *cobra.Command {
	cmd := &cobra.Command{Use: use + " [NAME…] [--label name=value]", Short: short, Long: long, Example: example}
	o := addClientFlags(cmd)
	labels := cmd.Flags().StringToStringP("label", "l", nil, "also those that carry this label, `name=value`; of several labels, all")
	cmd.Flag("label").DefValue = ""
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		if len(names) == 0 && len(*labels) == 0 {
			return usage("which workers? Name them, or a label of theirs with --label")
		}
		return a.with(cmd.Context(), o, func(l *link) error {
			workers, err := do(cmd.Context(), l, &pb.WorkerSelector{Names: names, Labels: *labels})
			if err != nil {
				return l.told(cmd.Context(), err)
			}
			if len(workers) == 0 {
				return failed(fmt.Errorf("no worker has the label %s", labelText(*labels)))
			}
			return a.tellWorkers(workers)
		})
	}
	return cmd
}

func (a *app) drainCommand() *cobra.Command {
	within := time.Duration(-1)
	cmd := a.selecting("drain", "Have workers finish what they run, and leave",
		`Have workers take no new leases, finish what they run, give back what waits, and
end. What still runs after --within is given back too, and runs elsewhere from
its beginning. Those that are meant are listed, as they are now.`,
		"  millrace drain rack7-3 rack7-4\n  millrace drain --label rack=7 --within 5m",
		func(ctx context.Context, l *link, who *pb.WorkerSelector) ([]*pb.Worker, error) {
			return l.Drain(ctx, who, within)
		})
	cmd.Flags().Var(&value{kind: "time", parse: func(s string) (err error) {
		within, err = settings.Time(0)(s)
		return err
	}}, "within", "give running batches so long (30s)")
	return cmd
}

func (a *app) cordonCommand() *cobra.Command {
	return a.selecting("cordon", "Give workers no new leases",
		`Give workers no new leases, until they are uncordoned. What they run finishes,
and what they hold can be read. A cordon goes by the worker's name, and outlives
its restart.`,
		"  millrace cordon rack7-3\n  millrace cordon --label rack=7",
		func(ctx context.Context, l *link, who *pb.WorkerSelector) ([]*pb.Worker, error) {
			return l.Cordon(ctx, who)
		})
}

func (a *app) uncordonCommand() *cobra.Command {
	return a.selecting("uncordon", "Give workers leases again", "Give workers leases again that were cordoned.",
		"  millrace uncordon rack7-3",
		func(ctx context.Context, l *link, who *pb.WorkerSelector) ([]*pb.Worker, error) {
			return l.Uncordon(ctx, who)
		})
}
