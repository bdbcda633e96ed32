//go:build unix

package main_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

// A client that can't reach the workers reads a large result through the
// coordinator.
func TestResultThroughTheCoordinator(t *testing.T) {
	w := parallel(t, nil)
	w.program = functions
	c := w.newCluster(0)
	c.start("w1", "--listen", "127.0.0.1:0", "--gossip", "127.0.0.1:0", "--advertise", "127.0.0.1:9") // where nobody answers
	c.attached("w1")
	name := c.lines("line", 150000) // more than the shelf takes
	id := c.begin("--function", "same", "--batches", "3", name)
	c.ends(id, "done")
	c.done(c.run("result", id), c.read(name))
}

// Names are looked up, and IPv6 is as good as IPv4.
func TestAddresses(t *testing.T) {
	t.Run("a name", func(t *testing.T) {
		w := parallel(t, nil)
		w.program = functions
		c := w.newCluster(0)
		_, port, _ := net.SplitHostPort(c.gossip())
		c.startProgram(functions, "w1", "--data-root", c.dir, "--join", "localhost:"+port)
		c.attached("w1")
		c.has(c.begin("--function", "same", c.lines("line", 3)), "line", 3)
	})
	t.Run("IPv6", func(t *testing.T) {
		if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
			t.Skip("SKIPPED: no IPv6 here: ", err)
		} else {
			l.Close()
		}
		w := parallel(t, nil)
		w.program = functions
		c := w.newCluster(0, "--listen", "[::1]:0", "--gossip", "[::1]:0")
		c.start("w1")
		c.start("w2")
		c.attached("w1")
		c.attached("w2")
		if !strings.HasPrefix(c.members["w1"].said["data"], "[::1]:") {
			t.Errorf("w1 serves at %s", c.members["w1"].said["data"])
		}
		c.has(c.begin("--function", "same", "--batches", "9", c.lines("line", 9)), "line", 9)
	})
}

// Files of a sink are those of a quiet run, whoever is killed meanwhile.
func TestKilledWorkerOfAFileJob(t *testing.T) {
	c, g := asking(t, 3, "--lease", "10m")
	name := c.lines("line", 9)
	c.done(c.run("run", "-q", "--function", "same", "--batch-records", "1", "--output", "quiet", name), "")
	id := c.begin("--function", "ask", "--batch-records", "1", "--output", "out", name)
	held := map[string]*question{}
	for len(held) < 3 {
		q := g.next()
		held[q.worker] = q
	}
	held["w2"].pass()
	for q := g.next(); q.worker != "w2"; q = g.next() {
		q.pass()
	}
	c.members["w2"].kill() // with a file done, and one begun
	held["w1"].pass()
	held["w3"].pass()
	g.opens()
	c.ends(id, "done")
	quiet, out := c.list("quiet"), c.list("out")
	if strings.Join(quiet, " ") != strings.Join(out, " ") || len(out) != 10 {
		t.Fatalf("quiet %v, out %v", quiet, out)
	}
	for _, name := range quiet {
		if a, b := c.read("quiet/"+name), c.read("out/"+name); a != b {
			t.Errorf("%s: %.200q, %.200q", name, a, b)
		}
	}
}

// Jobs are paused, resumed and cancelled, and the client's going away is none of
// their business.
func TestJobsUnderControl(t *testing.T) {
	c, g := asking(t, 1)
	id := c.asks("line", 3)
	held := g.next()
	c.done(outcome{status: c.run("cancel", id).status}, "")
	g.leaves(held)
	c.ends(id, "cancelled")

	waiting := c.spawn(c.program, "submit", "--wait", "--key", "mine", "--function", "ask", "--batch-records", "1", c.lines("mine", 9))
	held = g.next()
	waiting.kill()
	id = c.begin("--key", "mine", "--function", "ask", "--batch-records", "1", "mine.txt")
	c.done(outcome{status: c.run("pause", id).status}, "")
	g.opens()
	held.pass()
	c.eventually("nothing runs", func() bool { return c.job(id).Running == 0 })
	if j := c.job(id); j.Batches < 1 || j.Batches > 8 {
		t.Errorf("paused with %+v", j)
	}
	c.done(outcome{status: c.run("resume", id).status}, "")
	c.has(id, "mine", 9)
}

// A key of gossip is changed while all go on: the new one is added, then put
// first, then alone.
func TestGossipKeysRotate(t *testing.T) {
	c := secured(t)
	old := strings.TrimSpace(c.read("pki/gossip.key"))
	if got := c.run("certs", "other"); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	fresh := strings.TrimSpace(c.read("other/gossip.key"))
	ready := func(n int) func() bool {
		return func() bool { return strings.Count(c.as("client", "workers", "--json").stdout, `"ready"`) == n }
	}
	for i, keys := range []string{old + "\n" + fresh, fresh + "\n" + old, fresh} {
		c.write("pki/gossip.key", keys+"\n")
		for name, p := range map[string]*process{"the coordinator": c.coordinator, "w1": c.members["w1"]} {
			c.eventually(name+" has the new keys", func() bool { return strings.Count(p.log.String(), "gossip keys changed") > i })
		}
		late := c.startProgram(functions, fmt.Sprintf("late-%d", i), append(certificate("worker"), "--data-root", c.dir)...)
		c.eventually("a worker with the new keys joins", ready(2))
		late.kill()
		c.eventually("it is gone", ready(1))
	}
}
