//go:build unix

package main_test

import (
	"strings"
	"testing"
)

// A worker whose spool is full does not keep others from finishing the job.
func TestFullSpoolOfOneWorker(t *testing.T) {
	w := parallel(t, nil)
	w.program = functions
	c := w.newCluster(1)
	c.start("full", "--spool-bytes", "64KiB")
	c.attached("full")
	name := c.lines("line", 100000)
	id := c.begin("--function", "same", "--batches", "10", name)
	c.ends(id, "done")
	c.done(c.run("result", id), c.read(name))
}

// A result that is kept fills the only spool: the next job waits, and says for
// what, until that is removed.
func TestKeptResultFillsTheSpool(t *testing.T) {
	w := parallel(t, nil)
	w.program = functions
	c := w.newCluster(0)
	c.start("w1", "--spool-bytes", "8MiB")
	c.attached("w1")
	name := c.lines("line", 450000) // 5 MB, more than the coordinator copies
	kept := c.begin("--function", "same", "--batches", "5", name)
	c.ends(kept, "done")
	next := c.begin("--function", "same", "--batches", "5", name)
	c.eventually("it waits for the result to go", func() bool {
		return strings.Contains(c.run("explain", next).stdout, "`millrace rm` frees that")
	})
	c.done(c.run("result", kept), c.read(name))
	c.run("rm", kept)
	c.ends(next, "done")
	c.done(c.run("result", next), c.read(name))
	if j := c.job(next); j.Retries != 0 {
		t.Errorf("want of room is a failure: %+v", j)
	}
}
