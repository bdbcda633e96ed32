//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/millrace/millrace/worker/processor"
)

// Result is the answer to a query, as it is being made. Its instance runs
// nothing else until it is closed.
type Result struct {
	db        *DB
	ctx       context.Context
	release   func() // stops listening to ctx
	statement bindings.PreparedStatement
	kept      bool // the statement is the instance's
	result    bindings.Result
	options   bindings.ArrowOptions
	schema    *arrow.Schema
	closed    bool
}

// Query runs one statement and streams its answer. When ctx ends the query is
// interrupted, and the stream ends with ctx's error.
func (d *DB) Query(ctx context.Context, query string) (*Result, error) {
	return d.query(ctx, query, nil)
}

func (d *DB) query(ctx context.Context, query string, args []string) (*Result, error) {
	d.lock.Lock()
	r := &Result{db: d, ctx: ctx, release: d.interruptOn(ctx)}
	if err := r.start(query, args); err != nil {
		r.Close()
		return nil, orCancelled(ctx, err)
	}
	return r, nil
}

// start prepares and starts the query, and learns its schema.
func (r *Result) start(query string, args []string) error {
	if err := r.prepare(query, len(args) > 0); err != nil {
		return err
	}
	for i, arg := range args {
		if bindings.BindVarchar(r.statement, bindings.IdxT(i+1), arg) == bindings.StateError {
			return prepareError(r.statement)
		}
	}
	var pending bindings.PendingResult
	state := bindings.PendingPreparedStreaming(r.statement, &pending)
	defer bindings.DestroyPending(&pending)
	if state == bindings.StateError {
		return newError(bindings.ErrorTypeInvalid, bindings.PendingError(pending))
	}
	if bindings.ExecutePending(pending, &r.result) == bindings.StateError {
		return resultError(&r.result)
	}
	r.options = bindings.ResultGetArrowOptions(&r.result)
	var err error
	r.schema, err = r.importSchema()
	return err
}

// prepare prepares the query, or finds it prepared: one that has arguments is
// one of few, and will be asked again.
func (r *Result) prepare(query string, keep bool) error {
	if r.statement, r.kept = r.db.prepared[query]; r.kept {
		return nil
	}
	if bindings.Prepare(r.db.conn, query, &r.statement) == bindings.StateError {
		return prepareError(r.statement)
	}
	if keep && len(r.db.prepared) < maxPrepared {
		r.db.prepared[query], r.kept = r.statement, true
	}
	return nil
}

// Schema of the answer.
func (r *Result) Schema() *arrow.Schema { return r.schema }

// Records streams the answer. It can be ranged over once.
func (r *Result) Records() processor.Records {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for chunk, err := range r.chunks() {
			if err != nil {
				yield(nil, err)
				return
			}
			batch, err := r.importChunk(chunk)
			if err != nil {
				yield(nil, err)
				return
			}
			more := yield(batch, nil)
			batch.Release()
			if !more {
				return
			}
		}
	}
}

// chunks streams DuckDB's own batches; each is gone when the next is asked for.
func (r *Result) chunks() iter.Seq2[bindings.DataChunk, error] {
	return func(yield func(bindings.DataChunk, error) bool) {
		for {
			var chunk bindings.DataChunk
			if bindings.StreamFetchChunk(r.result, &chunk) == bindings.StateError {
				if err := r.failure(); err != nil {
					yield(chunk, err)
				}
				return
			}
			size := bindings.DataChunkGetSize(chunk)
			more := size > 0 && yield(chunk, nil)
			bindings.DestroyDataChunk(&chunk)
			if !more {
				return
			}
		}
	}
}

// failure is why there is no next chunk; nil at the end.
func (r *Result) failure() error {
	if bindings.ResultError(&r.result) == "" {
		return nil
	}
	return orCancelled(r.ctx, resultError(&r.result))
}

// Close ends the query, which need not have ended by itself, and frees its
// instance for the next.
func (r *Result) Close() {
	if r.closed {
		return
	}
	r.closed = true
	bindings.DestroyArrowOptions(&r.options)
	bindings.DestroyResult(&r.result)
	if !r.kept {
		bindings.DestroyPrepare(&r.statement)
	}
	r.release()
	r.db.lock.Unlock()
}

// interruptAgain is how long to wait before a query is interrupted again: one
// that was about to start forgets that it was.
const interruptAgain = 5 * time.Millisecond

// interruptOn interrupts the connection's query when ctx ends, until the
// function that it returns is called.
func (d *DB) interruptOn(ctx context.Context) (release func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	released, done := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		for {
			bindings.Interrupt(d.conn)
			select {
			case <-released:
				return
			case <-time.After(interruptAgain):
			}
		}
	})
	return func() {
		close(released)
		if !stop() {
			<-done
		}
	}
}

// orCancelled is ctx's error where ctx is why a query failed.
func orCancelled(ctx context.Context, err error) error {
	if kind, _ := KindOf(err); kind == KindInterrupt && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// newError makes an error of a message, and of a type where it is known.
func newError(kind bindings.ErrorType, message string) error {
	e := &Error{Kind: kindOf(kind), Message: message}
	if kind == bindings.ErrorTypeInvalid {
		e.Kind = kindOfMessage(message)
	}
	return e.locate()
}

func resultError(result *bindings.Result) error {
	return newError(bindings.ResultErrorType(result), bindings.ResultError(result))
}

func prepareError(statement bindings.PreparedStatement) error {
	return newError(bindings.ErrorTypeInvalid, bindings.PrepareError(statement))
}

// errNoSchema is a result whose columns DuckDB could not tell.
var errNoSchema = errors.New("DuckDB told no schema for the result")
