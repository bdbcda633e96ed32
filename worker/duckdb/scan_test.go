//go:build cgo

package duckdb

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// slowStats is TextStats, byte by byte.
func slowStats(text []byte) (s TextStats) {
	inside, last := false, byte('\n')
	for _, b := range text {
		switch b {
		case '"':
			s.Quotes++
			s.OddQuotes = s.OddQuotes || !inside && bytes.IndexByte([]byte("\n,\""), last) < 0
			inside = !inside
		case '\r':
			s.CarriageReturns++
		case '\n':
			s.Newlines++
			if inside {
				s.QuotedNewlines++
			} else if last == '\n' {
				s.EmptyLines++
			}
		}
		last = b
	}
	return s
}

func TestTextStats(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for round := range 400 {
		text := make([]byte, random.IntN(4000))
		letters := []string{"\n\n\r\"abc\xff", "abc\n", ",\"\n", "aaaaaaaaaaaaaaaaaaa,\n", strings.Repeat("a", 60) + "\n"}[round%5]
		for i := range text {
			text[i] = letters[random.IntN(len(letters))]
		}
		var got TextStats
		for rest := text; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			got.Add(rest[:n], '"', ',')
			rest = rest[n:]
		}
		got.inside, got.last, got.begun = 0, 0, false
		if want := slowStats(text); got != want {
			t.Fatalf("%+v, want %+v in %q", got, want, text)
		}
	}
}

func BenchmarkTextStats(b *testing.B) {
	for name, line := range map[string]string{"plain": "key1,123,4.5,some text\n", "quoted": "\"key1\",\"123\",\"4.5\",\"some text\"\n"} {
		text := bytes.Repeat([]byte(line), 8000)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				var s TextStats
				s.Add(text, '"', ',')
			}
		})
	}
}
