// Command baseline does by hand, in one process with goroutines, what bench
// measures millrace against.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: baseline duckdb QUERY | words GLOB | sha GLOB")
		os.Exit(2)
	}
	run := map[string]func(string) error{"duckdb": query, "words": words, "sha": sha}[os.Args[1]]
	if run == nil {
		fmt.Fprintf(os.Stderr, "baseline: no %q\n", os.Args[1])
		os.Exit(2)
	}
	if err := run(os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "baseline:", err)
		os.Exit(1)
	}
}
