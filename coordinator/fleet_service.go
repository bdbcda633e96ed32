package coordinator

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
)

// Limits and defaults of what operators say.
const (
	maxSelected   = 10_000
	defaultDrain  = 30 * time.Second
	maxDrain      = 24 * time.Hour
	maxNamesShown = 8
)

// fleetService is how operators look at the workers, and empty them.
type fleetService struct {
	pb.UnimplementedFleetServiceServer
	c *Coordinator
}

// ListWorkers tells of all workers that the coordinator or gossip knows.
func (s *fleetService) ListWorkers(ctx context.Context, _ *pb.ListWorkersRequest) (*pb.ListWorkersResponse, error) {
	return ask(ctx, s.c, func(o *owner, answer func(*pb.ListWorkersResponse, error)) {
		list := &pb.ListWorkersResponse{}
		for _, v := range o.ledger.Workers(o.now) {
			list.Workers = append(list.Workers, o.worker(v))
		}
		answer(list, nil)
	})
}

// DrainWorkers has workers finish what they run, and leave.
func (s *fleetService) DrainWorkers(ctx context.Context, r *pb.DrainWorkersRequest) (*pb.DrainWorkersResponse, error) {
	within, err := drainTime(r.GetWithin())
	if err != nil {
		return nil, err
	}
	workers, err := s.order(ctx, r.GetWorkers(), func(o *owner, ids []ledger.WorkerID, done func(error)) {
		o.logger.Info("workers are drained", "workers", ids, "within", within)
		o.step(ledger.WorkersDrained{Workers: ids, Within: within})
		done(nil)
	})
	return &pb.DrainWorkersResponse{Workers: workers}, err
}

// drainTime is how long a drain may take.
func drainTime(d *durationpb.Duration) (time.Duration, error) {
	if d == nil {
		return defaultDrain, nil
	}
	if d.CheckValid() != nil || d.AsDuration() < 0 || d.AsDuration() > maxDrain {
		return 0, api.Errorf(api.Invalid, "a drain is to end within %s; it must be from 0s to %s (--within)", api.FormatDuration(d.AsDuration()), api.FormatDuration(maxDrain))
	}
	return d.AsDuration(), nil
}

// CordonWorkers gives workers no new leases.
func (s *fleetService) CordonWorkers(ctx context.Context, r *pb.CordonWorkersRequest) (*pb.CordonWorkersResponse, error) {
	workers, err := s.cordon(ctx, r.GetWorkers(), true)
	return &pb.CordonWorkersResponse{Workers: workers}, err
}

// UncordonWorkers gives workers leases again.
func (s *fleetService) UncordonWorkers(ctx context.Context, r *pb.UncordonWorkersRequest) (*pb.UncordonWorkersResponse, error) {
	workers, err := s.cordon(ctx, r.GetWorkers(), false)
	return &pb.UncordonWorkersResponse{Workers: workers}, err
}

func (s *fleetService) cordon(ctx context.Context, who *pb.WorkerSelector, cordoned bool) ([]*pb.Worker, error) {
	return s.order(ctx, who, func(o *owner, ids []ledger.WorkerID, done func(error)) {
		o.logger.Info("workers are cordoned or uncordoned", "workers", ids, "cordoned", cordoned)
		request := o.await(func(a ledger.Answer) { done(cordonError(a)) })
		o.step(ledger.WorkersCordoned{Request: request, Workers: ids, Cordoned: cordoned})
	})
}

func cordonError(a ledger.Answer) error {
	if a.Code == ledger.AnswerFull {
		return api.Errorf(api.Full, "too many names of workers are cordoned; uncordon those that are no more")
	}
	return nil
}

// order brings the ledger an operator's wish for workers. It is answered by how
// they are when that was done.
func (s *fleetService) order(ctx context.Context, who *pb.WorkerSelector, step func(o *owner, ids []ledger.WorkerID, done func(error))) ([]*pb.Worker, error) {
	if err := checkSelector(who); err != nil {
		return nil, err
	}
	return ask(ctx, s.c, func(o *owner, answer func([]*pb.Worker, error)) {
		ids, err := selected(who, o.ledger.Workers(o.now))
		if err != nil || len(ids) == 0 {
			answer(nil, err)
			return
		}
		step(o, ids, func(err error) { answer(o.workersNamed(ids), err) })
	})
}

// workersNamed is how workers are, by name.
func (o *owner) workersNamed(ids []ledger.WorkerID) []*pb.Worker {
	workers := make([]*pb.Worker, 0, len(ids))
	for _, id := range ids {
		if v, ok := o.ledger.Worker(id, o.now); ok {
			workers = append(workers, o.worker(v))
		}
	}
	return workers
}

// checkSelector tells what is wrong with a selector.
func checkSelector(who *pb.WorkerSelector) error {
	switch {
	case len(who.GetNames()) == 0 && len(who.GetLabels()) == 0:
		return api.Errorf(api.Invalid, "the request names no worker: give names, or labels that they carry")
	case len(who.GetNames()) > maxSelected:
		return api.Errorf(api.Invalid, "the request names %d workers; at most %d are allowed", len(who.GetNames()), maxSelected)
	case len(who.GetLabels()) > api.MaxLabels:
		return api.Errorf(api.Invalid, "the request names %d labels; at most %d are allowed", len(who.GetLabels()), api.MaxLabels)
	}
	return nil
}

// selected are the workers that a selector means, by rising name.
func selected(who *pb.WorkerSelector, workers []ledger.WorkerView) ([]ledger.WorkerID, error) {
	meant := make(map[ledger.WorkerID]bool)
	for _, name := range who.GetNames() {
		meant[ledger.WorkerID(name)] = true
	}
	var ids []ledger.WorkerID
	for _, v := range workers {
		if meant[v.Name] || carries(v.Labels, who.GetLabels()) {
			ids = append(ids, v.Name)
			delete(meant, v.Name)
		}
	}
	for _, name := range who.GetNames() {
		if meant[ledger.WorkerID(name)] {
			return nil, api.Errorf(api.NotFound, "there is no worker %q; %s", api.Clip(name, maxNameShown), nearest(name, workers))
		}
	}
	return ids, nil
}

// carries says whether a worker carries all of the labels, of which there is
// one at the least.
func carries(has []ledger.Label, labels map[string]string) bool {
	found := 0
	for _, l := range has {
		if value, ok := labels[l.Key]; ok && value == l.Value {
			found++
		}
	}
	return found > 0 && found == len(labels)
}

// nearest names the workers that somebody who wrote a name may have meant:
// those that begin most like it.
func nearest(name string, workers []ledger.WorkerView) string {
	if len(workers) == 0 {
		return "none is known"
	}
	names := make([]string, len(workers))
	for i, v := range workers {
		names[i] = string(v.Name)
	}
	slices.SortStableFunc(names, func(a, b string) int { return alike(name, b) - alike(name, a) })
	if len(names) > maxNamesShown {
		return "those that begin most like it are " + strings.Join(names[:maxNamesShown], ", ")
	}
	return "known are " + strings.Join(names, ", ")
}

// alike is how many bytes two names begin with alike.
func alike(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}
