package sorted

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/worker/processor"
)

// minShare is how many rows a thread should have, for it to be worth a thread.
const minShare = 4 << 10

// Panic is a panic in a goroutine of a merge: most likely in the caller's own
// combine or codec.
type Panic struct {
	// Value is what was panicked with, Stack where.
	Value any
	Stack []byte
}

// Error tells what was panicked with.
func (p *Panic) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

// protect turns a panic into an error.
func protect(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &Panic{Value: v, Stack: debug.Stack()}
		}
	}()
	return f()
}

// Merge merges sorted streams, in the order of the source, into one that is
// sorted by key and holds each key once. Rows wait in memory only until their
// keys have been passed by every input.
func Merge[V any](ctx context.Context, inputs []processor.Records, o Options[V], out func(arrow.RecordBatch) error) error {
	if len(inputs) > maxFanIn {
		return cascade(ctx, inputs, o, out)
	}
	group, ctx := errgroup.WithContext(ctx)
	m := &merger[V]{options: o, done: make(chan [][]*rows[V], 1)}
	for _, input := range inputs {
		s := &stream[V]{blocks: make(chan *block[V])}
		m.streams = append(m.streams, s)
		group.Go(func() error { return protect(func() error { return s.read(ctx, input, o.Codec) }) })
	}
	group.Go(func() error { return protect(func() error { return m.merge(ctx) }) })
	group.Go(func() error { return protect(func() error { return m.write(newWriter(o, out)) }) })
	return group.Wait()
}

// cascade merges groups of neighbours to the disk first.
func cascade[V any](ctx context.Context, inputs []processor.Records, o Options[V], out func(arrow.RecordBatch) error) error {
	var merged []processor.Records
	for from := 0; from < len(inputs); from += maxFanIn {
		group := inputs[from:min(from+maxFanIn, len(inputs))]
		r, err := writeRun(o.TempDir, func(out func(arrow.RecordBatch) error) error {
			return Merge(ctx, group, o.sortedForm(), out)
		})
		if err != nil {
			return err
		}
		defer r.remove()
		merged = append(merged, r.records())
	}
	return Merge(ctx, merged, o, out)
}

// merger merges in rounds. A round takes of each input's block at hand the rows
// up to the least of the blocks' last keys: no input can bring anything for
// those any more. Its keys are shared out over the threads by range.
type merger[V any] struct {
	options Options[V]
	streams []*stream[V]
	done    chan [][]*rows[V] // each round's rows, in order
	free    sync.Pool
}

func (m *merger[V]) merge(ctx context.Context) error {
	defer close(m.done)
	for {
		if err := m.fill(ctx); err != nil || len(m.streams) == 0 {
			return err
		}
		parts, err := m.round()
		if err != nil {
			return err
		}
		select {
		case m.done <- parts:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fill sees that every stream has rows at hand, and drops those at their end.
func (m *merger[V]) fill(ctx context.Context) error {
	left := m.streams[:0]
	for _, s := range m.streams {
		more, err := s.fill(ctx)
		if err != nil {
			return err
		}
		if more {
			left = append(left, s)
		}
	}
	clear(m.streams[len(left):])
	m.streams = left
	return nil
}

// round merges what can be merged.
func (m *merger[V]) round() ([][]*rows[V], error) {
	segments := m.take()
	shares := m.share(segments)
	results, faults := make([][]*rows[V], len(shares)), make([]error, len(shares))
	var threads sync.WaitGroup
	for i, share := range shares {
		threads.Go(func() {
			faults[i] = protect(func() error {
				results[i] = newTree(share).merge(m.options.Combine, m.fresh)
				return nil
			})
		})
	}
	threads.Wait()
	return results, errors.Join(faults...)
}

// take takes the rows of a round from the streams.
func (m *merger[V]) take() []segment[V] {
	var bound place[V]
	for _, s := range m.streams {
		if last := (place[V]{s.current.block, s.current.to - 1}); bound.block == nil || last.less(bound) {
			bound = last
		}
	}
	segments := make([]segment[V], len(m.streams))
	for i, s := range m.streams {
		to := s.current.upTo(bound)
		segments[i] = segment[V]{s.current.block, s.current.from, to}
		s.current.from = to
	}
	return segments
}

// share splits segments by ranges of keys, taken from the longest one.
func (m *merger[V]) share(segments []segment[V]) [][]segment[V] {
	total, longest := 0, segments[0]
	for _, s := range segments {
		total += s.to - s.from
		if s.to-s.from > longest.to-longest.from {
			longest = s
		}
	}
	n := max(1, min(m.options.Threads, total/minShare))
	shares := make([][]segment[V], n)
	for i := range n - 1 {
		at := place[V]{longest.block, longest.from + (longest.to-longest.from)*(i+1)/n}
		shares[i] = make([]segment[V], len(segments))
		for j, s := range segments {
			cut := s.before(at)
			shares[i][j] = segment[V]{s.block, s.from, cut}
			segments[j].from = cut
		}
	}
	shares[n-1] = segments
	return shares
}

func (m *merger[V]) fresh() *rows[V] {
	if r, ok := m.free.Get().(*rows[V]); ok {
		return r
	}
	return newRows(m.options)
}

// write writes the rounds' rows as they come.
func (m *merger[V]) write(w *writer[V]) error {
	for parts := range m.done {
		for _, part := range parts {
			for _, r := range part {
				if err := w.write(r); err != nil {
					return err
				}
				r.reset()
				m.free.Put(r)
			}
		}
	}
	return nil
}
