package sorted

import (
	"context"
	"fmt"
	"sort"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/millrace/millrace/worker/processor"
)

// block is a record batch of a sorted stream, decoded.
type block[V any] struct {
	prefixes []uint64
	offsets  []int32
	data     []byte
	values   []V
	batch    arrow.RecordBatch // what the rest may share memory with
}

func newBlock[V any](batch arrow.RecordBatch, codec Codec[V]) (*block[V], error) {
	columns := batch.Columns()
	if len(columns) != 1+len(codec.Fields) {
		return nil, processor.Fatal("a sorted output has %d columns where %d are wanted: "+
			"it is not this function's", len(columns), 1+len(codec.Fields))
	}
	keys, ok := columns[0].(*array.Binary)
	if !ok {
		return nil, processor.Fatal("a sorted output has keys of type %s where binary is wanted", columns[0].DataType())
	}
	values, err := codec.Values(columns[1:])
	if err != nil {
		return nil, fmt.Errorf("decode values: %w", err)
	}
	batch.Retain()
	b := &block[V]{offsets: keys.ValueOffsets(), values: values, batch: batch, prefixes: make([]uint64, len(values))}
	b.data = keys.Data().Buffers()[2].Bytes()
	for i := range b.prefixes {
		b.prefixes[i] = prefixOf(text(b.key(i)))
	}
	return b, nil
}

func (b *block[V]) key(i int) []byte { return b.data[b.offsets[i]:b.offsets[i+1]] }

// place is a key of a block.
type place[V any] struct {
	block *block[V]
	row   int
}

func (p place[V]) less(q place[V]) bool {
	a, b := p.block.prefixes[p.row], q.block.prefixes[q.row]
	if a != b {
		return a < b
	}
	return compareRest(p.block.key(p.row), q.block.key(q.row)) < 0
}

// segment is the rows [from, to) of a block.
type segment[V any] struct {
	block    *block[V]
	from, to int
}

// before is the first row of the segment whose key is not less than p's.
func (s segment[V]) before(p place[V]) int {
	return s.from + sort.Search(s.to-s.from, func(i int) bool { return !place[V]{s.block, s.from + i}.less(p) })
}

// upTo is the first row of the segment whose key is greater than p's.
func (s segment[V]) upTo(p place[V]) int {
	return s.from + sort.Search(s.to-s.from, func(i int) bool { return p.less(place[V]{s.block, s.from + i}) })
}

// stream reads one input of a merge ahead.
type stream[V any] struct {
	blocks  chan *block[V] // closed at the end
	current segment[V]     // what is left of the block at hand
}

// read decodes an input's batches until its end.
func (s *stream[V]) read(ctx context.Context, input processor.Records, codec Codec[V]) error {
	defer close(s.blocks)
	for batch, err := range input {
		if err != nil {
			return err
		}
		if batch.NumRows() == 0 {
			continue
		}
		b, err := newBlock(batch, codec)
		if err != nil {
			return err
		}
		select {
		case s.blocks <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// fill makes sure that there are rows at hand. It returns false at the end.
func (s *stream[V]) fill(ctx context.Context) (bool, error) {
	if s.current.from < s.current.to {
		return true, nil
	}
	if s.current.block != nil {
		s.current.block.batch.Release()
		s.current = segment[V]{}
	}
	select {
	case b, ok := <-s.blocks:
		if ok {
			s.current = segment[V]{b, 0, len(b.values)}
		}
		return ok, ctx.Err()
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
