package api

import (
	"context"
	"iter"
	"time"

	pb "github.com/millrace/millrace/api/millracev1"
)

// The pauses between attempts to watch again.
const (
	minWatchPause = 100 * time.Millisecond
	maxWatchPause = 5 * time.Second
)

// Ended says that a job in this state changes no more.
func Ended(state pb.JobState) bool { return state >= pb.JobState_JOB_STATE_DONE }

// Watch tells how a job is, now and whenever that changes, until it has ended.
// Once it has told anything, a connection that breaks is made anew for as long
// as ctx lasts: what is told is how the job is, not what happened, so nothing is
// missed. The last pair is a job that has ended, or an error.
func (c *Client) Watch(ctx context.Context, id string) iter.Seq2[*pb.Job, error] {
	return func(yield func(*pb.Job, error) bool) {
		w := &watch{client: c, id: id, pause: minWatchPause}
		for {
			err, over := w.once(ctx, yield)
			if over {
				return
			}
			if !w.again(ctx, err) {
				yield(nil, wire(err))
				return
			}
		}
	}
}

type watch struct {
	client *Client
	id     string
	told   bool // a job was told over some connection
	pause  time.Duration
}

// once watches over one stream. It is over when the caller or the job is.
func (w *watch) once(ctx context.Context, yield func(*pb.Job, error) bool) (err error, over bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := w.client.jobs.WatchJob(ctx, &pb.WatchJobRequest{Id: w.id})
	if err != nil {
		return err, false
	}
	for {
		answer, err := stream.Recv()
		if err != nil {
			return err, false
		}
		w.told, w.pause = true, minWatchPause
		if !yield(answer.GetJob(), nil) || Ended(answer.GetJob().GetState()) {
			return nil, true
		}
	}
}

// again waits, and says whether to try again after err.
func (w *watch) again(ctx context.Context, err error) bool {
	if !w.told || CodeOf(err) != Unavailable {
		return false
	}
	timer := time.NewTimer(w.pause)
	defer timer.Stop()
	w.pause = min(2*w.pause, maxWatchPause)
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
