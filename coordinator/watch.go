package coordinator

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
)

// watchEvery is how often at most a watcher is told of a change; the first
// state and the last come at once.
const watchEvery = 100 * time.Millisecond

// watcher is one WatchJob stream, as the owner sees it.
type watcher struct {
	changed chan struct{} // holds one token when something has changed
	over    chan struct{} // holds one token when nothing more will change
	counted bool          // the owner's: it is one of its watchers
}

func newWatcher() *watcher {
	return &watcher{changed: make(chan struct{}, 1), over: make(chan struct{}, 1)}
}

func (w *watcher) wake() { token(w.changed) }

// hurry wakes a watcher that would otherwise wait for its turn.
func (w *watcher) hurry() {
	token(w.over)
	token(w.changed)
}

// token leaves a token in a channel that has room for one.
func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// watch tells a stream how a job is until it has ended.
func (c *Coordinator) watch(ctx context.Context, id ledger.JobID, stream grpc.ServerStreamingServer[pb.WatchJobResponse]) error {
	w := newWatcher()
	defer c.later(func(o *owner) { o.unwatch(id, w) })
	told, err := ask(ctx, c, func(o *owner, answer func(*pb.Job, error)) { answer(o.watch(id, w)) })
	if err != nil {
		return err
	}
	for {
		if err := stream.Send(&pb.WatchJobResponse{Job: told}); err != nil {
			return err
		}
		if api.Ended(told.GetState()) {
			return nil
		}
		if err := w.next(ctx); err != nil {
			return err
		}
		told, err = askPatiently(ctx, c, func(o *owner, answer func(*pb.Job, error)) { answer(o.view(id)) })
		if err != nil {
			return err
		}
	}
}

// next waits for a change, and for the watcher's turn.
func (w *watcher) next(ctx context.Context) error {
	turn := time.NewTimer(watchEvery)
	defer turn.Stop()
	select {
	case <-w.changed:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-turn.C:
	case <-w.over:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

func (o *owner) watch(id ledger.JobID, w *watcher) (*pb.Job, error) {
	j, err := o.find(id)
	if err != nil {
		return nil, err
	}
	if o.watchers >= o.c.config.MaxWatchers {
		return nil, api.Errorf(api.Full, "%d calls watch jobs already, and that is as many as may; try again later", o.watchers)
	}
	o.watchers++
	w.counted = true
	j.watchers[w] = struct{}{}
	return o.view(id)
}

func (o *owner) unwatch(id ledger.JobID, w *watcher) {
	if !w.counted {
		return
	}
	o.watchers--
	if j := o.jobs[id]; j != nil {
		delete(j.watchers, w)
	}
}
