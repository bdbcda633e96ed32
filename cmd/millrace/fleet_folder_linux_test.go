package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// apart starts a worker that has a folder of its own in the place of one that the
// others share: a share that is not mounted there.
func (c *cluster) apart(name, shared, own string) {
	c.Helper()
	if out, err := exec.Command("unshare", "-m", "true").CombinedOutput(); err != nil {
		c.Skipf("SKIPPED: a mount namespace is needed, which takes privilege: %v: %s", err, out)
	}
	script := c.path(name + ".sh")
	text := fmt.Sprintf("#!/bin/sh\nexec unshare -m sh -c 'mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"' sh '%s' '%s' '%s' \"$@\"\n",
		c.path(own), c.path(shared), c.program)
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		c.Fatal(err)
	}
	c.startProgram(script, name, "--data-root", c.dir, "--allow-command", "*")
	c.attached(name)
}

// An output folder that a worker does not share fails the job before anything is
// written, whoever plans it; with the worker cordoned the job is done.
func TestOutputFolderIsShared(t *testing.T) {
	files := map[string]string{"share/.keep": "", "own/.keep": ""}
	for i := range 6 {
		files[fmt.Sprintf("in/%d.txt", i)] = "x\n"
	}
	c := parallel(t, files).newCluster(1)
	c.apart("q", "share", "own")
	for i := range 4 {
		got := c.submit("--command", "cat", "--output", fmt.Sprintf("share/out%d", i), "in")
		says := []string{"the output folder is not the same on all workers: ", "does not see what", "--label", fmt.Sprintf("share/out%d", i)}
		for _, want := range says {
			if got.status != 1 || !strings.Contains(got.stderr, want) {
				t.Errorf("%q is not said: %+v", want, got)
			}
		}
		for _, name := range []string{"share", "own"} {
			left := fmt.Sprintf("out%d", i)
			c.eventually("nothing is left in "+name, func() bool {
				_, err := os.Stat(c.path(name + "/" + left))
				return os.IsNotExist(err)
			})
		}
	}
	c.done(outcome{status: c.run("cordon", "q").status}, "")
	got := c.submit("-q", "--command", "cat", "--output", "share/done", "in")
	c.done(got, "")
	if n := len(c.list("share/done")); n != 7 {
		t.Errorf("the folder holds %v", c.list("share/done"))
	}
}

// A worker that comes later and has another folder is left out, and that is told.
func TestLateWorkerWithAnotherFolder(t *testing.T) {
	w := parallel(t, map[string]string{"share/.keep": "", "own/.keep": ""})
	w.program = functions
	c := w.newCluster(0)
	g := c.newGate()
	c.start("w1")
	c.attached("w1")
	id := c.begin("--function", "ask", "--batch-records", "1", "--output", "share/out", c.lines("in", 3))
	held := g.next()
	c.apart("q", "share", "own")
	c.eventually("it is told", func() bool {
		got := c.run("get", id)
		return strings.Contains(got.stdout+got.stderr, "worker q gets nothing of it: this worker does not see the marker")
	})
	held.pass()
	g.opens()
	c.ends(id, "done")
	if left := c.list("own"); strings.Contains(strings.Join(left, " "), "out") {
		t.Errorf("it has written %v", left)
	}
}
