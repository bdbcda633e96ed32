package worker_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/millrace/millrace/worker"
)

// Counting words: values under keys, with a combiner. The whole of main would be
// cli.Main(words).
func ExampleKeyed() {
	words := worker.Keyed("words", func(line string, emit func(string, int64)) error {
		for word := range strings.FieldsSeq(line) {
			emit(word, 1)
		}
		return nil
	}, func(a, b int64) int64 { return a + b })
	fmt.Println(words.Name(), words.Info().Columns[0].GetName(), words.Info().Columns[1].GetName())
	// Output: words key value
}

// A function from rows to rows: columns become fields by name, and fields
// columns.
func ExampleMap() {
	type sale struct {
		Item   string  `json:"item"`
		Amount float64 `json:"amount"`
	}
	type large struct {
		Item string `json:"item"`
		Tax  float64
	}
	taxes := worker.Map("taxes", func(s sale, emit func(large)) error {
		switch {
		case s.Amount < 0:
			return &worker.BadRecord{Reason: "a negative amount"}
		case s.Amount > 1000:
			emit(large{s.Item, s.Amount * 0.2})
		}
		return nil
	})
	fmt.Println(taxes.Info().Columns[1].GetName(), taxes.Info().Columns[1].GetType())
	// Output: Tax DOUBLE
}

// One checksum for each batch, with a counter.
func ExampleBatch() {
	sums := worker.Batch("sums", func(ctx context.Context, b *worker.Input[[]byte], emit func(string)) error {
		sum := sha256.New()
		for line := range b.All() {
			sum.Write(line)
			b.Count("lines", 1)
		}
		emit(fmt.Sprintf("%x  %s", sum.Sum(nil), b.File()))
		return ctx.Err()
	})
	fmt.Println(sums.Name())
	// Output: sums
}
