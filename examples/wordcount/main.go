// Command wordcount counts words with a Go function: it is the whole program.
// It has the same commands as millrace itself:
//
//	go run ./examples/wordcount run --function words 'books/**/*.txt'
package main

import (
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

func main() { cli.Main(worker.Keyed("words", words, add)) }
