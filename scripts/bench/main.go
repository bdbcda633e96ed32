// Command bench measures millrace against other programs that do the same work
// on the same machine, turn by turn, and prints ratios of medians: the other's
// time divided by ours, so that 1 is as fast and more is faster. Inputs are made
// once, in a folder under the system's temporary one, and read from the page
// cache.
//
// What fleets do, and what happens to them under faults, is measured by itself:
// leases, sessions, join, scaling and faults are names, too.
//
//	go run ./scripts/bench                 all of it
//	go run ./scripts/bench -runs 5 csv16   some of it
//	go run ./scripts/bench -list           what there is
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// comparison is one kind of work, done by us and by another program.
type comparison struct {
	name   string
	about  string
	target float64 // the ratio that we want at least
	input  func(b *bench) (string, error)
	ours   func(b *bench, input string) *exec.Cmd
	theirs func(b *bench, input string) *exec.Cmd
	needs  string // a program that must be there
	sorted bool   // outputs are compared with their lines sorted
}

// bench is where programs and inputs lie.
type bench struct {
	folder string
	runs   int
}

func main() {
	runs := flag.Int("runs", 5, "counted runs of each program, after one that is not")
	folder := flag.String("folder", filepath.Join(os.TempDir(), "millrace-bench"), "where inputs are kept")
	list := flag.Bool("list", false, "tell what there is to measure")
	flag.Parse()
	if *list {
		for _, c := range comparisons {
			fmt.Printf("%-10s %s (wanted: at least %.2f)\n", c.name, c.about, c.target)
		}
		for _, m := range measurements {
			fmt.Printf("%-10s %s\n", m.name, m.about)
		}
		return
	}
	b := &bench{folder: *folder, runs: *runs}
	if err := b.run(flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) run(names []string) error {
	if err := b.build(); err != nil {
		return err
	}
	wanted := func(name string) bool { return len(names) == 0 || slices.Contains(names, name) }
	var failed error
	headed := false
	for _, c := range comparisons {
		if !wanted(c.name) {
			continue
		}
		if !headed {
			headed = true
			fmt.Printf("%-10s %9s %9s %7s %7s %9s %9s\n", "", "ours s", "theirs s", "ratio", "wanted", "ours MiB", "theirs")
		}
		if err := b.compare(c); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", c.name, err))
		}
	}
	for _, m := range measurements {
		if !wanted(m.name) {
			continue
		}
		fmt.Printf("\n== %s: %s\n", m.name, m.about)
		if err := m.run(b); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", m.name, err))
		}
	}
	return failed
}

// build compiles the programs that are measured.
func (b *bench) build() error {
	if err := os.MkdirAll(b.folder, 0o755); err != nil {
		return err
	}
	for name, pkg := range map[string]string{
		"millrace": "./cmd/millrace", "functions": "./scripts/bench/functions", "baseline": "./scripts/bench/baseline",
	} {
		build := exec.Command("go", "build", "-o", b.program(name), pkg)
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build %s: %w", pkg, err)
		}
	}
	return nil
}

func (b *bench) program(name string) string { return filepath.Join(b.folder, "bin", name) }

// measured is one run of a program.
type measured struct {
	wall   time.Duration
	memory int64 // peak resident set, in bytes
	output string
}

func (b *bench) compare(c comparison) error {
	if c.needs != "" {
		if _, err := exec.LookPath(c.needs); err != nil {
			fmt.Printf("%-10s skipped: %s is not installed\n", c.name, c.needs)
			return nil
		}
	}
	input, err := c.input(b)
	if err != nil {
		return fmt.Errorf("make the input: %w", err)
	}
	var ours, theirs []measured
	for i := range b.runs + 1 {
		us, err := measure(c.ours(b, input))
		if err != nil {
			return err
		}
		them, err := measure(c.theirs(b, input))
		if err != nil {
			return err
		}
		if i == 0 {
			if err := sameAnswer(us.output, them.output, c.sorted); err != nil {
				return err
			}
			continue
		}
		ours, theirs = append(ours, us), append(theirs, them)
	}
	b.print(c, ours, theirs)
	return nil
}

func (b *bench) print(c comparison, ours, theirs []measured) {
	us, them := median(ours), median(theirs)
	fmt.Printf("%-10s %9.3f %9.3f %7.2f %7.2f %9d %9d\n", c.name,
		us.Seconds(), them.Seconds(), them.Seconds()/us.Seconds(), c.target, peak(ours)>>20, peak(theirs)>>20)
}

func measure(cmd *exec.Cmd) (measured, error) {
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return measured{}, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, errs.String())
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return measured{wall: time.Since(start), memory: usage.Maxrss << 10, output: out.String()}, nil
}

func median(runs []measured) time.Duration {
	sorted := slices.SortedFunc(slices.Values(runs), func(a, b measured) int { return cmp.Compare(a.wall, b.wall) })
	return sorted[len(sorted)/2].wall
}

func peak(runs []measured) int64 {
	var most int64
	for _, run := range runs {
		most = max(most, run.memory)
	}
	return most
}

func sameAnswer(ours, theirs string, sorted bool) error {
	a, b := strings.Split(strings.TrimSpace(ours), "\n"), strings.Split(strings.TrimSpace(theirs), "\n")
	if sorted {
		slices.Sort(a)
		slices.Sort(b)
	}
	if len(a) != len(b) {
		return fmt.Errorf("the answers differ: ours has %d lines, theirs %d", len(a), len(b))
	}
	for i := range a {
		if a[i] != b[i] {
			return fmt.Errorf("the answers differ in line %d: ours %q, theirs %q", i+1, a[i], b[i])
		}
	}
	return nil
}
