//go:build unix

package main_test

import (
	"os"
	"strings"
	"testing"
)

// A job that needs a function which no worker has waits and says so, until a
// program of somebody's own joins that has it.
func TestMissingFunctionIsAwaited(t *testing.T) {
	w := parallel(t, nil)
	c := w.newCluster(1)
	w.program = functions
	id := c.begin("--function", "same", c.lines("line", 4), "--batches", "2")
	c.eventually("explain says what is missing", func() bool {
		got := c.run("explain", id)
		return strings.Contains(got.stdout, "function:same")
	})
	if j := c.job(id); !strings.Contains(strings.Join(j.Waiting, " "), "function:same") {
		t.Errorf("get does not say why it waits: %+v", j)
	}
	c.start("own")
	c.has(id, "line", 4)
}

// Jobs wait for workers with their labels.
func TestLabels(t *testing.T) {
	w := parallel(t, nil)
	w.program = functions
	c := w.newCluster(1)
	c.write("job.yaml", "source: {files: [line.txt]}\nlabels: {pool: night}\nstages: [{function: same}]\n")
	c.lines("line", 3)
	id := c.begin("job.yaml")
	c.eventually("explain says what is missing", func() bool {
		return strings.Contains(c.run("explain", id).stdout, "pool")
	})
	c.start("night", "--label", "pool=night", "--zone", "here")
	c.has(id, "line", 3)
	if w := c.worker("night"); w.Labels["pool"] != "night" {
		t.Errorf("%+v", w)
	}
}

// Workers run the programs that they were told to allow, and no others.
func TestAllowedPrograms(t *testing.T) {
	w := parallel(t, map[string]string{"a.txt": "a\nb\n"})
	c := w.newCluster(0)
	c.startProgram(millrace, "w1", "--data-root", c.dir, "--allow-command", "wc")
	c.attached("w1")
	c.done(c.submit("-q", "--command", "wc -l", "a.txt"), "2\n")
	id := c.begin("--command", "cat", "a.txt")
	c.eventually("explain says what is missing", func() bool {
		return strings.Contains(c.run("explain", id).stdout, "command:cat")
	})
	shell := c.begin("--shell", "--command", "cat | wc -l", "a.txt")
	c.eventually("a shell is a program", func() bool {
		return strings.Contains(c.run("explain", shell).stdout, "command:/bin/sh")
	})
	c.startProgram(millrace, "w2", "--data-root", c.dir, "--allow-command", "*")
	c.ends(id, "done")
	c.ends(shell, "done")
	c.done(c.run("result", id), "a\nb\n")
}

// Workers read and write below their data roots, whatever a job says.
func TestDataRoots(t *testing.T) {
	w := parallel(t, map[string]string{
		"data/a.txt": "a\n", "secret/s.txt": "secret\n", "data-too/b.txt": "b\n",
	})
	for link, to := range map[string]string{"data/link.txt": w.path("secret/s.txt"), "data/folder": w.path("secret"), "data/up": "../secret"} {
		if err := os.Symlink(to, w.path(link)); err != nil {
			t.Fatal(err)
		}
	}
	w.program = functions
	c := w.newCluster(0)
	c.startProgram(functions, "w1", "--data-root", c.path("data"), "--data-root", c.path("data-too"))
	c.attached("w1")
	c.done(c.submit("-q", "--function", "same", "data/a.txt", "data-too/b.txt"), "a\nb\n")
	for _, path := range []string{
		"secret/s.txt", "data/../secret/s.txt", "data/link.txt", "data/folder/s.txt", "data/up/s.txt", "/etc/passwd", "data/folder/*.txt",
	} {
		got := c.submit("-q", "--function", "same", path)
		if got.status != 1 || got.stdout != "" || !strings.Contains(got.stderr, c.path("data")) {
			t.Errorf("%s: status %d, %q, %s", path, got.status, got.stdout, got.stderr)
		}
	}
	for _, folder := range []string{"out", "data/folder/out", "data/../out"} {
		got := c.submit("-q", "--function", "same", "--output", folder, "data/a.txt")
		if got.status != 1 || len(w.list("out")) > 0 || len(w.list("secret")) > 1 {
			t.Errorf("%s: %+v, %v", folder, got, w.list("out"))
		}
	}
	c.done(c.submit("-q", "--function", "same", "--output", "data/out", "data/a.txt"), "")
}

// A worker that does not see a file leaves it to one that does; where none does,
// the job fails and names the file and the workers.
func TestFilesThatNotAllSee(t *testing.T) {
	w := parallel(t, map[string]string{"one/a.txt": "a\n", "two/b.txt": "b\n"})
	w.program = functions
	c := w.newCluster(0)
	c.startProgram(functions, "w1", "--data-root", c.path("one"))
	c.startProgram(functions, "w2", "--data-root", c.path("two"))
	c.attached("w1")
	c.attached("w2")
	for range 3 {
		c.done(c.submit("-q", "--function", "same", "one/a.txt"), "a\n")
		c.done(c.submit("-q", "--function", "same", "two/b.txt"), "b\n")
	}
	got := c.submit("-q", "--function", "same", "three/c.txt")
	if got.status != 1 || !strings.Contains(got.stderr, "three/c.txt") || !strings.Contains(got.stderr, "w1") || !strings.Contains(got.stderr, "w2") {
		t.Errorf("%+v", got)
	}
}

// Nobody's jobs take more slots than his quota.
func TestQuotas(t *testing.T) {
	c, g := asking(t, 3, "--quota", "anna=1", "--quota", "*=2")
	anna := c.asks("anna", 4, "--user", "anna")
	berta := c.asks("berta", 6, "--user", "berta")
	count := map[string]int{}
	var waiting []*question
	for range 3 {
		q := g.next()
		user, _, _ := strings.Cut(q.line, " ")
		count[user]++
		waiting = append(waiting, q)
	}
	if count["anna"] != 1 || count["berta"] != 2 {
		t.Errorf("slots: %v", count)
	}
	c.eventually("explain tells of the quota", func() bool {
		return strings.Contains(c.run("explain", anna).stdout, "quota")
	})
	for _, q := range waiting {
		q.pass()
	}
	g.opens()
	c.has(anna, "anna", 4)
	c.has(berta, "berta", 6)
	if j := c.job(anna); j.User != "anna" {
		t.Errorf("%+v", j)
	}
}

// Beyond loopback nothing is open to everybody by accident.
func TestExposure(t *testing.T) {
	w := parallel(t, nil)
	for _, args := range [][]string{
		{"coordinator", "--listen", "0.0.0.0:0"},
		{"coordinator", "--listen", "127.0.0.1:0", "--gossip", "0.0.0.0:0"},
		{"worker", "--join", "127.0.0.1:1", "--listen", "0.0.0.0:0"},
	} {
		if got := w.run(args...); got.status == 0 || !strings.Contains(got.stderr, "--insecure") {
			t.Errorf("%v: %+v", args, got)
		}
	}
}
