package main_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// These tests run a fleet over a network of their own, and spoil it. They need
// root, and say so where they are left out.

// netLease is how long a lease of these tests lasts.
const netLease = 2 * time.Second

// spread is a cluster over a network: the coordinator and the client on the
// host c, workers on others.
type spread struct {
	*cluster
	*gate
	net *network
}

// newSpread starts a coordinator at an address of the host c, which gossips as
// if all were on one machine, so that tests need not wait.
func newSpread(n *network, address string) *spread {
	n.Helper()
	n.world.program = n.on("c", functions)
	c := &cluster{world: n.world, members: map[string]*process{}}
	c.coordinator = c.launch(n.world.program, "coordinator", "--log", "debug", "--listen", address, "--gossip", address,
		"--lease", netLease.String(), "--heartbeat", "300ms", "--gossip-profile", "local", "--insecure")
	n.world.env = append(n.world.env, "MILLRACE_SERVER="+c.server())
	return &spread{cluster: c, gate: c.newGate(), net: n}
}

// work starts a worker on a host, which has its name, that knows nothing but
// whom to join.
func (s *spread) work(host string) {
	s.cluster.Helper()
	s.startProgram(s.net.on(host, functions), host, "--data-root", s.dir, "--insecure", "--gossip-profile", "local")
}

// near lays the usual network, with workers on hosts of these names beside the
// coordinator.
func near(t *testing.T, workers ...string) *spread {
	t.Helper()
	n := newNetwork(parallel(t, nil))
	s := newSpread(n, n.host("c")+":0")
	for _, name := range workers {
		n.host(name)
		s.work(name)
	}
	for _, name := range workers {
		s.attached(name)
	}
	return s
}

// A worker that is cut off for longer than its lease, both ways or one way,
// loses what it held to the other one, does no harm with what it finished
// meanwhile, and comes back.
func TestCutOffWorker(t *testing.T) {
	for name, w := range map[string]way{"both ways": from | to, "nobody hears it": from, "it hears nobody": to} {
		t.Run(name, func(t *testing.T) {
			s := near(t, "w1", "w2")
			id := s.asks("line", 12)
			held := map[string]*question{}
			for len(held) < 2 {
				q := s.next()
				held[q.worker] = q
			}
			s.net.spoil("w1", w, fault{loss: 1})
			began := time.Now()
			held["w1"].pass()
			s.eventually("what w1 holds is taken back", func() bool { return s.holds("w1") == 0 })
			t.Logf("taken back after %v", time.Since(began))
			held["w2"].pass()
			<-time.After(netLease - time.Since(began)) // the cut lasts for longer, however soon it was noticed
			if w&from != 0 {                           // it could not say that it was done
				s.again(held["w1"].line, "w2")
			}
			s.net.spoil("w1", w, fault{})
			began = time.Now()
			s.attached("w1")
			t.Logf("back after %v", time.Since(began))

			more := s.asks("more", 12)
			s.comesBack("w1", "more")
			s.opens()
			s.has(id, "line", 12)
			s.has(more, "more", 12)
			if j := s.job(id); j.Records != 12 || j.Out != 12 {
				t.Errorf("counted %+v", j)
			}
		})
	}
}

// again passes lines until this one is asked for by that worker.
func (s *spread) again(line, worker string) {
	s.cluster.Helper()
	for q := s.next(); ; q = s.next() {
		q.pass()
		if q.line == line && q.worker == worker {
			return
		}
	}
}

// comesBack holds up all other workers until this one asks for a line of that
// job.
func (s *spread) comesBack(worker, lines string) {
	s.cluster.Helper()
	for {
		q := s.next()
		if q.worker != worker {
			defer q.pass()
			continue
		}
		q.pass()
		if strings.HasPrefix(q.line, lines) {
			return
		}
	}
}

// holds is how many leases a worker has, as the coordinator sees it.
func (s *spread) holds(name string) int {
	s.cluster.Helper()
	var all []struct {
		Name             string
		Running, Waiting int
	}
	got := s.run("workers", "--json")
	if err := json.Unmarshal([]byte(got.stdout), &all); err != nil {
		s.cluster.Fatalf("workers: %v\n%+v", err, got)
	}
	for _, w := range all {
		if w.Name == name {
			return w.Running + w.Waiting
		}
	}
	return 0
}

// Over a network that loses every fifth packet and is slow, a job that is cut by
// a fixed rule writes the same files as over a good one.
func TestBadNetwork(t *testing.T) {
	s := near(t, "w1", "w2")
	s.opens()
	quiet := s.begin("--function", "ask", "--batch-records", "5", "-o", s.path("quiet"), s.lines("line", 60))
	s.ends(quiet, "done")
	for _, host := range []string{"c", "w1", "w2"} {
		s.net.spoil(host, from, fault{loss: 0.2, delay: 100 * time.Millisecond})
	}
	began := time.Now()
	bad := s.begin("--function", "ask", "--batch-records", "5", "-o", s.path("bad"), s.path("line.txt"))
	s.ends(bad, "done")
	t.Logf("took %v", time.Since(began))
	s.sameFiles("quiet", "bad")
	if j := s.job(bad); j.Records != 60 || j.Out != 60 {
		t.Errorf("counted %+v", j)
	}
}

func (s *spread) sameFiles(a, b string) {
	s.cluster.Helper()
	names := s.list(a)
	if got := s.list(b); fmt.Sprint(got) != fmt.Sprint(names) || len(names) < 2 {
		s.cluster.Errorf("files %v, and then %v", names, got)
	}
	for _, name := range names {
		if s.read(filepath.Join(a, name)) != s.read(filepath.Join(b, name)) {
			s.cluster.Errorf("%s differs", name)
		}
	}
}

// Two workers that cannot reach each other, while the coordinator reaches both:
// what one of them holds and the other needs is fetched by a third.
func TestWorkersApart(t *testing.T) {
	s := near(t, "w1", "w2", "w3")
	s.net.part("w1", "w2")
	id := s.begin("--function", "ask", "--batch-records", "1", "-o", s.path("out"), "--single", s.lines("line", 12))
	held := map[string]*question{}
	for len(held) < 3 { // each has a part
		q := s.next()
		held[q.worker] = q
	}
	for _, q := range held {
		q.pass()
	}
	s.opens()
	s.ends(id, "done")
	if got := s.read("out/part-00000.txt"); got != strings.Join(numbered("line", 12), "\n")+"\n" {
		t.Errorf("it wrote %q", got)
	}
	if j := s.job(id); j.Records != 12 || j.Out != 12 {
		t.Errorf("counted %+v", j)
	}
}

// A worker in another network finds the coordinator, is found, and its outputs
// are fetched: it tells others the address from which it reaches them.
func TestWorkerBehindARouter(t *testing.T) {
	n := newNetwork(parallel(t, nil))
	s := newSpread(n, n.host("c")+":0")
	n.host("w1")
	address := n.behind("w2")
	s.work("w1")
	s.work("w2")
	s.attached("w1")
	s.attached("w2")
	for _, what := range []string{"data", "gossip"} {
		if said := s.members["w2"].said[what]; !strings.HasPrefix(said, address+":") {
			t.Errorf("it tells others that its %s is at %s, and is at %s", what, said, address)
		}
	}
	s.eventually("gossip of w2 is alive", func() bool { return s.worker("w2").Gossip == "alive" })
	id := s.asks("line", 8)
	held := map[string]*question{}
	for len(held) < 2 {
		q := s.next()
		held[q.worker] = q
	}
	for _, q := range held {
		q.pass()
	}
	s.opens()
	s.has(id, "line", 8)
}

// All of it works over IPv6.
func TestIPv6Fleet(t *testing.T) {
	n := newNetwork(parallel(t, nil))
	n.host("c")
	six := n.six("c")
	if six == "" {
		t.Skip("SKIPPED: this kernel has no IPv6")
	}
	s := newSpread(n, "["+six+"]:0")
	n.host("w1")
	s.work("w1")
	s.attached("w1")
	if said := s.members["w1"].said["data"]; !strings.HasPrefix(said, "["+n.six("w1")+"]:") {
		t.Errorf("it is reached at %s", said)
	}
	s.opens()
	s.has(s.asks("line", 3), "line", 3)
}
