// Command functions is a millrace with functions that misbehave, for tests.
package main

import (
	"context"
	"strings"

	"github.com/millrace/millrace/cmd/cli"
	"github.com/millrace/millrace/worker"
)

// row is a record of the tests' CSV files.
type row struct {
	K string `json:"k"`
	V int64  `json:"v"`
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
		worker.Map("deaf", func(string, func(string)) error { select {} }),
		worker.Map("silent", func(string, func(string)) error { return nil }),
		worker.Map("double", func(r row, emit func(row)) error {
			emit(row{r.K, 2 * r.V})
			return nil
		}),
	)
}
