//go:build unix

package main_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// asking is a cluster of so many workers, w1 and so on, whose function `ask`
// asks a gate, line by line.
func asking(t *testing.T, workers int, flags ...string) (*cluster, *gate) {
	t.Helper()
	w := parallel(t, nil)
	w.program = functions
	c := w.newCluster(0, flags...)
	g := c.newGate()
	for _, name := range []string{"w1", "w2", "w3", "w4"}[:workers] {
		c.start(name)
	}
	for name := range c.members {
		c.attached(name)
	}
	return c, g
}

// asks submits a job that asks for each of so many lines, a batch each.
func (c *cluster) asks(name string, lines int, flags ...string) string {
	c.Helper()
	return c.begin(append([]string{"--function", "ask", "--batch-records", "1", c.lines(name, lines)}, flags...)...)
}

// has checks that a job is done, with all of its lines once and in order.
func (c *cluster) has(id, name string, lines int) {
	c.Helper()
	c.ends(id, "done")
	c.done(c.run("result", id), strings.Join(numbered(name, lines), "\n")+"\n")
}

// What a killed worker held runs elsewhere long before its lease would have
// ended: session and port are two witnesses.
func TestKilledWorker(t *testing.T) {
	c, g := asking(t, 3, "--lease", "10m")
	id := c.asks("line", 9)
	held := map[string]*question{}
	for len(held) < 3 {
		q := g.next()
		held[q.worker] = q
	}
	c.members["w2"].kill()
	held["w1"].pass()
	held["w3"].pass()
	g.opens()
	c.has(id, "line", 9)
	if n := g.times(held["w2"].line); n != 2 {
		t.Errorf("%q ran %d times", held["w2"].line, n)
	}
	if j := c.job(id); j.Records != 9 || j.Out != 9 || j.Retries != 0 {
		t.Errorf("counted %+v", j)
	}
}

// A worker that comes while a job runs gets a part of it.
func TestAddedWorker(t *testing.T) {
	c, g := asking(t, 1)
	id := c.asks("line", 6)
	first := g.next()
	c.start("w2")
	if second := g.next(); second.worker != "w2" {
		t.Errorf("%s runs %q", second.worker, second.line)
	} else {
		second.pass()
	}
	first.pass()
	g.opens()
	c.has(id, "line", 6)
}

// A worker that is asked to stop finishes what it runs and takes nothing new.
func TestTerminatedWorker(t *testing.T) {
	c, g := asking(t, 2)
	id := c.asks("line", 8)
	held := map[string]*question{}
	for len(held) < 2 {
		q := g.next()
		held[q.worker] = q
	}
	leaver := c.members["w1"]
	c.signal(leaver.cmd, syscall.SIGTERM)
	c.eventually("w1 drains", func() bool { return c.worker("w1").State == "draining" })
	held["w2"].pass()
	for range 3 {
		if q := g.next(); q.worker != "w2" {
			t.Errorf("%s was given %q while it drains", q.worker, q.line)
		} else {
			q.pass()
		}
	}
	held["w1"].pass()
	c.exits(leaver, 0)
	g.opens()
	c.has(id, "line", 8)
	if j := c.job(id); j.Retries != 0 {
		t.Errorf("counted %+v", j)
	}
}

// The second signal stops a worker at once, and what it held runs elsewhere.
func TestTerminatedTwice(t *testing.T) {
	c, g := asking(t, 1, "--lease", "10m")
	id := c.asks("line", 2)
	held := g.next()
	leaver := c.members["w1"]
	c.signal(leaver.cmd, syscall.SIGTERM)
	c.eventually("w1 drains", func() bool { return c.worker("w1").State == "draining" })
	c.signal(leaver.cmd, syscall.SIGTERM)
	c.exits(leaver, 143)
	c.start("w2")
	g.opens()
	c.has(id, "line", 2)
	if n := g.times(held.line); n != 2 {
		t.Errorf("%q ran %d times", held.line, n)
	}
}

// Operators empty workers by name or label, give them no new leases, and give
// them leases again.
func TestOperatorsEmptyWorkers(t *testing.T) {
	c, g := asking(t, 1)
	c.start("rack-1", "--label", "rack=7")
	c.attached("rack-1")
	id := c.asks("line", 6)
	held := map[string]*question{}
	for len(held) < 2 {
		q := g.next()
		held[q.worker] = q
	}
	c.done(outcome{status: c.run("cordon", "w1").status}, "")
	if w := c.worker("w1"); w.State != "cordoned" {
		t.Errorf("%+v", w)
	}
	c.done(outcome{status: c.run("drain", "--label", "rack=7").status}, "")
	held["rack-1"].pass()
	c.exits(c.members["rack-1"], 0)
	held["w1"].pass()
	c.eventually("the job waits", func() bool {
		return strings.Contains(strings.Join(c.job(id).Waiting, " "), "cordoned")
	})
	c.done(outcome{status: c.run("uncordon", "w1").status}, "")
	if q := g.next(); q.worker != "w1" {
		t.Errorf("%s runs %q", q.worker, q.line)
	} else {
		q.pass()
	}
	g.opens()
	c.has(id, "line", 6)
	if got := c.run("drain", "nobody"); got.status != 1 || !strings.Contains(got.stderr, "nobody") {
		t.Errorf("%+v", got)
	}
}

// A cordon goes by name, and outlives the process.
func TestCordonOutlivesTheWorker(t *testing.T) {
	c, _ := asking(t, 1)
	c.run("cordon", "w1")
	c.members["w1"].kill()
	c.start("w1")
	c.eventually("the new w1 is cordoned", func() bool {
		w := c.worker("w1")
		return w.State == "cordoned" && w.Session == "alive"
	})
}

// A worker that sleeps for longer than its leases loses them, does no harm when
// it wakes up, and goes on with new ones.
func TestSleepingWorker(t *testing.T) {
	c, g := asking(t, 2, "--lease", "1s", "--heartbeat", "100ms")
	id := c.asks("line", 6)
	held := map[string]*question{}
	for len(held) < 2 {
		q := g.next()
		held[q.worker] = q
	}
	sleeper := c.members["w1"].cmd
	c.signal(sleeper, syscall.SIGSTOP)
	held["w2"].pass()
	again := g.next()
	for again.line != held["w1"].line { // others may come first
		again.pass()
		again = g.next()
	}
	if again.worker != "w2" {
		t.Errorf("%s runs %q, which w1 held", again.worker, again.line)
	}
	again.pass()
	c.signal(sleeper, syscall.SIGCONT)
	g.leaves(held["w1"]) // it is told that its lease is gone
	c.attached("w1")
	g.opens()
	c.has(id, "line", 6)
	if n := g.times(held["w1"].line); n != 2 {
		t.Errorf("%q ran %d times", held["w1"].line, n)
	}
	if j := c.job(id); j.Records != 6 {
		t.Errorf("counted %+v", j)
	}

	c.signal(c.members["w2"].cmd, syscall.SIGSTOP)
	defer c.signal(c.members["w2"].cmd, syscall.SIGCONT)
	more := c.asks("more", 2)
	c.has(more, "more", 2) // by w1
}

// A worker that fails all that it gets is paused, and said to be; the job ends
// well by others.
func TestWorkerThatFailsEverything(t *testing.T) {
	c, g := asking(t, 2)
	id := c.asks("line", 40)
	failed := 0
	for c.worker("w1").State != "quarantined" {
		q := g.next()
		if q.worker == "w1" {
			failed++
			q.fail("this machine is ill")
		} else {
			q.pass()
		}
		if failed > 20 {
			t.Fatalf("w1 failed %d batches and still gets more:\n%s", failed, c.logs())
		}
	}
	if w := c.worker("w1"); !strings.Contains(w.Reason, "failed") {
		t.Errorf("%+v", w)
	}
	g.opens()
	c.has(id, "line", 40)
}

// A worker that lacks a program leaves it to others, and nothing is spent.
func TestWorkerWithoutTheProgram(t *testing.T) {
	files, want := map[string]string{}, ""
	for i := range 30 {
		files[fmt.Sprintf("in/%02d.txt", i)] = strings.Repeat("x\n", i)
		want += fmt.Sprintln(i)
	}
	c := parallel(t, files).newCluster(1)
	c.env = []string{"PATH=/nonexistent"}
	c.start("bare")
	c.attached("bare")
	id := c.begin("--command", "wc -l", "in")
	c.ends(id, "done")
	c.done(c.run("result", id), want)
	if j := c.job(id); j.Retries != 0 || c.worker("bare").State != "ready" {
		t.Errorf("%+v, %+v", j, c.worker("bare"))
	}
}

// After a restart of the coordinator the old jobs are gone, and it says so. The
// workers come back by themselves, drop what they ran of them, and clean up.
func TestCoordinatorRestarts(t *testing.T) {
	c, g := asking(t, 2)
	old := c.asks("line", 6)
	held := g.next()
	c.coordinator.kill()
	c.coordinator = c.boss(c.server(), c.gossip())
	c.attached("w1")
	c.attached("w2")
	g.leaves(held)
	got := c.run("get", old)
	if got.status != 1 || !strings.Contains(got.stderr, "started anew") {
		t.Errorf("the old job: %+v", got)
	}
	g.opens()
	fresh := c.asks("more", 4)
	c.has(fresh, "more", 4)
	c.done(outcome{status: c.run("rm", fresh).status}, "")
	for _, name := range []string{"spool-w1", "spool-w2"} {
		c.eventually("nothing is in "+name, func() bool { return len(c.find(name)) == 0 })
	}
}

// The coordinator comes back elsewhere, and is found.
func TestCoordinatorMoves(t *testing.T) {
	c, g := asking(t, 1)
	g.opens()
	_, gossip := c.server(), c.gossip()
	c.coordinator.kill()
	c.coordinator = c.boss("127.0.0.1:0", gossip)
	c.env = append(c.env, "MILLRACE_SERVER="+c.server())
	c.world.env = append(c.world.env, "MILLRACE_SERVER="+c.server())
	c.attached("w1")
	c.has(c.asks("line", 3), "line", 3)
}

// Two processes of one name: the second is refused, and both are named.
func TestTwoOfOneName(t *testing.T) {
	c, g := asking(t, 1)
	twin := c.startProgram(functions, "w1", "--spool", c.temp)
	c.exits(twin, 1, "w1", "another")
	c.attached("w1")
	g.opens()
	c.has(c.asks("line", 3), "line", 3)
}

// A worker that is killed and started again under its name is no conflict.
func TestRestartedWorker(t *testing.T) {
	c, g := asking(t, 1, "--lease", "10m")
	id := c.asks("line", 3)
	held := g.next()
	c.members["w1"].kill()
	c.start("w1")
	again := g.next()
	if again.line != held.line {
		t.Errorf("%q, and then %q", held.line, again.line)
	}
	again.pass()
	g.opens()
	c.has(id, "line", 3)
}
