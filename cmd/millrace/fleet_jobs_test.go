//go:build unix

package main_test

import (
	"fmt"
	"strings"
	"testing"
)

// sales are CSV files in which every batch differs.
func sales(files, rows int) map[string]string {
	all := map[string]string{}
	for i := range files {
		var b strings.Builder
		b.WriteString("region,item,amount\n")
		for j := range rows {
			fmt.Fprintf(&b, "r%d,item %d,%d\n", (i+j)%7, j%13, i*rows+j)
		}
		all[fmt.Sprintf("sales/%d.csv", i)] = b.String()
	}
	return all
}

// The same job gives the same bytes in one process and on a fleet, under a fixed
// cut.
func TestFleetAnswersAlike(t *testing.T) {
	needSQL(t)
	files := sales(6, 2000)
	files["group.yaml"] = `
name: totals
source: {files: [sales/*.csv]}
batch: {batches: 17}
stages:
  - sql: SELECT region, count(*) AS n, sum(amount) AS total, avg(amount) AS mean FROM input GROUP BY region ORDER BY region
`
	files["chain.yaml"] = `
name: a program, then a query
source: {files: [sales/*.csv], format: lines}
batch: {batches: 11}
stages:
  - name: some
    command: grep -v item.7
    command_options: {ok_exit: [0, 1]}
  - sql: SELECT count(*) AS n, min(line) AS low FROM input
`
	w := parallel(t, files)
	c := w.newCluster(3)
	for name, args := range map[string][]string{
		"a job file":    {"group.yaml"},
		"a chain":       {"chain.yaml"},
		"a filter":      {"--batches", "13", "--sql", "SELECT * FROM input WHERE amount % 3 = 0", "sales/*.csv"},
		"a median":      {"--sql", "SELECT median(amount) AS m FROM input", "sales/*.csv"},
		"distinct":      {"--batches", "9", "--sql", "SELECT count(DISTINCT item) AS items FROM input", "sales/*.csv"},
		"a program":     {"--command", "wc -l", "sales/*.csv"},
		"a shell":       {"--shell", "--batches", "5", "--command", "sort | head -n 3", "sales/*.csv"},
		"JSON":          {"--batches", "4", "--output-format", "json", "--sql", "SELECT region, sum(amount) AS s FROM input GROUP BY region ORDER BY region", "sales/*.csv"},
		"a limit":       {"--batches", "20", "--sql", "SELECT amount FROM input ORDER BY amount DESC LIMIT 5", "sales/*.csv"},
		"many outputs":  {"--batches", "200", "--sql", "SELECT amount FROM input", "sales/*.csv"},
		"inline":        {"--sql", "SELECT count(*) AS n FROM input", "group.yaml"},
		"nothing found": {"--sql", "SELECT * FROM input WHERE amount < 0", "sales/*.csv"},
	} {
		t.Run(name, func(t *testing.T) {
			here := w.run(append([]string{"run", "-q"}, args...)...)
			there := c.submit(append([]string{"-q"}, args...)...)
			if here.status != 0 || there.status != 0 || here.stdout != there.stdout {
				t.Errorf("here: %d\n%.1500s\n%s\nthere: %d\n%.1500s\n%s", here.status, here.stdout, here.stderr, there.status, there.stdout, there.stderr)
			}
		})
	}
}

// Files of a sink are the same, and are there at once.
func TestFleetWritesFiles(t *testing.T) {
	needSQL(t)
	w := parallel(t, sales(4, 500))
	c := w.newCluster(3)
	args := []string{"--batches", "10", "--sql", "SELECT * FROM input WHERE amount % 2 = 1", "--output-format", "csv", "sales/*.csv"}
	w.done(w.run(append([]string{"run", "-q", "--output", "here"}, args...)...), "")
	w.done(c.submit(append([]string{"-q", "--output", "there"}, args...)...), "")
	here, there := w.list("here"), w.list("there")
	if strings.Join(here, " ") != strings.Join(there, " ") || len(here) != 11 {
		t.Fatalf("here %v, there %v", here, there)
	}
	for _, name := range here {
		if a, b := w.read("here/"+name), w.read("there/"+name); a != b {
			t.Errorf("%s: %.200q, %.200q", name, a, b)
		}
	}
	got := c.submit(append([]string{"-q", "--output", "there"}, args...)...)
	w.fails(got, "there") // not twice in one folder
}

// Many jobs at a time do not get into each other's way.
func TestFleetRunsJobsTogether(t *testing.T) {
	needSQL(t)
	w := parallel(t, sales(4, 500))
	c := w.newCluster(2)
	ids := map[string]string{}
	for i := range 6 {
		ids[c.begin("--batches", fmt.Sprint(5+i), "--sql", fmt.Sprintf("SELECT sum(amount * %d) AS s FROM input", i), "sales/*.csv")] = fmt.Sprintf("s\n%d\n", i*1999*1000)
	}
	for id, want := range ids {
		w.done(c.run("result", id), want)
	}
	if got := c.run("list", "--json"); strings.Count(got.stdout, `"done"`) != 6 {
		t.Errorf("%+v", got)
	}
}

// A small job beside a large one starts within the time of one lease.
func TestSmallJobsNeedNotWait(t *testing.T) {
	w := parallel(t, nil)
	w.program = functions
	c := w.newCluster(0)
	g := c.newGate()
	c.start("w1")
	large := c.begin("--function", "ask", "--batch-records", "1", w.lines("large", 50))
	g.next().pass()
	held := g.next()
	small := c.begin("--function", "ask", "--batch-records", "1", w.lines("small", 1))
	held.pass()
	for i := range 10 {
		q := g.next()
		q.pass()
		if strings.HasPrefix(q.line, "small") {
			break
		}
		if i >= 3 { // one that ran, one or two that waited there
			t.Fatalf("the small job waits behind the large one: %s\n%+v\n%+v\n%s", q.line, c.run("explain", small), c.job(small), c.logs())
		}
	}
	c.ends(small, "done")
	g.opens()
	c.ends(large, "done")
}

// lines makes a file with so many lines, and returns its name.
func (w *world) lines(name string, n int) string {
	w.Helper()
	w.write(name+".txt", strings.Join(numbered(name, n), "\n")+"\n")
	return name + ".txt"
}

func numbered(name string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s %03d", name, i)
	}
	return all
}
