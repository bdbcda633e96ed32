package coordinator

import (
	"context"
	"sync"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
)

// feed tells the reader of a result what can be delivered. The owner puts in,
// and one reader takes out.
type feed struct {
	job  ledger.JobID
	fail func(error) // ends the reader

	mu        sync.Mutex
	header    *pb.ResultHeader
	outputs   []ledger.Output
	last      bool
	round     int  // rises when what was told before is void
	restarted bool // the reader has not noticed yet
	void      bool // the reader waits for another round

	signal  chan struct{} // holds one token when the reader should look again
	counted bool          // the owner's: it is one of its readers
}

// told is an output that can be delivered, in the round in which it was told.
type told struct {
	output ledger.Output
	round  int
}

func newFeed(job ledger.JobID, fail func(error)) *feed {
	return &feed{job: job, fail: fail, signal: make(chan struct{}, 1)}
}

// head tells what the result is made of.
func (f *feed) head(h *pb.ResultHeader) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.header = h
	token(f.signal)
}

// add tells outputs that follow those before, or, with restart, what comes in
// the place of all that was told and not consumed.
func (f *feed) add(outputs []ledger.Output, last, restart bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if restart {
		f.outputs, f.last, f.restarted, f.void = nil, false, true, false
		f.round++
	}
	f.outputs = append(f.outputs, outputs...)
	f.last = f.last || last
	token(f.signal)
}

// drop has nothing taken any more until another round begins.
func (f *feed) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.void = true
}

// current is the round, for the owner, who alone begins them.
func (f *feed) current() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.round
}

// next takes the next output, if there is one by now. When a round has begun
// it says so first.
func (f *feed) next() (t told, ok, restarted bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.restarted {
		f.restarted = false
		return told{}, false, true
	}
	if len(f.outputs) == 0 || f.void {
		return told{}, false, false
	}
	t = told{f.outputs[0], f.round}
	f.outputs = f.outputs[1:]
	return t, true, false
}

// putBack undoes next, unless another round has begun since.
func (f *feed) putBack(t told) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t.round == f.round {
		f.outputs = append([]ledger.Output{t.output}, f.outputs...)
	}
}

// over says whether no output is left, and none will follow.
func (f *feed) over() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last && len(f.outputs) == 0 && !f.restarted && !f.void
}

// headed waits for the header.
func (f *feed) headed(ctx context.Context) (*pb.ResultHeader, error) {
	for {
		f.mu.Lock()
		h := f.header
		f.mu.Unlock()
		if h != nil {
			return h, nil
		}
		if err := f.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// wait waits until there is something new.
func (f *feed) wait(ctx context.Context) error {
	select {
	case <-f.signal:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
