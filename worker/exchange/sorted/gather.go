package sorted

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/worker/processor"
)

// Gather combines values under their keys. It uses about the memory that its
// options allow, whatever the number of keys, and the disk beyond that. One
// goroutine uses it.
type Gather[V any] struct {
	options Options[V]
	table   *table[V]
	limit   int   // bytes that the table may take
	runs    []run // what was spilled, in the order of the source
	err     error // the first failure to spill; nothing is gathered after it
}

// minLimit is the least memory that a table gets, in bytes.
const minLimit = 1 << 20

// NewGather begins to gather. Close it.
func NewGather[V any](o Options[V]) *Gather[V] {
	g := &Gather[V]{table: newTable(o)}
	g.Begin(o)
	return g
}

// Begin begins anew after a Close, with the memory that there is.
func (g *Gather[V]) Begin(o Options[V]) {
	// Half of the memory: the rest is for the copies while the table grows, and
	// for what the collector has not found yet.
	g.options, g.limit, g.err = o, max(int(o.MemoryBytes/2), minLimit), nil
	if g.table == nil || g.table.bytes() > g.limit {
		g.table = newTable(o)
	}
}

// Add gathers a value. It keeps nothing of key's memory. A failure is told by
// Err; values are dropped after it.
func (g *Gather[V]) Add(key string, value V) {
	if !g.table.add(key, value) {
		g.addSlowly(key, value)
	}
	if g.table.weight > g.limit {
		g.spill()
	}
}

func (g *Gather[V]) addSlowly(key string, value V) {
	if !g.table.grow(len(key), g.limit) {
		g.spill()
		g.table.grow(len(key), g.limit)
	}
	g.table.add(key, value)
}

// Err is the first failure.
func (g *Gather[V]) Err() error { return g.err }

// spill writes the table to the disk as a sorted run, and empties it.
func (g *Gather[V]) spill() {
	if g.err == nil {
		var r run
		r, g.err = writeRun(g.options.TempDir, func(out func(arrow.RecordBatch) error) error {
			return g.drain(g.options.sortedForm(), out)
		})
		g.runs = append(g.runs, r)
	}
	g.table.reset()
}

// drain sorts the table and writes it.
func (g *Gather[V]) drain(o Options[V], out func(arrow.RecordBatch) error) error {
	t, w, r := g.table, newWriter(o, out), newRows(o)
	t.sort()
	for i := range t.entries {
		e := &t.entries[i]
		r.data = t.appendKey(r.data, e)
		r.seal(e.value)
		if !r.full() {
			continue
		}
		if err := w.write(r); err != nil {
			return err
		}
		r.reset()
	}
	return w.write(r)
}

// Finish writes everything that was gathered, sorted by key. Only Close may
// follow.
func (g *Gather[V]) Finish(ctx context.Context, out func(arrow.RecordBatch) error) error {
	if g.err != nil {
		return g.err
	}
	if len(g.runs) == 0 {
		return g.drain(g.options, out)
	}
	if g.spill(); g.err != nil {
		return g.err
	}
	g.table = nil // the merge needs its memory
	inputs := make([]processor.Records, len(g.runs))
	for i, r := range g.runs {
		inputs[i] = r.records()
	}
	return Merge(ctx, inputs, g.options, out)
}

// Close removes what was spilled.
func (g *Gather[V]) Close() {
	for _, r := range g.runs {
		r.remove()
	}
	g.runs = nil
	if g.table != nil {
		g.table.reset()
	}
}
