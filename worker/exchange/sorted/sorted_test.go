package sorted

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/millrace/millrace/worker/processor"
)

func sums(t testing.TB) Options[int64] {
	return Options[int64]{
		Codec: Codec[int64]{
			Fields: []arrow.Field{{Name: "value", Type: arrow.PrimitiveTypes.Int64}},
			Columns: func(values []int64) ([]arrow.Array, error) {
				return []arrow.Array{FixedColumn(arrow.PrimitiveTypes.Int64, values)}, nil
			},
			Values: func(columns []arrow.Array) ([]int64, error) { return FixedValues[int64](columns[0]), nil },
		},
		Combine:     func(a, b int64) int64 { return a + b },
		MemoryBytes: 64 << 20, TempDir: at(t.TempDir()), Threads: 2,
	}
}

// texts concatenates, so that a wrong order of combining shows.
func texts(t testing.TB) Options[string] {
	return Options[string]{
		Codec: Codec[string]{
			Fields: []arrow.Field{{Name: "value", Type: arrow.BinaryTypes.String}},
			Columns: func(values []string) ([]arrow.Array, error) {
				b := array.NewStringBuilder(memory.DefaultAllocator)
				defer b.Release()
				b.AppendValues(values, nil)
				return []arrow.Array{b.NewArray()}, nil
			},
			Values: func(columns []arrow.Array) ([]string, error) {
				c := columns[0].(*array.String)
				values := make([]string, c.Len())
				for i := range values {
					values[i] = strings.Clone(c.Value(i))
				}
				return values, nil
			},
			Weigh: func(v string) int { return len(v) },
		},
		Combine:     func(a, b string) string { return a + b },
		MemoryBytes: 64 << 20, TempDir: at(t.TempDir()), Threads: 2,
	}
}

type pair[V any] struct {
	key   string
	value V
}

// collect reads record batches of the sorted form back.
func collect[V any](t testing.TB, o Options[V], into *[]pair[V]) func(arrow.RecordBatch) error {
	return func(batch arrow.RecordBatch) error {
		b, err := newBlock(batch, o.Codec)
		if err != nil {
			t.Error(err)
			return err
		}
		for i, v := range b.values {
			*into = append(*into, pair[V]{string(b.key(i)), v})
		}
		return nil
	}
}

func gathered[V any](t testing.TB, o Options[V], pairs []pair[V]) (g *Gather[V], sorted []pair[V]) {
	t.Helper()
	g = NewGather(o)
	for _, p := range pairs {
		g.Add(p.key, p.value)
	}
	if err := g.Finish(t.Context(), collect(t, o, &sorted)); err != nil {
		t.Fatal(err)
	}
	return g, sorted
}

// model does the same with a map.
func model[V any](combine func(a, b V) V, pairs []pair[V]) []pair[V] {
	m := map[string]V{}
	for _, p := range pairs {
		if old, ok := m[p.key]; ok {
			m[p.key] = combine(old, p.value)
			continue
		}
		m[p.key] = p.value
	}
	var all []pair[V]
	for _, key := range slices.Sorted(maps.Keys(m)) {
		all = append(all, pair[V]{key, m[key]})
	}
	return all
}

// awkward makes keys that share prefixes, differ in length only, or hold zeros.
func awkward(r *rand.Rand) string {
	switch r.IntN(6) {
	case 0:
		return strings.Repeat("a", r.IntN(20))
	case 1:
		return strings.Repeat("\x00", r.IntN(12))
	case 2:
		return "prefix--" + strings.Repeat("\xff", r.IntN(3))
	case 3:
		return strings.Repeat("\xff", r.IntN(12))
	case 4:
		return fmt.Sprintf("%c%c%c", r.IntN(3), 'a'+r.IntN(3), r.IntN(3))
	}
	return fmt.Sprintf("key-%04d", r.IntN(5000))
}

func equal[V comparable](t testing.TB, got, want []pair[V]) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d keys, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("at %d: %q, want %q", i, fmt.Sprint(got[i]), fmt.Sprint(want[i]))
		}
	}
}

func TestGatherInMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var pairs []pair[string]
	for i := range 100_000 {
		pairs = append(pairs, pair[string]{awkward(r), string(rune('a' + i%26))})
	}
	o := texts(t)
	g, got := gathered(t, o, pairs)
	defer g.Close()
	equal(t, got, model(o.Combine, pairs))
	if len(g.runs) != 0 {
		t.Error("spilled though there was room")
	}
}

func TestGatherSpills(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var pairs []pair[int64]
	for range 150_000 {
		pairs = append(pairs, pair[int64]{fmt.Sprint("a long key to fill the arena ", r.IntN(100_000)), r.Int64N(100)})
	}
	o := sums(t)
	o.MemoryBytes = 4 << 20
	g, got := gathered(t, o, pairs)
	equal(t, got, model(o.Combine, pairs))
	if len(g.runs) < 3 {
		t.Errorf("%d runs: the limit of memory is not kept", len(g.runs))
	}
	g.Close()
	if left, _ := os.ReadDir(dirOf(o.TempDir)); len(left) != 0 {
		t.Errorf("%d runs are left behind", len(left))
	}
}

func TestGatherSpillsHeavyValues(t *testing.T) {
	var pairs []pair[string]
	for i := range 5_000 {
		pairs = append(pairs, pair[string]{fmt.Sprint(i % 7), fmt.Sprintf("%01000d", i)})
	}
	o := texts(t)
	o.MemoryBytes = 2 << 20
	g, got := gathered(t, o, pairs)
	defer g.Close()
	equal(t, got, model(o.Combine, pairs))
	if len(g.runs) < 3 {
		t.Errorf("%d runs: values grow past the limit of memory", len(g.runs))
	}
}

func TestBatchesOfLargeValuesAreSmall(t *testing.T) {
	o := texts(t)
	g := NewGather(o)
	defer g.Close()
	for i := range 100 {
		g.Add(fmt.Sprint(i), strings.Repeat("x", 100_000))
	}
	err := g.Finish(t.Context(), func(batch arrow.RecordBatch) error {
		if batch.NumRows() > 25 {
			t.Errorf("a batch has %d rows of 100 kB", batch.NumRows())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestGatherTellsThatTheDiskFails(t *testing.T) {
	o := sums(t)
	o.MemoryBytes, o.TempDir = 1, at(dirOf(o.TempDir)+"/absent")
	g := NewGather(o)
	defer g.Close()
	for i := range 200_000 {
		g.Add(fmt.Sprint(i), 1)
	}
	if !errors.Is(g.Err(), os.ErrNotExist) {
		t.Errorf("Err is %v", g.Err())
	}
	if err := g.Finish(t.Context(), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Finish says %v", err)
	}
}

// memoryOf keeps sorted batches in memory, as an input of a merge.
func memoryOf[V any](t testing.TB, o Options[V], pairs []pair[V]) processor.Records {
	var batches []arrow.RecordBatch
	g := NewGather(o)
	for _, p := range pairs {
		g.Add(p.key, p.value)
	}
	r, err := writeRun(o.TempDir, func(out func(arrow.RecordBatch) error) error { return g.Finish(t.Context(), out) })
	if err != nil {
		t.Fatal(err)
	}
	for b := range r.records() {
		b.Retain()
		batches = append(batches, b)
	}
	return func(yield func(arrow.RecordBatch, error) bool) {
		for _, b := range batches {
			if !yield(b, nil) {
				return
			}
		}
	}
}

func testMerge(t *testing.T, r *rand.Rand, inputs, rows int) {
	o := texts(t)
	var all []pair[string]
	var streams []processor.Records
	for range inputs {
		var pairs []pair[string]
		for range r.IntN(rows + 1) {
			pairs = append(pairs, pair[string]{awkward(r), string(rune('a' + r.IntN(26)))})
		}
		all = append(all, pairs...)
		streams = append(streams, memoryOf(t, o, pairs))
	}
	var got []pair[string]
	if err := Merge(t.Context(), streams, o, collect(t, o, &got)); err != nil {
		t.Fatal(err)
	}
	equal(t, got, model(o.Combine, all))
}

func TestMergeKeepsTheOrderOfInputs(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, inputs := range []int{0, 1, 2, 3, 7, 64, 65, 150} {
		testMerge(t, r, inputs, 200)
	}
	testMerge(t, r, 5, 20_000)
}

func TestMergeInSharesOfThreads(t *testing.T) {
	o := sums(t)
	o.Threads = 4
	var all []pair[int64]
	var streams []processor.Records
	for i := range 3 {
		var pairs []pair[int64]
		for j := range 50_000 {
			pairs = append(pairs, pair[int64]{fmt.Sprint(j * (i + 1)), 1})
		}
		all = append(all, pairs...)
		streams = append(streams, memoryOf(t, o, pairs))
	}
	var got []pair[int64]
	if err := Merge(t.Context(), streams, o, collect(t, o, &got)); err != nil {
		t.Fatal(err)
	}
	equal(t, got, model(o.Combine, all))
}

func TestMergeEndsWithTheFirstFailure(t *testing.T) {
	o := sums(t)
	broken := errors.New("broken")
	fails := func(yield func(arrow.RecordBatch, error) bool) { yield(nil, broken) }
	good := memoryOf(t, o, []pair[int64]{{"a", 1}, {"b", 2}})
	if err := Merge(t.Context(), []processor.Records{good, fails}, o, func(arrow.RecordBatch) error { return nil }); !errors.Is(err, broken) {
		t.Errorf("a broken input gives %v", err)
	}
	if err := Merge(t.Context(), []processor.Records{good}, o, func(arrow.RecordBatch) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a broken output gives %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Merge(ctx, []processor.Records{good}, o, func(arrow.RecordBatch) error { return nil }); err == nil {
		t.Error("a cancelled merge succeeds")
	}
}

func TestMergeCatchesPanics(t *testing.T) {
	o := sums(t)
	one := []pair[int64]{{"a", 1}}
	streams := []processor.Records{memoryOf(t, o, one), memoryOf(t, o, one)}
	o.Combine = func(a, b int64) int64 { panic("no such sum") }
	err := Merge(t.Context(), streams, o, func(arrow.RecordBatch) error { return nil })
	var p *Panic
	if !errors.As(err, &p) || p.Value != "no such sum" || !strings.Contains(string(p.Stack), "TestMergeCatchesPanics") {
		t.Errorf("got %v", err)
	}
}

func TestMergeRefusesAnotherFunctionsOutput(t *testing.T) {
	o, other := sums(t), texts(t)
	other.Codec.Fields = append(other.Codec.Fields, other.Codec.Fields...)
	err := Merge(t.Context(), []processor.Records{memoryOf(t, o, []pair[int64]{{"a", 1}})}, other, nil)
	var failure *processor.Failure
	if !errors.As(err, &failure) {
		t.Errorf("got %v", err)
	}
}

func TestIntegerKeysSort(t *testing.T) {
	ints := []int64{-1 << 63, -300, -1, 0, 1, 255, 256, 1<<63 - 1}
	var keys []string
	for _, i := range ints {
		var b [IntKeyBytes]byte
		PutInt(&b, i)
		if Int(b[:]) != i {
			t.Errorf("%d comes back as %d", i, Int(b[:]))
		}
		keys = append(keys, string(b[:]))
	}
	if !slices.IsSorted(keys) {
		t.Error("encodings don't sort as their integers")
	}
}

func FuzzKeysSortAsTheirBytes(f *testing.F) {
	for _, s := range []string{"", "a", "a\x00", "abcdefgh", "abcdefghi", "abcdefgh\x00", "\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
		f.Add(s, "abcdefgh")
		f.Add(s, s)
		f.Add("", s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		got := cmp.Compare(prefixOf(a), prefixOf(b))
		if got == 0 {
			got = compareRest([]byte(a), []byte(b))
		}
		if cmp.Compare(got, 0) != strings.Compare(a, b) {
			t.Errorf("%q against %q is %d", a, b, got)
		}
	})
}

func FuzzMergeAgainstAMap(f *testing.F) {
	f.Add(uint64(1), uint8(3), uint16(50), uint32(1<<20))
	f.Add(uint64(9), uint8(70), uint16(9), uint32(0))
	f.Fuzz(func(t *testing.T, seed uint64, inputs uint8, rows uint16, memory uint32) {
		testMerge(t, rand.New(rand.NewPCG(seed, uint64(memory))), int(inputs)%80, int(rows)%2000)
	})
}

// at is a temporary folder that is there already.
func at(dir string) func() (string, error) {
	return func() (string, error) { return dir, nil }
}

func dirOf(temp func() (string, error)) string {
	dir, _ := temp()
	return dir
}
