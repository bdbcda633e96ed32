// Command functions is a millrace with functions that misbehave, for tests.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/millrace/millrace/cmd/cli"
	"github.com/millrace/millrace/worker"
)

// row is a record of the tests' CSV files.
type row struct {
	K string `json:"k"`
	V int64  `json:"v"`
}

// ask passes lines on, each once somebody has said so over a socket. It stops
// when its batch does.
func ask(ctx context.Context, in *worker.Input[string], emit func(string)) error {
	for line := range in.All() {
		if err := askFor(ctx, line); err != nil {
			return err
		}
		emit(line)
	}
	return nil
}

func askFor(ctx context.Context, line string) error {
	conn, err := net.Dial("unix", os.Getenv("MILLRACE_TEST_GATE"))
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := fmt.Fprintf(conn, "%d %s\n", os.Getpid(), line); err != nil {
		return err
	}
	switch answer, err := bufio.NewReader(conn).ReadString('\n'); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case answer != "pass\n":
		return errors.New(strings.TrimSpace(answer))
	}
	return nil
}

func main() {
	cli.Main(
		worker.Map("panics", func(line string, emit func(string)) error {
			if strings.Contains(line, "boom") {
				panic("struck " + line)
			}
			emit(line)
			return nil
		}),
		worker.Batch("endless", func(ctx context.Context, in *worker.Input[string], _ func(string)) error {
			for line := range in.All() {
				if line == "stuck" {
					<-ctx.Done()
				}
			}
			return nil
		}),
		worker.Batch("ask", ask),
		worker.Keyed("count", func(line string, emit func(string, int64)) error {
			emit("lines", 1)
			return askFor(context.Background(), line)
		}, func(a, b int64) int64 { return a + b }),
		worker.Map("same", func(line string, emit func(string)) error {
			emit(line)
			return nil
		}),
		worker.Map("deaf", func(string, func(string)) error { select {} }),
		worker.Map("silent", func(string, func(string)) error { return nil }),
		worker.Map("double", func(r row, emit func(row)) error {
			emit(row{r.K, 2 * r.V})
			return nil
		}),
	)
}
