package command

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// farewell is how long a warm program may take to end once its input has.
const farewell = 2 * time.Second

// warm runs programs that are kept for many batches: each batch is an Arrow IPC
// stream on standard input, and is answered by one on standard output. A
// program serves one batch at a time; there are as many as batches run at once.
type warm struct {
	*program
	mu   sync.Mutex
	idle []*kept
}

// kept is a warm program.
type kept struct {
	*process
	out    *bufio.Reader
	exited chan struct{}
}

// Run has a warm program answer one batch. A program that fails is not used
// again.
func (w *warm) Run(ctx context.Context, a *processor.Attempt, in processor.Input, out processor.Output) error {
	k, err := w.borrow(a, in)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, k.kill)
	err = w.answer(ctx, k, a, in, out)
	if !stop() && err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return w.bury(ctx, k, err)
	}
	k.report.catchUp(k.stderr)
	w.giveBack(k)
	return nil
}

// borrow takes an idle program, or starts one.
func (w *warm) borrow(a *processor.Attempt, in processor.Input) (*kept, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.idle) > 0 {
		k := w.idle[len(w.idle)-1]
		w.idle = w.idle[:len(w.idle)-1]
		select {
		case <-k.exited: // it ended between batches
			k.finish()
			continue
		default:
		}
		k.report.catchUp(k.stderr)
		k.report.begin(a)
		return k, nil
	}
	return w.fresh(a, in)
}

func (w *warm) fresh(a *processor.Attempt, in processor.Input) (*kept, error) {
	proc, err := w.start(a, in, nil, newReport(a))
	if err != nil {
		return nil, err
	}
	k := &kept{process: proc, out: bufio.NewReaderSize(proc.stdout, copyBytes), exited: make(chan struct{})}
	go func() { defer close(k.exited); proc.wait() }()
	return k, nil
}

func (w *warm) giveBack(k *kept) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idle = append(w.idle, k)
}

// answer sends a batch and takes its answer at the same time.
func (w *warm) answer(ctx context.Context, k *kept, a *processor.Attempt, in processor.Input, out processor.Output) error {
	sent := make(chan error, 1)
	go func() {
		err := writeArrow(ctx, a, in, k.stdin)
		if err != nil {
			k.kill()
		}
		sent <- err
	}()
	_, err := copyArrow(k.out, out)
	if err != nil {
		k.kill()
	}
	return errors.Join(ignoreClosed(<-sent), w.answerFailure(err))
}

func (w *warm) answerFailure(err error) error {
	var output *outputError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &output):
		return output.error
	case errors.Is(err, io.EOF):
		return processor.Fail(pb.OutcomeClass_OUTCOME_CLASS_RETRYABLE,
			"the warm command %q ended its output without an answer to a batch", w.name)
	}
	return w.badArrow(err)
}

// bury ends a program after a failure, and says what it died of where that is
// the better explanation.
func (w *warm) bury(ctx context.Context, k *kept, err error) error {
	k.kill()
	<-k.exited
	k.finish()
	if ctx.Err() != nil {
		return w.stopped(ctx, k.process)
	}
	if k.died() {
		return w.judge(k.process)
	}
	var failure *processor.Failure
	if errors.As(err, &failure) && failure.Detail.GetDetail() == "" {
		failure.Detail.Detail = k.report.end()
	}
	return err
}

// Close ends the programs: their input ends, and those that do not follow are
// killed.
func (w *warm) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range w.idle {
		k.stdin.Close()
	}
	late := time.After(farewell)
	for _, k := range w.idle {
		select {
		case <-k.exited:
		case <-late:
			late = closedTime()
			k.kill()
			<-k.exited
		}
		k.finish()
	}
	w.idle = nil
	return w.program.Close()
}

// closedTime is a time that has come.
func closedTime() <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}
