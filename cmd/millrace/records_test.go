//go:build unix

package main_test

import (
	"fmt"
	"strings"
	"testing"
)

// unsampled is how many good records stand before and behind a bad one that no
// sample of the file may show.
const unsampled = 600_000

// badRecord is a record that breaks a file's format, far behind its start.
type badRecord struct {
	name, file string
	record     string
	reason     string
	// late says that a sample of the file must not show the record.
	late bool
}

var badRecords = []badRecord{
	{"invalid UTF-8", "a.csv", "b\xff\xfe,1\n", "invalid UTF-8", false},
	{"too few fields", "a.csv", "b\n", "Expected Number of Columns: 2 Found: 1", false},
	{"too many fields", "a.csv", "b,1,2\n", "Expected Number of Columns: 2 Found: 3", false},
	{"open quote", "a.csv", "\"b,1\n", "a quoted value has no end", false},
	{"another type", "a.csv", "b,many\n", "Could not convert string \"many\"", true},
	{"too large a number", "a.csv", "b,123456789012345678901\n", "Could not convert", true},
	{"NUL in a number", "a.csv", "b,\x001\n", "Could not convert", true},

	{"invalid UTF-8", "a.jsonl", "{\"k\":\"\xff\",\"v\":1}\n", "invalid UTF-8", false},
	{"NUL", "a.jsonl", "{\"k\":\"a\x00b\",\"v\":1}\n", "control character", false},
	{"open string", "a.jsonl", "{\"k\":\"b,\"v\":1}\n", "unexpected character", false},
	{"open object", "a.jsonl", "{\"k\":\"b\",\"v\":1\n", "unexpected end", false},
	{"array", "a.jsonl", "[1,2]\n", "Expected OBJECT", false},
	{"another type", "a.jsonl", "{\"k\":\"b\",\"v\":\"many\"}\n", "many", true},

	{"invalid UTF-8", "a.txt", "b\xff\n", "invalid UTF-8", false},
}

// good is one good record of a file, and a query over it with its answer.
func good(file string, n int) (record, query, answer string) {
	switch file {
	case "a.csv":
		return "x,1\n", "SELECT count(*) AS n, sum(v) AS s, max(k) AS m FROM input", fmt.Sprintf("n,s,m\n%d,%d,x\n", n, n)
	case "a.jsonl":
		return "{\"k\":\"x\",\"v\":1}\n", "SELECT count(*) AS n, sum(v) AS s, max(k) AS m FROM input", fmt.Sprintf("n,s,m\n%d,%d,x\n", n, n)
	}
	return "a line\n", "SELECT count(*) AS n, max(line) AS m FROM input", fmt.Sprintf("n,m\n%d,a line\n", n)
}

// Each bad record fails the job with its place and reason, and is left out and
// counted where the job says so.
func TestBadRecords(t *testing.T) {
	needSQL(t)
	for _, c := range badRecords {
		t.Run(c.name+" in "+c.file, func(t *testing.T) {
			w := parallel(t, nil)
			lead, tail := unsampled, unsampled
			if !c.late {
				lead = 50_000
				tail = 1000
			}
			record, query, answer := good(c.file, lead+tail)
			text := ""
			if c.file == "a.csv" {
				text = "k,v\n"
			}
			text += strings.Repeat(record, lead)
			place := fmt.Sprintf("%s at %d", w.path(c.file), len(text))
			w.write(c.file, text+c.record+strings.Repeat(record, tail))
			w.fails(w.run("run", "--sql", query, c.file), "a bad record in "+w.path(c.file), place, c.reason, "--skip-bad-records")
			got := w.run("run", "--skip-bad-records", "1", "--stats", "stats.json", "--sql", query, c.file)
			w.done(got, answer, "1 bad record was left out", place, c.reason)
			if s := w.stats("stats.json"); s.RecordsSkipped != 1 || s.Retries != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A value of another type lies far behind every sample.
func TestAnotherTypeOnRowFiveMillion(t *testing.T) {
	needSQL(t)
	if testing.Short() {
		t.Skip("long")
	}
	w := parallel(t, nil)
	const row = 5_000_000
	text := "k,v\n" + strings.Repeat("x,1\n", row-1)
	w.write("a.csv", text+"x,many\n"+strings.Repeat("x,1\n", 1_000_000))
	const query = "SELECT count(*) AS n, sum(v) AS s FROM input"
	place := fmt.Sprintf("a.csv at %d", len(text))
	w.fails(w.run("run", "--sql", query, "a.csv"), place, "many")
	w.done(w.run("run", "--sql", query, "--skip-bad-records", "1", "a.csv"), "n,s\n5999999,5999999\n", "1 bad record was left out", place)
}

// More bad records than the job may skip fail it, and several are shown.
func TestMoreBadRecordsThanAllowed(t *testing.T) {
	needSQL(t)
	w := parallel(t, map[string]string{"a.csv": "k,v\n" + strings.Repeat(strings.Repeat("x,1\n", 1000)+"bad\n", 9)})
	const query = "SELECT count(*) AS n FROM (SELECT k, v FROM input)"
	w.fails(w.run("run", "--skip-bad-records", "8", "--sql", query, "a.csv"), "a.csv at 4004", "a.csv at 8008", "--skip-bad-records")
	w.done(w.run("run", "--skip-bad-records", "9", "--sql", query, "a.csv"), "n\n9000\n", "9 bad records were left out")
}

// A command gets its lines as bytes, whatever they are.
func TestCommandsGetBytes(t *testing.T) {
	text := "ok\n\xff\xfe\n\x00\x01\nragged,\"\n\r\r\n" + strings.Repeat("z", 1<<20) + "\nno end"
	w := parallel(t, map[string]string{"a.txt": text, "b.csv": text})
	w.done(w.run("run", "-q", "--command", "cat", "a.txt"), text)
	w.done(w.run("run", "-q", "--format", "lines", "--command", "cat", "b.csv"), text)
	w.done(w.run("run", "-q", "--batches", "3", "--command", "cat", "a.txt"), text)
}

// Go structs see bad records as SQL does.
func TestBadRecordsOfFunctions(t *testing.T) {
	w := parallel(t, map[string]string{"a.jsonl": "{\"k\":\"x\",\"v\":1}\n{\"k\":\"y\",\n{\"k\":\"z\",\"v\":3}\n", "a.csv": "k,v\nx,1\ny,2,3\nz,3\n"})
	w.program = functions
	for file, place := range map[string]string{"a.jsonl": "a.jsonl at 16", "a.csv": "a.csv at 8"} {
		run := func(more ...string) outcome {
			return w.run(append([]string{"run", "--function", "double", "--output-format", "csv", file}, more...)...)
		}
		w.fails(run(), "a bad record in "+w.path(file), place, "--skip-bad-records")
		w.done(run("--skip-bad-records", "1"), "k,v\nx,2\nz,6\n", "1 bad record was left out", place)
	}
}

func TestRecordsLongerThanTheirSplit(t *testing.T) {
	needSQL(t)
	const n = 1 << 20
	var lines, csv, quoted, objects strings.Builder
	csv.WriteString("k,v\n")
	quoted.WriteString("k,v\n")
	for i := range 4 {
		long := strings.Repeat(string(rune('a'+i)), n)
		fmt.Fprintf(&lines, "%s\nshort\n", long)
		fmt.Fprintf(&csv, "%s,%d\nshort,1\n", long, i)
		fmt.Fprintf(&quoted, "\"%s\n%s\",%d\nshort,1\n", long, long, i)
		fmt.Fprintf(&objects, "{\"k\":\"%s\",\"v\":%d}\n{\"k\":\"short\",\"v\":1}\n", long, i)
	}
	for file, c := range map[string]struct {
		text, column string
		length       int
	}{
		"a.txt":    {lines.String(), "line", 4 * (n + 5)},
		"a.csv":    {csv.String(), "k", 4 * (n + 5)},
		"b.csv":    {quoted.String(), "k", 4 * (2*n + 6)},
		"a.jsonl":  {objects.String(), "k", 4 * (n + 5)},
		"a.csv.gz": {gzipped(t, csv.String()), "k", 4 * (n + 5)},
	} {
		t.Run(file, func(t *testing.T) {
			w := parallel(t, map[string]string{file: c.text})
			query := fmt.Sprintf("SELECT count(*) AS n, sum(length(%s)) AS l FROM input", c.column)
			w.done(w.run("run", "-q", "--batch-bytes", "64KiB", "--sql", query, file), fmt.Sprintf("n,l\n8,%d\n", c.length))
			w.fails(w.run("run", "--max-record", "64KiB", "--sql", query, file), file, "longer than 65536 bytes")
		})
	}
}

func TestALineThatNeverEnds(t *testing.T) {
	w := parallel(t, map[string]string{"a.txt": strings.Repeat("x", 20<<20)})
	w.done(w.run("run", "-q", "--command", "wc -c", "a.txt"), "20971520\n")
	w.fails(w.run("run", "--batches", "7", "--command", "wc -c", "a.txt"), "a.txt: the record at byte 0 is longer than 16777216 bytes", "max_record_bytes")
	w.program = functions
	w.fails(w.run("run", "--function", "silent", "a.txt"), "a.txt", "longer than 16777216 bytes")
}

func TestFilesOfDifferentColumns(t *testing.T) {
	needSQL(t)
	w := parallel(t, map[string]string{"a.csv": "k,v\nx,1\n", "b.csv": "k,w\ny,2\n", "c.csv": "k,v\nz,text\n"})
	w.fails(w.run("run", "--sql", "SELECT * FROM input", "a.csv", "b.csv"), "a.csv", "b.csv", `"v"`, `"w"`)
	w.done(w.run("run", "-q", "--union-by-name", "--sql", "SELECT * FROM input", "a.csv", "b.csv"), "k,v,w\nx,1,\ny,,2\n")
	w.done(w.run("run", "-q", "--sql", "SELECT * FROM input", "a.csv", "c.csv"), "k,v\nx,1\nz,text\n")
}
