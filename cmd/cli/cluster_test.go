package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// process is a coordinator or a worker as it runs.
type process struct {
	*world
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	told   map[string]string // what it printed when it began
	ended  bool
}

// serve starts a coordinator or a worker, and reads what it tells of itself. The
// test's end asks it to stop, and waits until it has.
func (w *world) serve(args ...string) *process {
	w.Helper()
	p := &process{world: w, cmd: w.command(append(args, "--json")...), stderr: &bytes.Buffer{}}
	p.cmd.Stderr = p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		w.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		w.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err == nil {
		err = json.Unmarshal([]byte(line), &p.told)
	}
	if err != nil {
		w.Fatalf("%v told %q: %v\n%s", args, line, err, p.wait().stderr)
	}
	w.Cleanup(func() {
		if !p.ended {
			p.signal(syscall.SIGTERM)
			if got := p.wait(); got.status != 0 {
				w.Errorf("%v: status %d\n%s", args, got.status, got.stderr)
			}
		}
	})
	return p
}

func (p *process) signal(s syscall.Signal) {
	p.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.Fatal(err)
	}
}

// wait waits for the process to end by itself.
func (p *process) wait() outcome {
	p.Helper()
	p.ended = true
	return p.judge(p.cmd, p.cmd.Wait(), &bytes.Buffer{}, p.stderr)
}

// cluster is a coordinator, and workers that see the world's folder.
type cluster struct {
	*world
	coordinator *process
}

// cluster starts a coordinator on loopback.
func (w *world) cluster(args ...string) *cluster {
	w.Helper()
	return &cluster{w, w.serve(append([]string{"coordinator", "--listen", "127.0.0.1:0"}, args...)...)}
}

// worker starts a worker, and waits until it has attached.
func (c *cluster) worker(name string, args ...string) *process {
	c.Helper()
	p := c.serve(append([]string{"worker", "--join", c.coordinator.told["gossip"], "--name", name, "--slots", "2",
		"--data-root", c.dir, "--spool", c.temp, "--allow-command", "*"}, args...)...)
	for {
		for _, known := range c.workers() {
			if known.Name == name && known.State != "unattached" {
				return p
			}
		}
	}
}

// workers lists the workers.
func (c *cluster) workers() []workerJSON {
	c.Helper()
	var list []workerJSON
	got := c.ask("workers", "--json")
	if err := json.Unmarshal([]byte(got.stdout), &list); err != nil {
		c.Fatalf("%v: %+v", err, got)
	}
	return list
}

// ask runs a client's command.
func (c *cluster) ask(args ...string) outcome {
	c.Helper()
	return c.askWith("", args...)
}

func (c *cluster) askWith(stdin string, args ...string) outcome {
	c.Helper()
	cmd := c.client(args...)
	cmd.Stdin = io.MultiReader(strings.NewReader(stdin)) // a pipe, not a file
	return c.finish(cmd)
}

// client is a client's process that has not been started.
func (c *cluster) client(args ...string) *exec.Cmd {
	c.Helper()
	cmd := c.command(args...)
	cmd.Env = append(cmd.Env, "MILLRACE_SERVER="+c.coordinator.told["listen"])
	return cmd
}

// submit submits a job, and returns its identifier.
func (c *cluster) submit(args ...string) string {
	c.Helper()
	got := c.ask(append([]string{"submit"}, args...)...)
	id := strings.TrimSuffix(got.stdout, "\n")
	if got.status != 0 || id == "" || strings.ContainsAny(id, " \n") {
		c.Fatalf("%v: %+v", args, got)
	}
	return id
}

// job is how a job is.
func (c *cluster) job(id string) jobJSON {
	c.Helper()
	var job jobJSON
	got := c.ask("get", "--json", id)
	if err := json.Unmarshal([]byte(got.stdout), &job); err != nil {
		c.Fatalf("%v: %+v", err, got)
	}
	return job
}

// until asks for a job until it is as wanted.
func (c *cluster) until(id string, as func(jobJSON) bool) jobJSON {
	c.Helper()
	for {
		if job := c.job(id); as(job) {
			return job
		}
		if c.Failed() {
			c.FailNow()
		}
	}
}

func running(j jobJSON) bool { return j.BatchesRunning > 0 }

// ofBooks is a cluster of one worker with books.
func ofBooks(t *testing.T) *cluster {
	t.Helper()
	c := place(t, books).cluster()
	c.worker("w1")
	return c
}

// jobs lists the jobs.
func (c *cluster) jobs() []jobJSON {
	c.Helper()
	var list []jobJSON
	got := c.ask("list", "--json")
	if err := json.Unmarshal([]byte(got.stdout), &list); err != nil {
		c.Fatalf("%v: %+v", err, got)
	}
	return list
}

// interrupted runs a process until it has said something on standard error, and
// sends it a signal then.
func (w *world) interrupted(cmd *exec.Cmd, said string, by syscall.Signal) outcome {
	w.Helper()
	pipe, err := cmd.StderrPipe()
	if err != nil {
		w.Fatal(err)
	}
	stdout := &bytes.Buffer{}
	cmd.Stdout = stdout
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	stderr, lines := &bytes.Buffer{}, bufio.NewReader(pipe)
	for sent := false; ; {
		line, err := lines.ReadString('\n')
		stderr.WriteString(line)
		if !sent && strings.Contains(line, said) {
			sent = true
			if err := cmd.Process.Signal(by); err != nil {
				w.Fatal(err)
			}
		}
		if err != nil {
			return w.judge(cmd, cmd.Wait(), stdout, stderr)
		}
	}
}

// write writes a file into the world's folder.
func (w *world) write(name, text string) {
	w.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o644); err != nil {
		w.Fatal(err)
	}
}

// fifo makes a named pipe; opening it waits for the other side.
func (w *world) fifo(name string) {
	w.Helper()
	if err := syscall.Mkfifo(filepath.Join(w.dir, name), 0o666); err != nil {
		w.Fatal(err)
	}
}

// release lets go who reads from a named pipe.
func (w *world) release(name string) {
	w.Helper()
	file, err := os.OpenFile(filepath.Join(w.dir, name), os.O_WRONLY, 0)
	if err != nil {
		w.Fatal(err)
	}
	file.Close()
}

// golden compares a text with a file of testdata, which -update writes anew.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		t.Errorf("%v; %s is\n%s\nand not\n%s", err, path, got, want)
	}
}
