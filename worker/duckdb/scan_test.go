//go:build cgo

package duckdb

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestTextStats(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		text := make([]byte, random.IntN(20000))
		for i := range text {
			text[i] = "\n\n\r\"abc\xff"[random.IntN(8)]
		}
		var got TextStats
		for rest := text; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			got.Add(rest[:n], '"')
			rest = rest[n:]
		}
		var empty int64
		for i, b := range text {
			if b == '\n' && (i == 0 || text[i-1] == '\n') {
				empty++
			}
		}
		if got.Newlines != int64(bytes.Count(text, []byte("\n"))) || got.EmptyLines != empty ||
			got.Quotes != int64(bytes.Count(text, []byte(`"`))) || got.CarriageReturns != int64(bytes.Count(text, []byte("\r"))) {
			t.Fatalf("%+v in %q, %d empty lines", got, text, empty)
		}
	}
}

func BenchmarkTextStats(b *testing.B) {
	text := bytes.Repeat([]byte("key1,123,4.5,some text\n"), 10000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		var s TextStats
		s.Add(text, '"')
	}
}
