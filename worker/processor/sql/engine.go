package sql

import (
	"context"
	"errors"
	"slices"
	"sync"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/duckdb"
	"github.com/millrace/millrace/worker/processor"
)

// Engine is what all queries of a worker share: instances of DuckDB, which go
// from planning to the batches and from stage to stage of a job, since one takes
// longer to start than a small query to run. It may be used from several goroutines.
type Engine struct {
	opts Options

	lock   sync.Mutex
	spares []spare
	idle   []*instance // the one used last at the end
	inUse  int
	most   int // in use at one time
	steps  int // that are not closed yet
}

// spare gives an instance that isn't locked, once it has started.
type spare func() (*duckdb.DB, error)

// maxSpares is how many instances are kept that aren't locked: one for
// planning, and one that starts meanwhile.
const maxSpares = 2

// NewEngine makes an engine without an instance.
func NewEngine(o Options) *Engine { return &Engine{opts: o} }

// Warm starts an instance in the background, for the first who wants one.
func (e *Engine) Warm() {
	opened := sync.OnceValues(duckdb.Open)
	go opened()
	e.keepSpare(opened)
}

// Planner starts a planner, which leaves its instance to the batches.
func (e *Engine) Planner() (*Planner, error) {
	db, err := e.takeSpare()
	if err != nil {
		return nil, err
	}
	return &Planner{db: db, engine: e}, nil
}

// Step makes a step of a query over the table `batch`, as New does. Files tells
// the real paths of all Parquet files of which the batches are parts, or some
// of them; it may be nil.
func (e *Engine) Step(step *pb.SqlStep, files func(context.Context) []string) processor.Step {
	e.lock.Lock()
	defer e.lock.Unlock()
	e.steps++
	return &query{
		sql: trim(step.GetQuery()), columns: step.GetColumns(),
		engine: e, files: files,
	}
}

// Close frees what the engine keeps. No planner and no step may be open.
func (e *Engine) Close() error {
	e.lock.Lock()
	defer e.lock.Unlock()
	err := e.closeIdle()
	for _, spare := range e.spares {
		if db, failed := spare(); failed == nil {
			err = errors.Join(err, db.Close())
		}
	}
	e.spares = nil
	return err
}

// takeSpare gives the spare instance that was kept last, or a new one.
func (e *Engine) takeSpare() (*duckdb.DB, error) {
	next := spare(duckdb.Open)
	e.lock.Lock()
	if last := len(e.spares) - 1; last >= 0 {
		next, e.spares = e.spares[last], e.spares[:last]
	}
	e.lock.Unlock()
	return next()
}

// keepSpare keeps an instance that isn't locked, unless there are enough.
func (e *Engine) keepSpare(spare spare) {
	e.lock.Lock()
	kept := len(e.spares) < maxSpares
	if kept {
		e.spares = append(e.spares, spare)
	}
	e.lock.Unlock()
	if kept {
		return
	}
	if db, err := spare(); err == nil {
		db.Close()
	}
}

// get is an idle instance that serves the kind and the attempt's size, or a new
// one.
func (e *Engine) get(ctx context.Context, k kind, a *processor.Attempt) (*instance, error) {
	if i := e.take(k, a); i != nil {
		return i, nil
	}
	var err error
	if a.Threads > 1 {
		err = e.clearIdle()
	}
	var i *instance
	if err == nil {
		i, err = e.open(ctx, k, a)
	}
	if err != nil {
		e.drop()
	}
	return i, err
}

// clearIdle closes what is idle, for its memory: an attempt with several threads
// may use all that the worker has.
func (e *Engine) clearIdle() error {
	e.lock.Lock()
	defer e.lock.Unlock()
	return e.closeIdle()
}

func (e *Engine) take(k kind, a *processor.Attempt) *instance {
	e.lock.Lock()
	defer e.lock.Unlock()
	e.inUse++
	e.most = max(e.most, e.inUse)
	for at, i := range slices.Backward(e.idle) {
		if i.serves(k, a) {
			e.idle = slices.Delete(e.idle, at, at+1)
			return i
		}
	}
	return nil
}

// put keeps an instance for the next batch, in place of the one that was idle
// longest if need be.
func (e *Engine) put(i *instance) {
	e.lock.Lock()
	defer e.lock.Unlock()
	e.inUse--
	if e.idle = append(e.idle, i); len(e.idle) > e.most || e.steps == 0 {
		e.idle[0].close()
		e.idle = slices.Delete(e.idle, 0, 1)
	}
}

// drop notes that an instance which was in use is gone.
func (e *Engine) drop() {
	e.lock.Lock()
	defer e.lock.Unlock()
	e.inUse--
}

// closeStep notes that a step is closed. With the last one the instances go.
func (e *Engine) closeStep() error {
	e.lock.Lock()
	defer e.lock.Unlock()
	if e.steps--; e.steps > 0 {
		return nil
	}
	return e.closeIdle()
}

func (e *Engine) closeIdle() error {
	errs := make([]error, len(e.idle))
	var closing sync.WaitGroup
	for at, i := range e.idle {
		closing.Go(func() { errs[at] = i.close() })
	}
	closing.Wait()
	e.idle, e.most = nil, e.inUse
	return errors.Join(errs...)
}
