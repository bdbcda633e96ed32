package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// measurement is something about fleets, which no other program does beside us.
type measurement struct {
	name  string
	about string
	run   func(b *bench) error
}

var measurements = []measurement{
	{"leases", "empty batches by a coordinator and two workers, against bare streams (wanted: ratio 0.30, one at a time 10,000/s, p50 1 ms, p99 5 ms)",
		func(b *bench) error { return b.tell("bench", "leases") }},
	{"sessions", "what 500 idle workers cost a coordinator (wanted: 5 % of a core)",
		func(b *bench) error { return b.tell("bench", "sessions") }},
	{"join", "from the start of a worker's process until its first batch runs (wanted: 300 ms)",
		func(b *bench) error { return b.tell("bench", "join") }},
	{"scaling", "two worker processes of one slot against one, CPU-bound (wanted: 1.8 times the speed, on two free cores)", (*bench).scaling},
	{"faults", "2,000 tasks of 20 ms on three workers, of which one is killed or stopped, or the coordinator (wanted: all whole, no gap over 2 s)", (*bench).faults},
}

// tell runs a command of ours and prints what it says.
func (b *bench) tell(args ...string) error {
	fmt.Println("millrace", strings.Join(args, " "))
	cmd := exec.Command(b.program("millrace"), args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// fleet is a coordinator and workers of the program with functions.
type fleet struct {
	bench   *bench
	folder  string
	env     []string
	server  string
	gossip  string
	head    *exec.Cmd
	waiting *exec.Cmd // a client
	stopped atomic.Bool

	supervisors sync.WaitGroup // of workers that are started again

	mu      sync.Mutex
	workers map[string]*exec.Cmd
}

func (b *bench) newFleet(env ...string) (*fleet, error) {
	folder, err := os.MkdirTemp(b.folder, "fleet-")
	if err != nil {
		return nil, err
	}
	f := &fleet{bench: b, folder: folder, env: env, workers: map[string]*exec.Cmd{}}
	return f, f.start("127.0.0.1:0", "127.0.0.1:0")
}

// start starts the coordinator.
func (f *fleet) start(listen, gossip string) (err error) {
	var said map[string]string
	f.head, said, err = f.launch("coordinator", "--log", "error", "--listen", listen, "--gossip", gossip)
	f.server, f.gossip = said["listen"], said["gossip"]
	return err
}

// add starts a worker of one slot.
func (f *fleet) add(name string) error {
	cmd, _, err := f.launch("worker", "--log", "error", "--name", name, "--join", f.gossip, "--slots", "1",
		"--data-root", "/", "--allow-command", "*", "--spool", f.folder)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.workers[name] = cmd
	if cmd != nil && f.stopped.Load() { // meanwhile
		cmd.Process.Kill()
	}
	return err
}

// launch starts a process, and reads what it prints of itself: two lines of a
// coordinator, three of a worker.
func (f *fleet) launch(args ...string) (*exec.Cmd, map[string]string, error) {
	cmd := exec.Command(f.bench.program("functions"), args...)
	cmd.Env, cmd.Stderr = append(os.Environ(), f.env...), os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, nil, err
	}
	said, lines := map[string]string{}, bufio.NewReader(out)
	for said["gossip"] == "" {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", args[0], errors.Join(err, cmd.Wait()))
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		said[name] = value
	}
	go io.Copy(io.Discard, out)
	return cmd, said, nil
}

// client is a client's command.
func (f *fleet) client(args ...string) *exec.Cmd {
	cmd := exec.Command(f.bench.program("functions"), args...)
	cmd.Env = append(os.Environ(), "MILLRACE_SERVER="+f.server)
	return cmd
}

// stop ends all processes at once.
func (f *fleet) stop() {
	f.stopped.Store(true)
	f.mu.Lock()
	processes := append(slices.Collect(maps.Values(f.workers)), f.head)
	f.mu.Unlock()
	for _, cmd := range processes {
		if cmd != nil {
			cmd.Process.Signal(syscall.SIGCONT) // it may be stopped
			cmd.Process.Kill()
			cmd.Wait() // it was killed, and says so
		}
	}
	f.supervisors.Wait()
	os.RemoveAll(f.folder)
}

// scaling runs the same job with one worker and with two, and a program by hand
// on one core and on two: no fleet is faster than the machine lets it be. All in
// turn.
func (b *bench) scaling() error {
	lines, err := b.lineFiles()
	if err != nil {
		return err
	}
	input := filepath.Join(lines, "*.txt")
	fmt.Println("submit --wait --function sha, 2,000,000 lines, workers with --slots 1")
	ours, hand := map[int][]time.Duration{}, map[int][]time.Duration{}
	for range b.runs {
		for _, n := range []int{1, 2} {
			took, err := b.shaOn(n, input)
			if err != nil {
				return err
			}
			ours[n] = append(ours[n], took)
			cmd := exec.Command(b.program("baseline"), "sha", input)
			cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(n))
			by, err := measure(cmd)
			if err != nil {
				return err
			}
			hand[n] = append(hand[n], by.wall)
		}
	}
	printScaling("workers", ours)
	printScaling("by hand, on cores", hand)
	return nil
}

func printScaling(name string, times map[int][]time.Duration) {
	middle := func(n int) float64 {
		slices.Sort(times[n])
		return times[n][len(times[n])/2].Seconds()
	}
	fmt.Printf("%-18s one %.2f s, two %.2f s: %.2f times the speed\n", name, middle(1), middle(2), middle(1)/middle(2))
}

func (b *bench) shaOn(workers int, input string) (time.Duration, error) {
	f, err := b.newFleet("GOMAXPROCS=1") // of all, the coordinator has little to do
	if err != nil {
		return 0, err
	}
	defer f.stop()
	for i := range workers {
		if err := f.add("w" + strconv.Itoa(i)); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	cmd := f.client("submit", "--wait", "--quiet", "--function", "sha", "--output", filepath.Join(f.folder, "out"), input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("submit: %w\n%s", err, out)
	}
	return time.Since(start), nil
}
