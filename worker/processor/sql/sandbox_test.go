//go:build cgo

package sql

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// forbidden are queries that would see or do more than their batch. %s is a
// file that is there.
var forbidden = []string{
	"SELECT * FROM '%s'",
	"SELECT * FROM read_csv('%s')",
	"SELECT * FROM read_text('%s')",
	"SELECT * FROM read_blob(['%s'])",
	"SELECT * FROM sniff_csv('%s')",
	"SELECT * FROM query_table('%s')",
	"SELECT * FROM query('FROM read_text(''%s'')')",
	"SELECT * FROM glob('/*')",
	"SELECT * FROM read_text('/proc/self/environ')",
	"SELECT * FROM read_blob('/proc/self/fd/0')",
	"SELECT (SELECT content FROM read_text('%s'))",
	"WITH x AS (FROM read_csv('%s')) FROM x",
	"FROM batch WHERE n IN (SELECT length(content) FROM read_text('%s'))",
	"SELECT getenv('HOME') FROM batch",
	"FROM duckdb_secrets()",
	"FROM duckdb_settings()",
	"SELECT current_setting('temp_directory')",
	"FROM enable_logging(storage:='file', storage_path:='%s.log')",
	"FROM enable_profiling()",
	"FROM checkpoint()",
	"SELECT write_log('x')",
	"FROM other_table",
	"FROM information_schema.tables",
	"FROM pg_catalog.pg_class",
	"SHOW TABLES",
	"ATTACH '%s.db'",
	"ATTACH ':memory:' AS x",
	"COPY (SELECT 1) TO '%s.out'",
	"COPY batch FROM '%s'",
	"EXPORT DATABASE '%s.dir'",
	"INSTALL httpfs",
	"LOAD httpfs",
	"PRAGMA database_list",
	"SET threads = 4",
	"RESET threads",
	"SET VARIABLE x = 1",
	"CREATE TABLE t AS SELECT 1",
	"DROP VIEW batch",
	"INSERT INTO batch VALUES (1)",
	"CALL pragma_version()",
	"EXPLAIN SELECT 1",
	"BEGIN",
	"SELECT 1; SELECT 2",
	"SELECT 1; DROP VIEW batch",
	"",
	";",
	"-- nothing",
}

func TestSandbox(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret.csv")
	if err := os.WriteFile(file, []byte("a,b\n1,secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := openPlanner(t)
	cols := columns("n BIGINT")
	for _, query := range forbidden {
		if strings.Contains(query, "%s") {
			query = fmt.Sprintf(query, file)
		}
		rows, err := runQuery(t, newAttempt(t), query, csvInput(cols, textPart("f", 0, "1\n")))
		if fatal(err) == "" {
			t.Errorf("%s: ran: %v, %q", query, err, rows)
		}
		if _, err := p.Check(t.Context(), query, cols); fatal(err) == "" {
			t.Errorf("%s: was not refused by Check: %v", query, err)
		}
	}
	entries, _ := os.ReadDir(filepath.Dir(file))
	if len(entries) != 1 {
		t.Errorf("a query wrote files: %v", entries)
	}
}

// Even a query that the parse tree did not give away reads nothing else.
func TestLockedInstance(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret.csv")
	if err := os.WriteFile(file, []byte("a,b\n1,secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := newAttempt(t)
	i, err := NewEngine(Options{}).open(t.Context(), inMemory, &a.Attempt)
	if err != nil {
		t.Fatal(err)
	}
	defer i.close()
	for _, query := range forbidden[:13] {
		if strings.Contains(query, "%s") {
			query = fmt.Sprintf(query, file)
		}
		if rows, err := i.db.Rows(t.Context(), query); err == nil {
			t.Errorf("%s: %q", query, rows)
		}
	}
	for _, statement := range []string{"SET threads = 4", "SET enable_external_access = true", "SET allowed_paths = ['/']",
		"RESET lock_configuration", "INSTALL httpfs", "ATTACH '" + file + "'", "COPY (SELECT 1) TO '" + file + "'"} {
		if err := i.db.Exec(t.Context(), statement); err == nil {
			t.Errorf("%s: was done", statement)
		}
	}
}

// fatal is the message of a failure that no other attempt can mend.
func fatal(err error) string {
	f, ok := errors.AsType[*processor.Failure](err)
	if !ok || f.Class != pb.OutcomeClass_OUTCOME_CLASS_FATAL {
		return ""
	}
	return f.Error()
}

// Queries that see their batch alone run, however they spell it.
func TestAllowed(t *testing.T) {
	for query, want := range map[string]string{
		"FROM batch":                   "1",
		`SELECT b.n FROM "batch" AS b`: "1",
		"SELECT n FROM BATCH":          "1",
		"WITH x AS (FROM batch), y AS (FROM x) SELECT count(*) FROM y, x": "1",
		"SELECT count(*) FROM batch a JOIN batch b USING (n)":             "1",
		"SELECT r.range FROM batch, range(n, n + 1) r":                    "1",
		"SELECT unnest([n]) FROM batch":                                   "1",
		"SELECT n FROM batch -- and no more":                              "1",
		"VALUES (1)":                                                      "1",
		"WITH RECURSIVE r(i) AS (SELECT n FROM batch UNION ALL SELECT i + 1 FROM r WHERE i < 3) SELECT max(i) FROM r": "3",
		"SELECT count(*) FROM (PIVOT batch ON n IN (1) USING count(*))":                                               "1",
		"SELECT n FROM batch UNION SELECT n FROM batch;":                                                              "1",
	} {
		rows, err := runQuery(t, newAttempt(t), query, csvInput(columns("n BIGINT"), textPart("f", 0, "1\n")))
		t.Run(query, func(t *testing.T) { wantRows(t, rows, err, want) })
	}
}

func openPlanner(t *testing.T) *Planner {
	t.Helper()
	p, err := OpenPlanner()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestCheck(t *testing.T) {
	p := openPlanner(t)
	cols := columns("k VARCHAR", "n BIGINT")
	result, err := p.Check(t.Context(), "SELECT k, sum(n) AS s FROM input GROUP BY k;", cols)
	if got := fmt.Sprint(result); err != nil || !strings.Contains(got, `name:"s" type:"HUGEINT"`) && !strings.Contains(got, `name:"s"  type:"HUGEINT"`) {
		t.Errorf("%v, %v", got, err)
	}
	for query, want := range map[string]string{
		"SELECT\n  k FRM input":          "syntax error at or near \"input\"\n\nLINE 2:   k FRM input\n                ^",
		"SELECT nope FROM input":         "LINE 1: SELECT nope FROM input\n               ^",
		"SELECT k + n FROM input":        "No function matches",
		"SELECT 1; SELECT 2":             "one statement, not 2",
		"SELECT k FROM input GROUP BY n": "must appear in the GROUP BY",
	} {
		if _, err := p.Check(t.Context(), query, cols); !strings.Contains(fatal(err), want) {
			t.Errorf("%s:\n%v\nwant\n%s", query, err, want)
		}
	}
}

func TestCancel(t *testing.T) {
	for name, in := range map[string]processor.Input{
		"text":  csvInput(columns("n BIGINT"), textPart("f", 0, "1\n")),
		"lines": linesInput(textPart("f", 0, "1\n")),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			step, err := New(&pb.SqlStep{Query: "SELECT sum(hash(a.range + b.range)) FROM batch, range(10000000) a, range(10000000) b"}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer step.Close()
			a := newAttempt(t)
			done := make(chan error)
			go func() { done <- step.Run(ctx, &a.Attempt, in, &collector{}) }()
			because := errors.New("because")
			cancel(because)
			if err := <-done; !errors.Is(err, because) {
				t.Errorf("a cancelled query ended with %v", err)
			}
		})
	}
}

func TestOutOfMemory(t *testing.T) {
	step, err := New(&pb.SqlStep{Query: "SELECT count(DISTINCT range * 7919) FROM batch, range(5000000)"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer step.Close()
	a := newAttempt(t)
	a.MemoryBytes = 40 << 20
	err = step.Run(t.Context(), &a.Attempt, jsonInput(columns("n BIGINT"), textPart("f", 0, "{}\n")), &collector{})
	if f, ok := errors.AsType[*processor.Failure](err); !ok || f.Class != pb.OutcomeClass_OUTCOME_CLASS_KILLED_MEMORY {
		t.Errorf("a query without memory ended with %v", err)
	}
}
