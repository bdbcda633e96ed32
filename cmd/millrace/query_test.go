//go:build unix

package main_test

import (
	"os"
	"strings"
	"testing"
)

// A query that can't be run, or asks for more than its input, is refused before
// any batch runs.
func TestQueriesThatAreRefused(t *testing.T) {
	needSQL(t)
	for query, said := range map[string][]string{
		"SELEC * FROM input":                                 {`syntax error at or near "SELEC"`, "LINE 1: SELEC * FROM input", "^"},
		"SELECT * FROM input WHERE":                          {"syntax error", "LINE 1"},
		"SELECT nope FROM input":                             {`"nope" not found`, `"k"`, "LINE 1: SELECT nope FROM input", "               ^"},
		"SELECT k\nFROM input\nWHERE nope > 1":               {"LINE 3: WHERE nope > 1"},
		"SELECT nofunction(k) FROM input":                    {"nofunction", "does not exist"},
		"SELECT sum(k) FROM input":                           {"sum(VARCHAR)"},
		"SELECT k, count(*) FROM input":                      {`"k" must appear in the GROUP BY`},
		"SELECT * FROM other":                                {`can't read "other"`},
		"SELECT 1":                                           {"reads no data", "FROM input"},
		"SELECT * FROM input, batch":                         {"both input and batch"},
		"SELECT * FROM input WHERE k = $1":                   {"parameter"},
		"SELECT 1 FROM input; SELECT 2 FROM input":           {"one statement, not 2"},
		"SELECT 1 FROM input; DROP TABLE input":              {"only a SELECT"},
		";":                                                  {"one statement, not 0"},
		"COPY input TO 'stolen'":                             {"only a SELECT", "COPY"},
		"COPY (SELECT * FROM input) TO 'stolen'":             {"only a SELECT", "COPY"},
		"ATTACH 'stolen'":                                    {"only a SELECT", "ATTACH"},
		"INSTALL httpfs":                                     {"only a SELECT", "INSTALL"},
		"LOAD httpfs":                                        {"only a SELECT", "LOAD"},
		"PRAGMA database_list":                               {"only a SELECT", "PRAGMA"},
		"SET threads = 4":                                    {"only a SELECT", "SET"},
		"CREATE TABLE x AS SELECT * FROM input":              {"only a SELECT", "CREATE"},
		"INSERT INTO input VALUES (1)":                       {"only a SELECT", "INSERT"},
		"EXPORT DATABASE 'stolen'":                           {"only a SELECT", "EXPORT"},
		"EXPLAIN ANALYZE SELECT * FROM input":                {"only a SELECT", "EXPLAIN"},
		"CALL pragma_version()":                              {"only a SELECT", "CALL"},
		"SELECT * FROM input, read_csv('secret')":            {"can't call read_csv()"},
		"SELECT * FROM input, 'secret.csv'":                  {`can't read "secret.csv"`},
		"SELECT (FROM read_text('secret')) FROM input":       {"can't call read_text()"},
		"SELECT * FROM input, glob('*')":                     {"can't call glob()"},
		"SELECT * FROM input, query('SELECT 1')":             {"can't call query()"},
		"SELECT * FROM input, duckdb_settings()":             {"can't call duckdb_settings()"},
		"SELECT * FROM information_schema.tables, input":     {"can't read"},
		"SELECT getenv('HOME') FROM input":                   {"can't call getenv()"},
		"WITH x AS (FROM read_blob('secret')) FROM x, input": {"can't call read_blob()"},
	} {
		t.Run(query, func(t *testing.T) {
			w := parallel(t, map[string]string{"a.csv": "k,v\nx,1\n", "secret": "secret\n", "secret.csv": "s\nsecret\n"})
			got := w.run("run", "--sql", query, "--stats", "stats.json", "--output", "out", "a.csv")
			w.fails(got, said...)
			if s := w.stats("stats.json"); s.Batches != 0 || s.Retries != 0 || s.State != "failed" {
				t.Errorf("%+v", s)
			}
			if left := strings.Join(w.list("."), " "); left != "a.csv secret secret.csv stats.json" {
				t.Errorf("in the folder: %s", left)
			}
		})
	}
}

// What fails on some value names the value, the input and the place.
func TestQueriesThatFailOnAValue(t *testing.T) {
	needSQL(t)
	w := parallel(t, map[string]string{"a.csv": "k,v\nx,1\n"})
	w.fails(w.run("run", "--sql", "SELECT CAST(k AS INTEGER) AS i FROM input", "a.csv"), "Could not convert string 'x'", w.path("a.csv"))
	w.fails(w.run("run", "--sql", "SELECT error('no such ' || k) FROM input", "a.csv"), "no such x", w.path("a.csv"))
	w.fails(w.run("run", "--sql", "SELECT v + 9223372036854775807 AS s FROM input", "a.csv"), "Overflow", w.path("a.csv"))
}

// A query that needs more memory than there is spills, or says so.
func TestLittleMemory(t *testing.T) {
	needSQL(t)
	w := parallel(t, map[string]string{"a.csv": "k,v\nx,1\n"})
	got := w.run("run", "-q", "--max-memory", "96MiB", "--sql",
		"SELECT count(*) AS n, max(s) AS m FROM (SELECT r, row_number() OVER (ORDER BY hash(r)) AS s FROM input, range(4000000) t(r))", "a.csv")
	w.done(got, "n,m\n4000000,4000000\n")
}

func TestOutputFolders(t *testing.T) {
	w := parallel(t, map[string]string{"in/a.txt": "a\n", "file": "dear\n", "full/x": "x\n"})
	run := func(args ...string) outcome {
		return w.run(append([]string{"run", "--command", "cat", "in/a.txt", "--output"}, args...)...)
	}
	if err := os.Mkdir(w.path("empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.fails(run("full"), "full is not empty (it holds x)")
	for _, more := range [][]string{nil, {"--overwrite"}} {
		w.fails(run(append([]string{"file"}, more...)...), "file is a file")
		w.fails(run(append([]string{"file/below"}, more...)...), "file")
	}
	w.fails(run("in", "--overwrite"), "in holds", "a.txt", "is input")
	w.fails(run(".", "--overwrite"), "is input")
	for name, text := range map[string]string{"file": "dear\n", "in/a.txt": "a\n", "full/x": "x\n"} {
		if got := w.read(name); got != text {
			t.Errorf("%s holds %q now", name, got)
		}
	}
	w.fails(w.run("run", "--command", "false", "--retries", "0", "--output", "empty", "in/a.txt"), "exited with status 1")
	w.fails(w.run("run", "--command", "sh -c 'cat; exit 1'", "--retries", "0", "--output", "none", "in/a.txt"), "exited with status 1")
	if got := strings.Join(w.list("."), " "); got != "empty file full in" {
		t.Errorf("in the folder: %s", got)
	}
	w.done(run("empty"), "")
	w.done(run("full", "--overwrite"), "")
	w.done(run("deep/er/out"), "")
	for _, folder := range []string{"empty", "full", "deep/er/out"} {
		if got := strings.Join(w.list(folder), " "); got != "_SUCCESS part-00000.txt" {
			t.Errorf("%s holds %s", folder, got)
		}
	}
}

// A job that fails late leaves the folder's old content as it was.
func TestOverwritingWaitsForSuccess(t *testing.T) {
	w := parallel(t, map[string]string{"in/a.txt": "a\n", "in/b.txt": "b\n", "out/old.csv": "old\n", "out/_SUCCESS": ""})
	w.fails(w.run("run", "--retries", "0", "--overwrite", "--output", "out", "--command", "grep a", "in"), "exited with status 1", "b.txt")
	if got := strings.Join(w.list("out"), " "); got != "_SUCCESS old.csv" {
		t.Errorf("out holds %s", got)
	}
	w.done(w.run("run", "-q", "--overwrite", "--output", "out", "--command", "grep .", "in"), "")
	if got := strings.Join(w.list("out"), " "); got != "_SUCCESS part-00000.txt part-00001.txt" {
		t.Errorf("out holds %s", got)
	}
}
