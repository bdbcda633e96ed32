// Command functions has the Go functions that bench measures.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

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

// task takes 20 ms, and writes to the ledger that BENCH_LEDGER names when it
// begins and when it ends. Two tasks misbehave, if they are there.
func task(line string, emit func(string)) error {
	if err := write("begin", line); err != nil {
		return err
	}
	switch line {
	case "task kills":
		os.Exit(3)
	case "task hangs":
		select {}
	}
	time.Sleep(20 * time.Millisecond)
	emit(line)
	return write("end", line)
}

// write appends a line in one go, so that lines of several processes don't mix.
func write(what, line string) error {
	file, err := os.OpenFile(os.Getenv("BENCH_LEDGER"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "%s %d %s\n", what, time.Now().UnixNano(), line)
	return errors.Join(err, file.Close())
}

func main() {
	cli.Main(worker.Keyed("words", words, add), worker.Map("sha", sha), worker.Map("task", task))
}
