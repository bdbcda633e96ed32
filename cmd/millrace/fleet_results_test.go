//go:build unix

package main_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// A result is read as often as wanted, by Flight and through the coordinator,
// and is gone when its time is over.
func TestKeptResult(t *testing.T) {
	needSQL(t)
	w := parallel(t, sales(3, 400))
	c := w.newCluster(2)
	want := w.run("run", "-q", "--batches", "8", "--sql", "SELECT * FROM input WHERE amount % 5 = 0", "sales/*.csv").stdout
	id := c.begin("--batches", "8", "--sql", "SELECT * FROM input WHERE amount % 5 = 0", "sales/*.csv")
	for range 3 {
		w.done(c.run("result", id), want)
	}
	as := c.run("result", id, "--output-format", "json")
	if n := strings.Count(as.stdout, "\n"); as.status != 0 || n != strings.Count(want, "\n")-1 {
		t.Errorf("as JSON %d lines: %+v", n, as)
	}
	w.done(outcome{status: c.run("rm", id).status}, "")
	if got := c.run("result", id); got.status != 1 || !strings.Contains(got.stderr, id) {
		t.Errorf("after rm: %+v", got)
	}
	short := c.begin("--keep", "1ms", "--sql", "SELECT 1 AS one FROM input LIMIT 1", "sales/0.csv")
	c.eventually("the job is forgotten", func() bool { return c.run("get", short).status == 1 })
}

// A small result outlives its workers, without any of them.
func TestSmallResultOutlivesItsWorkers(t *testing.T) {
	w := parallel(t, nil)
	w.program = functions
	c := w.newCluster(1)
	id := c.begin("--function", "same", c.lines("line", 100), "--batches", "7")
	c.ends(id, "done")
	c.hears(c.coordinator, "result copied", id)
	c.members["w1"].kill()
	c.done(c.run("result", id), strings.Join(numbered("line", 100), "\n")+"\n")
}

// What is lost of a large result with its worker is made again when somebody
// asks for it, exactly that, and is the same.
func TestLostResultIsMadeAgain(t *testing.T) {
	c, g := asking(t, 2, "--lease", "3s", "--worker-gone", "3s")
	text := strings.Repeat("x", 2<<20) // a line that no shelf takes
	c.write("large.txt", "a "+text+"\nb "+text+"\nc "+text+"\nd "+text+"\n")
	id := c.begin("--function", "ask", "--batch-records", "1", "--max-record", "4MiB", "large.txt")
	held := map[string]*question{}
	for len(held) < 2 {
		q := g.next()
		held[q.worker] = q
	}
	by := map[string]int{}
	for _, q := range held {
		by[q.worker]++
		q.pass()
	}
	for range 2 {
		q := g.next()
		by[q.worker]++
		q.pass()
	}
	c.ends(id, "done")
	lost := by["w1"]
	c.members["w1"].kill()
	g.opens()
	c.done(c.run("result", id), c.read("large.txt"))
	if j := c.job(id); j.Rerun != int64(lost) {
		t.Errorf("%d batches ran again, %d were lost", j.Rerun, lost)
	}
	c.done(c.run("result", id), c.read("large.txt"))
}

// A result whose input is gone too can't be made again, and that is said.
func TestLostResultThatCantBeMadeAgain(t *testing.T) {
	w := parallel(t, nil)
	w.program = functions
	c := w.newCluster(2, "--lease", "3s", "--worker-gone", "3s")
	c.write("large.txt", strings.Repeat(strings.Repeat("y", 1000)+"\n", 4000))
	id := c.begin("--function", "same", "--batches", "4", "large.txt")
	c.ends(id, "done")
	c.write("large.txt", "other\n")
	c.members["w1"].kill()
	c.members["w2"].kill()
	c.start("w3")
	c.attached("w3")
	if got := c.run("result", id); got.status != 1 || !strings.Contains(got.stderr, "large.txt") {
		t.Errorf("%.300s\n%s", got.stdout, got.stderr)
	}
}

// What is still needed of a dead worker's outputs is made again, and no more.
func TestLostOutputsAreMadeAgain(t *testing.T) {
	c, g := asking(t, 2, "--lease", "3s", "--worker-gone", "3s")
	id := c.begin("--function", "count", "--batch-records", "1", c.lines("line", 6))
	held := map[string]*question{}
	for len(held) < 2 {
		q := g.next()
		held[q.worker] = q
	}
	held["w1"].pass() // this output is lost
	if next := g.next(); next.worker != "w1" {
		t.Fatalf("%s runs %q", next.worker, next.line)
	}
	c.eventually("the output is known", func() bool { return c.job(id).Batches == 1 })
	c.members["w1"].kill()
	held["w2"].pass()
	g.opens()
	c.ends(id, "done")
	c.done(c.run("result", id, "--output-format", "lines"), "lines\t6\n")
	if j := c.job(id); j.Rerun != 1 || j.Records != 6 {
		t.Errorf("1 batch was lost with its output: %+v", j)
	}
	if n := g.times(held["w1"].line); n != 2 {
		t.Errorf("%q ran %d times", held["w1"].line, n)
	}
}

// What a worker has done is taken over by others before it leaves, and nothing
// runs again.
func TestDrainedWorkerHandsOver(t *testing.T) {
	c, g := asking(t, 2)
	text := strings.Repeat("x", 2<<20) // a line that no shelf takes
	c.write("large.txt", "a "+text+"\nb "+text+"\nc "+text+"\nd "+text+"\ne "+text+"\nf "+text+"\n")
	id := c.begin("--function", "ask", "--batch-records", "1", "--max-record", "4MiB", "large.txt")
	by := map[string]int{}
	for by["w1"] < 2 || by["w2"] < 1 {
		q := g.next()
		by[q.worker]++
		q.pass()
	}
	c.eventually("they are known", func() bool { return c.job(id).Batches >= 3 })
	c.signal(c.members["w1"].cmd, syscall.SIGTERM)
	g.opens()
	c.exits(c.members["w1"], 0)
	c.ends(id, "done")
	c.done(c.run("result", id), c.read("large.txt"))
	if j := c.job(id); j.Rerun != 0 {
		t.Errorf("%d batches ran again", j.Rerun)
	}
}

// Results that are streamed while the job runs, to a reader that is slow and one
// that goes away.
func TestStreamedResult(t *testing.T) {
	w := parallel(t, nil)
	w.program = functions
	c := w.newCluster(2)
	name := c.lines("line", 20000)
	got := c.submit("-q", "--keep", "0", "--function", "same", "--batches", "50", name)
	c.done(got, c.read(name))
	if list := c.run("list", "--json"); strings.Count(list.stdout, `"kept": false`) != 1 {
		t.Errorf("%+v", list)
	}
}

// Many outputs are merged near where they are, and read as one.
func TestManyOutputsOnManyWorkers(t *testing.T) {
	w := parallel(t, nil)
	w.program = functions
	c := w.newCluster(3)
	name := c.lines("line", 3000)
	id := c.begin("--function", "same", "--batch-records", "1", name)
	c.ends(id, "done")
	c.done(c.run("result", id), c.read(name))
	if j := c.job(id); j.Batches != 3000 || j.Rerun != 0 {
		t.Errorf("%+v", j)
	}
}

// The same key is the same job.
func TestSubmittedTwice(t *testing.T) {
	w := parallel(t, nil)
	w.program = functions
	c := w.newCluster(1)
	name := c.lines("line", 3)
	first := c.begin("--key", "once", "--function", "same", name)
	if again := c.begin("--key", "once", "--function", "same", name); again != first {
		t.Errorf("%s and %s", first, again)
	}
	if got := c.run("submit", "--key", "once", "--function", "silent", name); got.status == 0 {
		t.Errorf("another job under the same key: %+v", got)
	}
	c.has(first, "line", 3)
	if n := strings.Count(c.run("list", "--json").stdout, `"id"`); n != 1 {
		t.Error(fmt.Sprint(n, " jobs"))
	}
}
