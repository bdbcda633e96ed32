//go:build unix

package main_test

import "testing"

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
