package sql

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"github.com/millrace/millrace/worker/duckdb"
	"github.com/millrace/millrace/worker/processor"
)

// kind is what a batch needs of an instance beside its size. Its zero value
// needs nothing.
type kind struct {
	// text says that the batch's text comes in a file in memory.
	text bool
	// bytes is how large the text is, as far as that is known.
	bytes int64
	// paths are files that the query reads.
	paths []string
	// more tells which files it may read too, for the sake of batches to come;
	// nil for none.
	more func(context.Context) []string
}

// textMemory is how much of an attempt's memory is left to the batch's text, in
// bytes; less where a quarter is less.
const textMemory = 64 << 20

// aloneMemory is how much of its memory an attempt with several threads leaves
// to the rest of the process, in bytes; less where a quarter is less. It alone
// may use all that a worker has.
const aloneMemory = 128 << 20

// instances counts those that were ever opened: each spills into a folder of
// its own, since their files have the same names.
var instances atomic.Uint64

// instance is a locked instance of DuckDB that has a table `batch`.
type instance struct {
	db      *duckdb.DB
	job     string // it holds data of one job, and never sees another's
	threads int
	memory  int64
	// reserved is how much of the disk is set aside for the text, in bytes.
	reserved int64
	mem      *duckdb.MemFile // nil where there is no text
	paths    map[string]bool // files that it may read
	// temp is where it spills; empty where it may not. DuckDB makes the folder
	// when it needs it.
	temp string
	// sort is what the table `batch` is: a VIEW or a TABLE; empty while there is
	// none.
	sort string
	// text is how the table `batch` reads mem; empty where it doesn't.
	text string
}

// serves says whether the instance will do for a batch.
func (i *instance) serves(k kind, a *processor.Attempt) bool {
	if i.reserved != reserve(k, a) || i.job != a.JobID || i.threads != a.Threads || i.memory != a.MemoryBytes || k.text && i.mem == nil {
		return false
	}
	for _, path := range k.paths {
		if !i.paths[path] {
			return false
		}
	}
	return true
}

// define makes the table `batch` the view of a query.
func (i *instance) define(ctx context.Context, query string) error {
	return i.create(ctx, "VIEW", "AS "+query)
}

// store makes the table `batch` a table of its own.
func (i *instance) store(ctx context.Context, definition string) error {
	return i.create(ctx, "TABLE", definition)
}

func (i *instance) create(ctx context.Context, sort, definition string) error {
	statement := fmt.Sprintf("CREATE OR REPLACE TEMP %s batch %s", sort, definition)
	if i.sort != sort && i.sort != "" {
		statement = fmt.Sprintf("DROP %s IF EXISTS batch; %s", i.sort, statement)
	}
	i.sort, i.text = sort, ""
	return i.db.Exec(ctx, statement)
}

// clear drops a stored table `batch`, for its memory.
func (i *instance) clear(ctx context.Context) error {
	if i.sort != "TABLE" {
		return nil
	}
	i.sort = ""
	return i.db.Exec(ctx, "DROP TABLE batch")
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

// open makes a locked instance of a kind.
func (e *Engine) open(ctx context.Context, k kind, a *processor.Attempt) (i *instance, err error) {
	i = &instance{job: a.JobID, threads: a.Threads, memory: a.MemoryBytes, paths: map[string]bool{}}
	o := duckdb.Options{
		Threads: a.Threads, MemoryBytes: a.MemoryBytes,
		MaxTempBytes: e.opts.MaxTempBytes, AllowedPaths: k.paths,
	}
	if k.more != nil {
		o.AllowedPaths = append(k.more(ctx), k.paths...)
	}
	for _, path := range o.AllowedPaths {
		i.paths[path] = true
	}
	if err := e.spill(i, &o, k, a); err != nil {
		return nil, err
	}
	if i.db, err = e.takeSpare(); err != nil {
		return nil, err
	}
	o.MemoryBytes -= besides(k, a)
	if k.text {
		if i.mem, err = duckdb.NewMemFile(e.overflow(i.temp, a)); err == nil {
			o.AllowedPaths = i.mem.Paths()
		}
	}
	if err == nil {
		err = i.db.Lock(ctx, o)
	}
	if err != nil {
		i.close()
		return nil, err
	}
	return i, nil
}

// spill tells an instance where it spills, and how much of the disk it has.
func (e *Engine) spill(i *instance, o *duckdb.Options, k kind, a *processor.Attempt) error {
	i.reserved = reserve(k, a)
	if e.opts.TempDir == "" {
		return nil
	}
	folder, err := filepath.EvalSymlinks(e.opts.TempDir)
	if err != nil {
		return err
	}
	i.temp = filepath.Join(folder, "duckdb-"+strconv.FormatUint(instances.Add(1), 10))
	o.TempDir = i.temp
	if o.MaxTempBytes > 0 {
		o.MaxTempBytes = max(o.MaxTempBytes-i.reserved, 1)
	}
	return nil
}

// overflow says when the text of an instance that spills to a folder moves to
// disk, beside that folder.
func (e *Engine) overflow(temp string, a *processor.Attempt) duckdb.Overflow {
	if temp == "" {
		return duckdb.Overflow{}
	}
	return duckdb.Overflow{
		MemoryBytes: int(textInMemory(a)), Path: temp + ".text", MaxBytes: e.opts.MaxTempBytes,
	}
}

// textInMemory is the largest text that lies in memory, in bytes: what a batch
// cut by speed has at most fits.
func textInMemory(a *processor.Attempt) int64 {
	return min(a.MemoryBytes/4, textMemory) * 5 / 4
}

// reserve is how much of the disk a batch's text will take, in bytes.
func reserve(k kind, a *processor.Attempt) int64 {
	if !k.text || k.bytes <= textInMemory(a) {
		return 0
	}
	return k.bytes
}

// besides is how much of an attempt's memory DuckDB leaves to others, in bytes.
func besides(k kind, a *processor.Attempt) int64 {
	switch {
	case a.Threads > 1:
		return min(a.MemoryBytes/4, aloneMemory)
	case k.text:
		return min(a.MemoryBytes/4, textMemory)
	}
	return 0
}
