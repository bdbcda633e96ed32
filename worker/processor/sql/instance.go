package sql

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/millrace/millrace/worker/duckdb"
	"github.com/millrace/millrace/worker/processor"
)

// kind is what instances of one sort have in common.
type kind struct {
	// text says that the batch's text comes in a file in memory.
	text bool
	// paths are files that the query may read. Such an instance is good for one
	// batch.
	paths []string
	// setup makes the table `batch`, before the instance is locked. When empty,
	// each batch makes it.
	setup string
}

// instance is a locked instance of DuckDB that has a table `batch`.
type instance struct {
	key string
	db  *duckdb.DB
	mem *duckdb.MemFile // nil where there is no text
	// view is how the table `batch` reads mem; empty before there is one.
	view string
}

func (i *instance) close() error {
	err := i.db.Close()
	if i.mem != nil {
		err = errors.Join(err, i.mem.Close())
	}
	return err
}

// pool keeps a stage's instances between batches.
type pool struct {
	opts Options

	lock sync.Mutex
	idle map[string][]*instance
}

// get is an idle instance of the kind and the attempt's size, or a new one.
func (p *pool) get(ctx context.Context, k kind, a *processor.Attempt) (*instance, error) {
	key := fmt.Sprint(a.Threads, a.MemoryBytes, k.text, k.setup)
	if len(k.paths) == 0 {
		if i := p.take(key); i != nil {
			return i, nil
		}
	} else {
		key = ""
	}
	i, err := p.open(ctx, k, a)
	if err != nil {
		return nil, err
	}
	i.key = key
	return i, nil
}

func (p *pool) take(key string) *instance {
	p.lock.Lock()
	defer p.lock.Unlock()
	list := p.idle[key]
	if len(list) == 0 {
		return nil
	}
	i := list[len(list)-1]
	p.idle[key] = list[:len(list)-1]
	return i
}

// put keeps an instance for the next batch, if another can use it.
func (p *pool) put(i *instance) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if i.key == "" || p.idle == nil {
		i.close()
		return
	}
	p.idle[i.key] = append(p.idle[i.key], i)
}

func (p *pool) close() error {
	p.lock.Lock()
	defer p.lock.Unlock()
	var errs []error
	for _, list := range p.idle {
		for _, i := range list {
			errs = append(errs, i.close())
		}
	}
	p.idle = nil
	return errors.Join(errs...)
}

// open starts an instance of a kind and locks it.
func (p *pool) open(ctx context.Context, k kind, a *processor.Attempt) (i *instance, err error) {
	i = &instance{}
	o := duckdb.Options{
		Threads: a.Threads, MemoryBytes: a.MemoryBytes,
		TempDir: p.opts.TempDir, MaxTempBytes: p.opts.MaxTempBytes,
		AllowedPaths: k.paths,
	}
	if k.text {
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
