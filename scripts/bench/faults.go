package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// What is done to a fleet while it works: tasks of 20 ms, each of which writes a
// line to a ledger as it begins and as it ends, on three workers of one slot.
const (
	faultTasks = 2000
	faultAfter = 500 // tasks have ended
)

// fault is something that happens to a fleet.
type fault struct {
	name  string
	task  string // one more, in the middle, that misbehaves
	flags []string
	do    func(f *fleet) error
	undo  func(f *fleet) error // once so long has passed
	anew  bool                 // submitted again, under the same key
}

var faults = []fault{
	{name: "nothing"},
	{name: "kill -9 a worker", do: func(f *fleet) error { return f.kill("w1") }},
	{name: "SIGTERM a worker", do: func(f *fleet) error { return f.signal("w1", syscall.SIGTERM) }},
	{
		name: "SIGSTOP a worker for 15 s", do: func(f *fleet) error { return f.signal("w1", syscall.SIGSTOP) },
		undo: func(f *fleet) error { return f.signal("w1", syscall.SIGCONT) },
	},
	{name: "add a worker", do: func(f *fleet) error { return f.add("w4") }},
	{name: "kill -9 the coordinator, start it again", anew: true, do: func(f *fleet) error {
		if err := f.head.Process.Kill(); err != nil {
			return err
		}
		f.head.Wait() // it was killed, and says so
		return f.start(f.server, f.gossip)
	}},
	{name: "kill -9 the client, run it again", anew: true, do: func(f *fleet) error { return f.waiting.Process.Kill() }},
	{name: "one task that kills its process", task: "task kills"},
	{name: "one task that hangs", task: "task hangs", flags: []string{"--timeout", "1s"}},
}

func (f *fleet) kill(name string) error { return f.worker(name).Process.Kill() }

func (f *fleet) signal(name string, signal syscall.Signal) error {
	return f.worker(name).Process.Signal(signal)
}

func (f *fleet) worker(name string) *exec.Cmd {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.workers[name]
}

// faults prints a line for each.
func (b *bench) faults() error {
	fmt.Printf("%d tasks of 20 ms, three workers with --slots 1\n", faultTasks)
	fmt.Printf("%-40s %8s %7s %10s %7s %7s\n", "", "seconds", "whole", "ran twice", "gap s", "status")
	for _, fault := range faults {
		if err := b.suffer(fault); err != nil {
			return fmt.Errorf("%s: %w", fault.name, err)
		}
	}
	return nil
}

// suffer runs the tasks once.
func (b *bench) suffer(fault fault) error {
	ledger := filepath.Join(b.folder, "ledger")
	if err := os.RemoveAll(ledger); err != nil {
		return err
	}
	f, err := b.newFleet("BENCH_LEDGER=" + ledger)
	if err != nil {
		return err
	}
	defer f.stop()
	for _, name := range []string{"w1", "w2", "w3"} {
		if err := f.supervise(name, fault.task != ""); err != nil {
			return err
		}
	}
	tasks := filepath.Join(f.folder, "tasks.txt")
	if err := writeTasks(tasks, fault.task); err != nil {
		return err
	}
	args := append([]string{"submit", "--quiet", "--wait", "--key", "faults", "--function", "task", "--batch-records", "1", tasks}, fault.flags...)
	start := time.Now()
	f.waiting = f.client(args...)
	answer, err := begin(f.waiting)
	if err != nil {
		return err
	}
	if err := f.strike(fault, ledger); err != nil {
		return err
	}
	if fault.anew {
		<-answer
		f.waiting = f.client(args...)
		if answer, err = begin(f.waiting); err != nil {
			return err
		}
	}
	got := <-answer
	return f.judge(fault, got, ledger, tasks, time.Since(start))
}

// supervise starts a worker; one that dies is started again when it should be,
// as an operator's supervisor would.
func (f *fleet) supervise(name string, again bool) error {
	if err := f.add(name); err != nil || !again {
		return err
	}
	f.supervisors.Go(func() {
		for {
			f.worker(name).Wait()
			if f.stopped.Load() || f.add(name) != nil {
				return
			}
		}
	})
	return nil
}

func writeTasks(path, odd string) error {
	return writeFile(path, func(w *bufio.Writer) {
		for i := range faultTasks {
			fmt.Fprintf(w, "task %04d\n", i)
			if odd != "" && i == faultTasks/2 {
				fmt.Fprintln(w, odd)
			}
		}
	})
}

// answer is what a client's command left.
type answer struct {
	stdout, stderr string
	status         int
}

// begin starts a command, whose answer comes when it has ended.
func begin(cmd *exec.Cmd) (<-chan answer, error) {
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan answer, 1)
	go func() {
		cmd.Wait() // its status is looked at
		ended <- answer{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	}()
	return ended, nil
}

// strike has the fault happen once enough tasks have ended.
func (f *fleet) strike(fault fault, ledger string) error {
	for tick := time.Tick(10 * time.Millisecond); ; <-tick {
		if _, ended, _ := readLedger(ledger); len(ended) >= faultAfter {
			break
		}
	}
	if fault.do != nil {
		if err := fault.do(f); err != nil {
			return err
		}
	}
	if fault.undo != nil {
		time.AfterFunc(15*time.Second, func() { fault.undo(f) })
	}
	return nil
}

// judge compares a result and the ledger with what should be there, and prints
// what it finds.
func (f *fleet) judge(fault fault, got answer, ledger, tasks string, took time.Duration) error {
	want, err := os.ReadFile(tasks)
	if err != nil {
		return err
	}
	whole := "NO"
	if got.stdout == string(want) {
		whole = "yes"
	}
	if fault.task != "" { // it must fail, and say at which
		whole = "-"
	}
	began, _, gap := readLedger(ledger)
	twice := 0
	for _, n := range began {
		twice += n - 1
	}
	fmt.Printf("%-40s %8.1f %7s %10d %7.2f %7d\n", fault.name, took.Seconds(), whole, twice, gap.Seconds(), got.status)
	if got.status != 0 {
		fmt.Printf("  says: %s\n", strings.ReplaceAll(strings.TrimSpace(got.stderr), "\n", "\n        "))
	}
	return nil
}

// readLedger tells how often each task began and ended, and the longest time in
// which none ended.
func readLedger(path string) (began, ended map[string]int, gap time.Duration) {
	began, ended = map[string]int{}, map[string]int{}
	file, err := os.Open(path)
	if err != nil {
		return began, ended, 0 // none has begun
	}
	defer file.Close()
	text, _ := io.ReadAll(file)
	var times []int64
	for line := range strings.Lines(string(text)) {
		var what, task string
		var at int64
		if n, _ := fmt.Sscanf(line, "%s %d task %s", &what, &at, &task); n != 3 {
			continue // being written
		}
		if what == "begin" {
			began[task]++
			continue
		}
		ended[task]++
		times = append(times, at)
	}
	slices.Sort(times)
	for i := 1; i < len(times); i++ {
		gap = max(gap, time.Duration(times[i]-times[i-1]))
	}
	return began, ended, gap
}
