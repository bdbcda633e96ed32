package sql

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/millrace/millrace/worker/duckdb"
	"github.com/millrace/millrace/worker/processor"
)

// kind is what instances of one sort have in common.
type kind struct {
	// text says that the batch's text comes in a file in memory.
	text bool
	// paths are files that the query may read.
	paths []string
	// setup makes the table `batch`, before the instance is locked. When empty,
	// each batch makes it.
	setup string
}

// textMemory is how much of an attempt's memory is left to the batch's text, in
// bytes; less where a quarter is less.
const textMemory = 64 << 20

// instances counts those that were ever opened: each spills into a folder of
// its own, since their files have the same names.
var instances atomic.Uint64

// instance is a locked instance of DuckDB that has a table `batch`.
type instance struct {
	key string
	db  *duckdb.DB
	mem *duckdb.MemFile // nil where there is no text
	// temp is where it spills; empty where it may not. DuckDB makes the folder
	// when it needs it.
	temp string
	// view is how the table `batch` reads mem; empty before there is one.
	view string
}

func (i *instance) close() error {
	err := i.db.Close()
	if i.mem != nil {
		err = errors.Join(err, i.mem.Close())
	}
	if i.temp != "" {
		err = errors.Join(err, os.RemoveAll(i.temp))
	}
	return err
}

// pool keeps a stage's instances between batches: no more than were ever in use
// at one time.
type pool struct {
	opts Options

	lock   sync.Mutex
	idle   []*instance // the one used last at the end
	inUse  int
	most   int // in use at one time
	closed bool
}

// get is an idle instance of the kind and the attempt's size, or a new one.
func (p *pool) get(ctx context.Context, k kind, a *processor.Attempt) (*instance, error) {
	key := fmt.Sprintf("%d %d %t %q %q", a.Threads, a.MemoryBytes, k.text, k.setup, k.paths)
	if i := p.take(key); i != nil {
		return i, nil
	}
	i, err := p.open(ctx, k, a)
	if err != nil {
		p.drop()
		return nil, err
	}
	i.key = key
	return i, nil
}

func (p *pool) take(key string) *instance {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.inUse++
	p.most = max(p.most, p.inUse)
	for at, i := range slices.Backward(p.idle) {
		if i.key == key {
			p.idle = slices.Delete(p.idle, at, at+1)
			return i
		}
	}
	return nil
}

// put keeps an instance for the next batch, in place of the one that was idle
// longest if need be.
func (p *pool) put(i *instance) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.inUse--
	if p.idle = append(p.idle, i); len(p.idle) > p.most || p.closed {
		p.idle[0].close()
		p.idle = slices.Delete(p.idle, 0, 1)
	}
}

// drop notes that an instance which was in use is gone.
func (p *pool) drop() {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.inUse--
}

func (p *pool) close() error {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.closed = true
	var errs []error
	for _, i := range p.idle {
		errs = append(errs, i.close())
	}
	p.idle = nil
	return errors.Join(errs...)
}

// open starts an instance of a kind and locks it.
func (p *pool) open(ctx context.Context, k kind, a *processor.Attempt) (i *instance, err error) {
	i = &instance{}
	o := duckdb.Options{
		Threads: a.Threads, MemoryBytes: a.MemoryBytes,
		MaxTempBytes: p.opts.MaxTempBytes, AllowedPaths: k.paths,
	}
	if p.opts.TempDir != "" {
		i.temp = filepath.Join(p.opts.TempDir, "duckdb-"+strconv.FormatUint(instances.Add(1), 10))
		o.TempDir = i.temp
	}
	if k.text {
		o.MemoryBytes -= min(o.MemoryBytes/4, textMemory)
		if i.mem, err = duckdb.NewMemFile(); err != nil {
			return nil, err
		}
		o.AllowedPaths = []string{i.mem.Path()}
	}
	if i.db, err = duckdb.Open(o); err != nil {
		if i.mem != nil {
			i.mem.Close()
		}
		return nil, err
	}
	if err := i.prepare(ctx, k.setup); err != nil {
		i.close()
		return nil, err
	}
	return i, nil
}

// prepare makes the table `batch` and locks the instance.
func (i *instance) prepare(ctx context.Context, setup string) error {
	if setup != "" {
		if err := i.db.Exec(ctx, setup); err != nil {
			return err
		}
	}
	return i.db.Lock()
}
