//go:build unix

package main_test

import (
	"strings"
	"syscall"
	"testing"
)

// Two coordinators whose fleets have met each tell of the other. A worker stays
// with the one that it has, each runs its own jobs, and when one of them stops,
// its workers come to the other.
func TestTwoCoordinators(t *testing.T) {
	w := parallel(t, nil)
	w.program = functions
	c := w.newCluster(1)
	other := &cluster{world: w, members: map[string]*process{}}
	other.coordinator = other.boss("127.0.0.1:0", "127.0.0.1:0")
	other.start("w2")
	other.hears(other.coordinator, "worker attached", "w2")
	c.start("w3", "--join", other.gossip()) // by which they meet
	for _, boss := range []*cluster{c, other} {
		c.hears(boss.coordinator, "another coordinator", "stop one of them", c.server(), other.server())
	}

	name := c.lines("line", 20)
	for _, boss := range []*cluster{c, other} {
		at := []string{"--server", boss.server()}
		c.done(c.submit(append(at, "-q", "--function", "same", "--batches", "5", name)...), c.read(name))
	}
	c.eventually("each shows whose workers are with the other", func() bool {
		here, there := c.run("workers"), c.run("workers", "--server", other.server())
		return tells(here, "w1 ready", "w2 unattached", "at "+other.server()) &&
			tells(there, "w1 unattached", "w2 ready", "at "+c.server())
	})
	for _, p := range []*process{c.members["w1"], other.members["w2"], c.members["w3"]} {
		if n := strings.Count(p.log.String(), "msg=attached"); n != 1 {
			t.Errorf("it went to and fro, %d times:\n%s", n, p.log)
		}
	}

	c.signal(other.coordinator.cmd, syscall.SIGTERM)
	c.exits(other.coordinator, 0)
	for _, name := range []string{"w1", "w2", "w3"} {
		c.attached(name)
	}
}

// tells says whether a table has all these texts, however wide its columns are.
func tells(table outcome, texts ...string) bool {
	words := strings.Join(strings.Fields(table.stdout), " ")
	for _, text := range texts {
		if !strings.Contains(words, text) {
			return false
		}
	}
	return true
}
