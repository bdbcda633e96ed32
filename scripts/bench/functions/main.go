// Command functions has the Go functions that bench measures.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/millrace/millrace/cmd/cli"
	"github.com/millrace/millrace/worker"
)

func words(line string, emit func(string, int64)) error {
	for word := range strings.FieldsSeq(line) {
		emit(word, 1)
	}
	return nil
}

func add(a, b int64) int64 { return a + b }

// sha is twenty rounds of SHA-256 over a line.
func sha(line []byte, emit func(string)) error {
	sum := sha256.Sum256(line)
	for range 19 {
		sum = sha256.Sum256(sum[:])
	}
	emit(hex.EncodeToString(sum[:]))
	return nil
}

func main() {
	cli.Main(worker.Keyed("words", words, add), worker.Map("sha", sha))
}
