package sorted

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/worker/processor"
)

// someWords are words as languages have them: some frequent, most rare.
func someWords(n int) []string {
	r := rand.New(rand.NewPCG(1, 2))
	frequent := rand.NewZipf(r, 1.1, 4, 50_000)
	words := make([]string, n)
	for i := range words {
		word := frequent.Uint64()
		if r.IntN(6) == 0 {
			word = 50_001 + r.Uint64N(4_200_000)
		}
		words[i] = "w" + strconv.FormatUint(word*2654435761%(1<<32), 36)
	}
	return words
}

// BenchmarkAdd is what a value costs that is emitted.
func BenchmarkAdd(b *testing.B) {
	words := someWords(1 << 20)
	g := NewGather(sums(b))
	defer g.Close()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		g.Add(words[i&(1<<20-1)], 1)
	}
}

// BenchmarkMerge is what a row costs in a merge of 16 streams.
func BenchmarkMerge(b *testing.B) {
	words := someWords(1 << 20)
	o := sums(b)
	var inputs []processor.Records
	for i := range 16 {
		var pairs []pair[int64]
		for _, w := range words[i<<16 : (i+1)<<16] {
			pairs = append(pairs, pair[int64]{w, 1})
		}
		inputs = append(inputs, memoryOf(b, o, pairs))
	}
	rows := 0
	for b.Loop() {
		rows = 0
		if err := Merge(b.Context(), inputs, o, func(r arrow.RecordBatch) error { rows += int(r.NumRows()); return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
}
