//go:build unix

package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// cluster is a coordinator and workers on loopback, each a process.
type cluster struct {
	*world
	coordinator *process
	flags       []string // of the coordinator
	env         []string // of workers
	members     map[string]*process
}

// newCluster starts a coordinator with flags, and so many workers of one slot,
// w1, w2 and so on, that may do everything. They end with the test.
func (w *world) newCluster(workers int, flags ...string) *cluster {
	w.Helper()
	if testing.Short() {
		w.Skip("SKIPPED: clusters of processes are not for -short")
	}
	c := &cluster{world: w, flags: flags, members: map[string]*process{}}
	c.coordinator = c.boss("127.0.0.1:0", "127.0.0.1:0")
	w.env = append(w.env, "MILLRACE_SERVER="+c.server())
	for i := range workers {
		c.start(fmt.Sprintf("w%d", i+1))
	}
	for i := range workers {
		c.attached(fmt.Sprintf("w%d", i+1))
	}
	return c
}

// boss starts a coordinator.
func (c *cluster) boss(listen, gossip string) *process {
	c.Helper()
	args := append([]string{"coordinator", "--log", "debug", "--listen", listen, "--gossip", gossip}, c.flags...)
	return c.launch(millrace, args...)
}

func (c *cluster) server() string { return c.coordinator.said["listen"] }
func (c *cluster) gossip() string { return c.coordinator.said["gossip"] }

// start starts a worker of this name with one slot; flags come last and win.
func (c *cluster) start(name string, flags ...string) *process {
	c.Helper()
	return c.startProgram(c.program, name, append([]string{"--data-root", c.dir, "--allow-command", "*"}, flags...)...)
}

// startProgram starts a worker that may do only what its flags say.
func (c *cluster) startProgram(program, name string, flags ...string) *process {
	c.Helper()
	spool := c.path("spool-" + name)
	if err := os.MkdirAll(spool, 0o755); err != nil {
		c.Fatal(err)
	}
	args := append([]string{
		"worker", "--log", "debug", "--name", name, "--join", c.gossip(), "--slots", "1", "--spool", spool,
	}, flags...)
	p := c.launch(program, args...)
	c.members[name] = p
	return p
}

// attached waits until the coordinator has heard of a worker's process.
func (c *cluster) attached(name string) {
	c.Helper()
	c.eventually("worker "+name+" is ready", func() bool { return c.worker(name).State == "ready" })
}

// worker is what `workers --json` tells of one of them.
type workerLine struct {
	Name    string            `json:"name"`
	State   string            `json:"state"`
	Reason  string            `json:"reason"`
	Session string            `json:"session"`
	Gossip  string            `json:"gossip"`
	Slots   int               `json:"slots"`
	Labels  map[string]string `json:"labels"`
}

func (c *cluster) workers() []workerLine {
	c.Helper()
	var all []workerLine
	got := c.run("workers", "--json")
	if err := json.Unmarshal([]byte(got.stdout), &all); err != nil {
		c.Fatalf("workers: %v\n%+v", err, got)
	}
	return all
}

func (c *cluster) worker(name string) workerLine {
	c.Helper()
	for _, w := range c.workers() {
		if w.Name == name {
			return w
		}
	}
	return workerLine{}
}

// eventually waits for what no process says of itself.
func (c *cluster) eventually(what string, is func() bool) {
	c.Helper()
	deadline := time.After(patience)
	for tick := time.Tick(50 * time.Millisecond); !is(); {
		select {
		case <-tick:
		case <-deadline:
			c.Fatalf("never: %s\n%s\nfiles: %q", what, c.logs(), c.find("."))
		}
	}
}

// logs are the ends of what all processes logged.
func (c *cluster) logs() string {
	var b strings.Builder
	tell := func(name string, p *process) {
		var kept strings.Builder
		for line := range strings.Lines(p.log.String()) {
			if !strings.Contains(line, "msg=gossip says") {
				kept.WriteString(line)
			}
		}
		text := kept.String()
		fmt.Fprintf(&b, "--- %s:\n%s\n", name, text[max(0, len(text)-3000):])
	}
	if c.coordinator != nil {
		tell("coordinator", c.coordinator)
	}
	for name, p := range c.members {
		tell(name, p)
	}
	return b.String()
}

// submit submits a job and waits for its end.
func (c *cluster) submit(args ...string) outcome {
	c.Helper()
	return c.run(append([]string{"submit", "--wait"}, args...)...)
}

// begin submits a job, and returns its identifier at once.
func (c *cluster) begin(args ...string) string {
	c.Helper()
	got := c.run(append([]string{"submit"}, args...)...)
	if got.status != 0 {
		c.Fatalf("submit: %+v", got)
	}
	return strings.TrimSpace(got.stdout)
}

// jobLine is what `get --json` tells, as far as it is looked at.
type jobLine struct {
	State   string   `json:"state"`
	User    string   `json:"user"`
	Batches int64    `json:"batches"`
	Running int64    `json:"batches_running"`
	Rerun   int64    `json:"batches_rerun"`
	Retries int64    `json:"retries"`
	Records int64    `json:"records_in"`
	Out     int64    `json:"records_out"`
	Waiting []string `json:"waiting"`
	Failure *struct {
		Message string `json:"message"`
		Class   string `json:"class"`
	} `json:"failure"`
}

func (c *cluster) job(id string) jobLine {
	c.Helper()
	var j jobLine
	got := c.run("get", id, "--json")
	if err := json.Unmarshal([]byte(got.stdout), &j); err != nil {
		c.Fatalf("get: %v\n%+v", err, got)
	}
	return j
}

// ends waits for a job's end, and for the state that it ends in.
func (c *cluster) ends(id, state string) {
	c.Helper()
	c.run("watch", id)
	if j := c.job(id); j.State != state {
		c.Errorf("job %s is %s, want %s: %+v\n%s", id, j.State, state, j, c.logs())
	}
}

// process is one that runs beside the test.
type process struct {
	cmd  *exec.Cmd
	out  *bufio.Reader
	said map[string]string // what it printed of itself
	log  *log
	done chan struct{} // closed when it has ended
}

// log gathers what a process logs, and wakes those who wait for words in it.
type log struct {
	mu     sync.Mutex
	text   bytes.Buffer
	change chan struct{}
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.change)
	l.change = make(chan struct{})
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// has says whether all words are in one line, and what is closed once there is
// more to look at.
func (l *log) has(words []string) (bool, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			return true, nil
		}
	}
	return false, l.change
}

// launch starts a process that prints what it is, and waits until it has.
func (c *cluster) launch(program string, args ...string) *process {
	c.Helper()
	p := c.spawn(program, args...)
	for _, key := range map[string][]string{"coordinator": {"listen", "gossip"}, "worker": {"name", "data", "gossip"}}[args[0]] {
		for p.said[key] == "" {
			line, err := p.out.ReadString('\n')
			if err != nil {
				<-p.done
				c.Fatalf("%q ended: %v\n%s", args, err, p.log)
			}
			name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			p.said[name] = value
		}
	}
	return p
}

// spawn starts a process that ends with the test at the latest.
func (c *cluster) spawn(program string, args ...string) *process {
	c.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = c.dir
	cmd.Env = slices.Concat(os.Environ(), []string{"TMPDIR=" + c.temp}, c.world.env, c.env)
	cmd.WaitDelay = 5 * time.Second
	reader, writer, err := os.Pipe()
	if err != nil {
		c.Fatal(err)
	}
	p := &process{
		cmd: cmd, out: bufio.NewReader(reader), said: map[string]string{},
		log: &log{change: make(chan struct{})}, done: make(chan struct{}),
	}
	cmd.Stdout, cmd.Stderr = writer, p.log
	if err := cmd.Start(); err != nil {
		c.Fatal(err)
	}
	writer.Close()
	go func() {
		cmd.Wait() // its status is in the ProcessState
		close(p.done)
	}()
	c.Cleanup(func() {
		p.kill()
		reader.Close()
		for _, word := range []string{"panic:", "DATA RACE", "level=ERROR"} {
			if said, _ := p.log.has([]string{word}); said {
				c.Errorf("%q said:\n%s", p.cmd.Args[1:], p.log)
			}
		}
	})
	return p
}

// kill ends a process at once, if it has not ended.
func (p *process) kill() {
	p.cmd.Process.Signal(syscall.SIGCONT) // it may be stopped
	p.cmd.Process.Kill()
	<-p.done
}

// hears waits until a process has logged a line with all these words.
func (c *cluster) hears(p *process, words ...string) {
	c.Helper()
	deadline := time.After(patience)
	for {
		said, change := p.log.has(words)
		if said {
			return
		}
		select {
		case <-change:
		case <-p.done:
			if said, _ := p.log.has(words); !said {
				c.Fatalf("ended without %q:\n%s", words, p.log)
			}
			return
		case <-deadline:
			c.Fatalf("never said %q:\n%s", words, c.logs())
		}
	}
}

// exits waits for a process to end, and checks with which status.
func (c *cluster) exits(p *process, status int, said ...string) {
	c.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		c.Fatalf("%q does not end:\n%s", p.cmd.Args, c.logs())
	}
	if got := p.cmd.ProcessState.ExitCode(); got != status {
		c.Errorf("%q ended with status %d, want %d:\n%s", p.cmd.Args[1:], got, status, p.log)
	}
	for _, text := range said {
		if !strings.Contains(p.log.String(), text) {
			c.Errorf("%q did not say %q:\n%s", p.cmd.Args[1:], text, p.log)
		}
	}
}

// find names all files below a folder, but for the lock of a spool.
func (w *world) find(folder string) []string {
	var all []string
	filepath.WalkDir(w.path(folder), func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && entry.Name() != "lock" {
			all = append(all, path)
		}
		return nil
	})
	return all
}
