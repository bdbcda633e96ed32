//go:build cgo

package derive

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	pb "github.com/millrace/millrace/api/millracev1"
)

// TestKinds says of what kind queries are, and why those of one batch are.
func TestKinds(t *testing.T) {
	w := openWorld(t)
	for query, want := range map[string]string{
		"FROM input": "direct",
		"SELECT lower(k) AS k FROM Input AS t WHERE t.a > 1":       "direct",
		"SELECT random() FROM input":                               "direct",
		"SELECT unnest(l) FROM input":                              "direct",
		"WITH q AS (SELECT a FROM input) SELECT a + 1 FROM q":      "direct",
		"SELECT i.a FROM input i JOIN (VALUES (1)) v(n) ON n = a":  "direct",
		"SELECT max(a) FROM batch":                                 "direct",
		"SELECT a FROM input ORDER BY a":                           "partial+merge",
		"SELECT a FROM input LIMIT 3":                              "partial+merge",
		"SELECT DISTINCT a FROM input":                             "partial+merge",
		"SELECT count(*) FROM input":                               "partial+merge",
		"SELECT k, avg(a) FROM input GROUP BY k HAVING avg(a) > 1": "partial+merge",
		"SELECT count(DISTINCT a), sum(DISTINCT a) FROM input":     "partial+merge",
		"WITH q AS (SELECT k, sum(a) AS s FROM input GROUP BY k) SELECT * FROM q AS x JOIN q AS y USING (k)": "partial+merge",
		"SELECT n FROM (VALUES (1)) v(n) WHERE n IN (SELECT g FROM input)":                                   "partial+merge",
		"SELECT k, row_number() OVER (ORDER BY s) FROM (SELECT k, sum(a) AS s FROM input GROUP BY k)":        "partial+merge",
		"SELECT count(*) FROM input UNION ALL SELECT 1":                                                      "partial+merge",
		"SELECT count(*) FROM input, unnest(l) AS u(v) WHERE v > 1":                                          "partial+merge",
		"SELECT median(a) FROM input":                                                                        "one batch: median needs all records at once",
		"SELECT list(a ORDER BY a) FROM input":                                                               "one batch: list needs all records at once",
		"SELECT string_agg(k, ',' ORDER BY k) FROM input":                                                    "one batch: string_agg depends on the order of all records",
		"SELECT row_number() OVER () FROM input":                                                             "one batch: a window function needs all records at once",
		"SELECT a FROM input QUALIFY row_number() OVER () < 3":                                               "one batch: a window function needs all records at once",
		"SELECT a FROM input USING SAMPLE 10%":                                                               "one batch: a sample is drawn from all records at once",
		"SELECT a FROM input TABLESAMPLE 10%":                                                                "one batch: a sample is drawn from all records at once",
		"SELECT k, count(*) FROM input GROUP BY ROLLUP (k)":                                                  "one batch: grouping sets need all records at once",
		"SELECT k, count(*) FROM input GROUP BY GROUPING SETS ((k), ())":                                     "one batch: grouping sets need all records at once",
		"SELECT DISTINCT ON (k) k, a FROM input":                                                             "one batch: DISTINCT ON depends on the order of all records",
		"SELECT a FROM input LIMIT 10%":                                                                      "one batch: a LIMIT in percent needs all records at once",
		"SELECT x.a FROM input x JOIN input y USING (id)":                                                    "one batch: the query reads input more than once",
		"SELECT count(DISTINCT a), count(DISTINCT k) FROM input":                                             "one batch: distinct values of several expressions need all records at once",
		"SELECT count(DISTINCT a) FILTER (WHERE bo) FROM input":                                              "one batch: a filtered aggregate of distinct values needs all records at once",
		"SELECT avg(iv) FROM input":                                                                          "one batch: an average of INTERVAL needs all records at once",
		"SELECT avg(dt) FROM input":                                                                          "one batch: an average of DATE needs all records at once",
		"SELECT sum(random()) FROM input":                                                                    "one batch: random gives another value each time",
		"SELECT n FROM (VALUES (1)) v(n) LEFT JOIN input ON n = a":                                           "one batch: a join that keeps rows of the other side needs all records at once",
		"SELECT a FROM input FULL JOIN (VALUES (1)) v(n) ON n = a":                                           "one batch: a join that keeps rows of the other side needs all records at once",
		"SELECT n FROM (VALUES (1)) v(n) ANTI JOIN input ON n = a":                                           "one batch: a join that keeps rows of the other side needs all records at once",
		"SELECT n, (SELECT count(*) FROM input WHERE g = n) FROM (VALUES (1)) v(n)":                          "one batch: its SELECT over input can't stand alone",
		"SELECT geomean(a) FROM input":                                                                       "one batch: it calls a function that hides an aggregate or a clock",
		"SELECT age(ts) FROM input":                                                                          "one batch: it calls a function that hides an aggregate or a clock",
		"SELECT min(k COLLATE NOCASE) FROM input":                                                            "one batch: a collation can't be carried from batch to batch",
		"SELECT min(COLUMNS('^[ab]$')) FROM input":                                                           "one batch: its columns are not written out beside its aggregates",
		"WITH RECURSIVE r AS (SELECT g FROM input UNION SELECT g + 1 FROM r WHERE g < 5) SELECT * FROM r":    "one batch: input is read in a place that is not understood",
		"SELECT sum(n) FROM (SELECT unnest([g, a]) AS n FROM input) ":                                        "partial+merge",
	} {
		d, err := Derive(t.Context(), w.db, query, w.columns)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		got := d.Kind.String()
		if d.Kind == One {
			got = d.Reason
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", query, got, want)
		}
	}
}

// TestCorners compares queries that the generator does not write.
func TestCorners(t *testing.T) {
	w := openWorld(t)
	for i, query := range []string{
		"WITH q(u, v) AS (SELECT k, a FROM input) SELECT u, count(v) FROM q GROUP BY u",
		"SELECT u, max(v) FROM input AS t(i, u, v) GROUP BY u",
		"SELECT t.k, count(*) FROM (SELECT * FROM (SELECT k, a FROM input WHERE a > 0) x) t GROUP BY t.k ORDER BY t.k",
		"SELECT 1 FROM input HAVING count(*) > 3",
		"SELECT 1 FROM input HAVING true",
		"SELECT 'x' AS c, count(*) FROM input GROUP BY 'x'",
		"SELECT count(*) FROM input GROUP BY ()",
		"SELECT k FROM input GROUP BY k, K, 1 ORDER BY k",
		"SELECT count(*) FROM input GROUP BY NULL",
		"SELECT sum(v) FROM input, unnest(l) AS u(v)",
		"SELECT g, sum(y) FROM input, LATERAL (SELECT g + 1 AS y) t GROUP BY g",
		"SELECT count(*) FROM input WHERE a = (SELECT max(n) FROM (VALUES (1), (7)) v(n) WHERE v.n >= input.g)",
		"SELECT g, (SELECT max(n) FROM (VALUES (1), (7)) v(n)) + count(*) FROM input GROUP BY g",
		"SELECT g IN (SELECT n FROM (VALUES (1), (7)) v(n)) AS has, count(*) FROM input GROUP BY g ORDER BY ALL",
		"SELECT count(*) FROM (SELECT * FROM input LIMIT 5)",
		"SELECT s, count(*) FROM (SELECT count(*) AS s FROM input GROUP BY k) GROUP BY s",
		"SELECT * FROM (SELECT k, count(*) AS c FROM input GROUP BY k) x JOIN (VALUES ('a', 1)) v(k, n) USING (k)",
		"(SELECT k FROM input) EXCEPT (SELECT 'a')",
		"SELECT k FROM (VALUES ('a'), ('zz')) v(k) INTERSECT SELECT k FROM input",
		"SELECT lower(k) AS k, upper(k) AS u, count(*) FROM input GROUP BY ALL ORDER BY k NULLS FIRST, u",
		"SELECT max(k) AS k, g FROM input GROUP BY g ORDER BY k, g",
		"SELECT lower(k) AS k, count(*) FROM input GROUP BY k ORDER BY ALL",
		"SELECT a AS g, count(*) AS n FROM input GROUP BY a HAVING g > 3",
		"SELECT g + 1 AS y, sum(g) FROM input WHERE y > 0 GROUP BY y",
		"SELECT g + 1 AS y, y * 2 AS z FROM input WHERE z > 4 ORDER BY z, id",
		"SELECT s.f AS f, sum(s.f) FROM input GROUP BY s.f ORDER BY 1",
		"SELECT input.s.f, input.k FROM input ORDER BY input.id DESC LIMIT 4",
		"SELECT * REPLACE (-id AS id) FROM input ORDER BY id LIMIT 4",
		"SELECT k || '!' AS k, id FROM input ORDER BY k || '?', id",
		"SELECT DISTINCT lower(k) FROM input ORDER BY lower(k)",
		"SELECT DISTINCT count(*) FROM input GROUP BY k",
		"SELECT mp['a'] AS m, count(*) FROM input GROUP BY mp['a']",
		"SELECT count(input) FROM input",
		"SELECT stddev(a) + avg(a), var_pop(x) FROM input",
		"SELECT stddev_samp(x) FILTER (WHERE id = 1), var_pop(x) FILTER (WHERE id = 1) FROM input",
		"SELECT arg_min(k, a) FILTER (WHERE k > 'A' AND bo), arg_max(id, (a, id)) FROM input",
		"SELECT sum(DISTINCT d), avg(DISTINCT d), count(DISTINCT d), count(*) FROM input",
		"SELECT g, count(DISTINCT s), max(a) FROM input GROUP BY g",
		"SELECT count(*) FILTER (WHERE k = 'a') * 100.0 / count(*) AS share FROM input",
		"SELECT id, __p0 FROM (SELECT id, a AS __p0, k AS __k0 FROM input) WHERE __k0 = 'a' ORDER BY __p0, id",
		"SELECT __k0, sum(__p0) AS __a0 FROM (SELECT a AS __p0, k AS __k0 FROM input) GROUP BY __k0 ORDER BY __a0, __k0",
		"SELECT count(*) FROM input AS batch",
		"SELECT min(ts), max(dt), min(tz), max(iv), min(u), max(bt), min(bl), max(l), min(s), max(mp) FROM input",
		"SELECT CASE WHEN grouping(k) = 0 THEN k END, count(*) FROM input GROUP BY k",
		"SELECT k AS \"a b\", \"Odd Name\" AS \"c\"\"d\" FROM input ORDER BY \"a b\", \"c\"\"d\"",
		"SELECT x FROM (SELECT x, id FROM input ORDER BY id DESC LIMIT 7) ORDER BY id",
		"SELECT list_sort(list_transform(l, lambda e: e + g)) FROM input WHERE id < 5",
		"SELECT list_transform([1, 2], lambda e: e + g) AS t, count(*) FROM input GROUP BY g",
		"SELECT sum(list_sum(list_transform(l, lambda e: e + 1))) AS s FROM input",
		"WITH a1 AS (SELECT 5 AS five), q AS (SELECT g, five FROM input, a1) SELECT five, sum(g) FROM q GROUP BY five",
		"WITH q AS MATERIALIZED (SELECT g FROM input WHERE g > 1) SELECT count(*), sum(g) FROM q",
		"SELECT (SELECT max(id) FROM input) AS m",
		"SELECT sum(c) FROM (SELECT g, count(*) AS c FROM (SELECT DISTINCT g, k FROM input) GROUP BY g)",
	} {
		for _, size := range []int{0, 30} {
			w.fill(uint64(i), size)
			ordered := strings.Contains(query, "ORDER BY ALL")
			if kind := w.check(uint64(i), query, ordered); kind == "refused" || kind == "failing" {
				t.Errorf("%s: %s", kind, query)
			}
			w.forget()
		}
	}
}

// TestAverages compares averages to the last digit but one.
func TestAverages(t *testing.T) {
	w := openWorld(t)
	w.exec(`CREATE TABLE input AS SELECT i AS id, h % 37 AS g, (h % 1000003)::INTEGER AS a, ((h % 2000003) - 1000001)::BIGINT * 4000000007 AS b,
		((h % 200)::INTEGER - 100)::TINYINT AS t, (h % 99991)::UBIGINT * 180000000000001 AS u, ((h % 2000003)::HUGEINT - 1000001) * 90000000000000000000000007 AS hh,
		((h % 99999999)::INTEGER / 100)::DECIMAL(9, 2) AS d, ((h % 9999)::INTEGER / 10)::DECIMAL(4, 1) AS e,
		((h % 1000000007)::HUGEINT * 1000003)::DECIMAL(30, 5) AS f, (h % 3 = 0) AS z
		FROM (SELECT i, hash(i)::HUGEINT AS h FROM range(100000) r(i))`)
	w.rows = 100000
	w.r = newRand(1)
	w.columns = w.types("input")
	query := "SELECT g, avg(a), avg(b), avg(t), avg(u), avg(hh), avg(d), avg(e), avg(f), avg(a) FILTER (WHERE z), avg(-b), avg(b // 1000000000000000) FROM input GROUP BY g ORDER BY g"
	d, err := Derive(t.Context(), w.db, query, w.columns)
	if err != nil || d.Kind != PartialMerge {
		t.Fatal(d, err)
	}
	want, err := w.ask(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.derived(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want.rows {
		for j := range want.rows[i] {
			if !within(4e-16, want.rows[i][j], got.rows[i][j]) {
				t.Errorf("group %d, %s: want %s, got %s", i, want.columns[j][0], want.rows[i][j], got.rows[i][j])
			}
		}
	}
}

// TestClock sees one time in all batches.
func TestClock(t *testing.T) {
	w := openWorld(t)
	d, err := Derive(t.Context(), w.db, "SELECT now(), current_date, today() AS d, localtime FROM input WHERE ts < now()", w.columns)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"now(", "current_date ", "today("} {
		if text := d.Partial; strings.Contains(strings.ReplaceAll(text, `"now()"`, ""), name) {
			t.Errorf("%q is left in %s", name, text)
		}
	}
	var names []string
	for _, c := range d.ResultColumns {
		names = append(names, c.GetName()+" "+c.GetType())
	}
	if got := fmt.Sprint(names); got != "[now() TIMESTAMP WITH TIME ZONE current_date DATE d DATE localtime TIME]" {
		t.Error(got)
	}
	taken, err := Derive(t.Context(), w.db, "SELECT current_date FROM input", []*pb.Column{{Name: "Current_Date", Type: "INTEGER"}})
	if err != nil || taken.ResultColumns[0].GetType() != "INTEGER" {
		t.Error("a column's name is taken for a clock", taken, err)
	}
}

// TestRefusals says what can't be run at all.
func TestRefusals(t *testing.T) {
	w := openWorld(t)
	for query, want := range map[string]string{
		"SELEC 1":                             "syntax error",
		"SELECT 1 FROM input; SELECT 2":       "2 statements",
		"":                                    "empty",
		"COPY input TO 'x'":                   "only a SELECT",
		"ATTACH 'x'":                          "only a SELECT",
		"SET threads = 1":                     "only a SELECT",
		"PRAGMA version":                      "only a SELECT",
		"DESCRIBE input":                      "only a SELECT",
		"SELECT 1":                            "reads no data",
		"SELECT * FROM input, batch":          "reads both",
		"SELECT * FROM inptu":                 `no table "inptu"`,
		"SELECT * FROM 'x.csv'":               `no table "x.csv"`,
		"SELECT * FROM main.input":            "no schema",
		"SELECT * FROM input, read_csv('x')":  "read_csv is not allowed",
		"SELECT * FROM input, glob('*')":      "glob is not allowed",
		"WITH batch AS (SELECT 1) FROM input": "is taken",
		"SELECT nope FROM input":              "nope",
		"SELECT ? FROM input":                 "no parameters",
		"SELECT a FROM input GROUP BY k":      "GROUP BY",
		"SELECT nosuch(a) FROM input":         "nosuch",
	} {
		_, err := Derive(t.Context(), w.db, query, w.columns)
		var refused *Refusal
		if !errors.As(err, &refused) || !strings.Contains(refused.Message, want) {
			t.Errorf("%s: want a refusal with %q, got %v", query, want, err)
		}
	}
	_, err := Derive(t.Context(), w.db, "SELECT a FROM nowhere", w.columns)
	var refused *Refusal
	if !errors.As(err, &refused) || refused.Position != 14 {
		t.Errorf("position of %v", err)
	}
}

// TestPrefix says how many rows are enough.
func TestPrefix(t *testing.T) {
	w := openWorld(t)
	for query, want := range map[string]int64{
		"SELECT a FROM input LIMIT 3":            3,
		"SELECT a FROM input LIMIT 3 OFFSET 4":   7,
		"SELECT a FROM input ORDER BY a LIMIT 3": -1,
		"SELECT count(*) FROM input LIMIT 3":     -1,
		"SELECT DISTINCT a FROM input LIMIT 3":   -1,
		"SELECT a FROM input OFFSET 3":           -1,
	} {
		d, err := Derive(t.Context(), w.db, query, w.columns)
		if err != nil {
			t.Fatal(err)
		}
		got := int64(-1)
		if d.PrefixLimit != nil {
			got = *d.PrefixLimit
		}
		if got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
}

// TestWireTypes says how types cross.
func TestWireTypes(t *testing.T) {
	for kind, want := range map[string]string{
		"BIGINT":                "BIGINT",
		"DECIMAL(38,10)":        "DECIMAL(38,10)",
		"HUGEINT":               "VARCHAR",
		"ENUM('a, b', 'it''s')": "VARCHAR",
		"UUID[]":                "VARCHAR[]",
		"INTEGER[3][]":          "INTEGER[3][]",
		`STRUCT("a b" HUGEINT, "c""d" BIT[], e DATE)`: `STRUCT("a b" VARCHAR, "c""d" VARCHAR[], e DATE)`,
		"MAP(UUID, STRUCT(f TIME WITH TIME ZONE))":    "MAP(VARCHAR, STRUCT(f VARCHAR))",
		"STRUCT(INTEGER, INTEGER)":                    "",
		"UNION(a INTEGER)":                            "",
		"ENUM('a')[]":                                 "",
		`"NULL"`:                                      "",
	} {
		got, ok := wireType(kind)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%s crosses as %q, %v; want %q", kind, got, ok, want)
		}
	}
}

// TestCarry has a query read what another one answers.
func TestCarry(t *testing.T) {
	w := openWorld(t)
	w.fill(3, 40)
	first := "SELECT h, u, iv, bt, tz, k, k, hs FROM input"
	d, err := Derive(t.Context(), w.db, first, w.columns)
	if err != nil {
		t.Fatal(err)
	}
	query, seen, wire, err := Carry(d.Whole, d.ResultColumns)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.batch("SELECT * FROM input"); err != nil {
		t.Fatal(err)
	}
	kept, err := w.keep(query, wire)
	if err != nil {
		t.Fatal(err)
	}
	for _, second := range []string{
		"SELECT h + 1 AS h, u, iv, bt, tz, k_1, hs.f FROM input WHERE k IS NOT NULL ORDER BY ALL",
		"SELECT max(h), min(u), max(iv), count(DISTINCT bt), max(tz), max(hs) FROM input",
		"SELECT h, count(*) FROM input GROUP BY h ORDER BY h",
		"SELECT max(h) FROM batch",
	} {
		d, err := DeriveCarried(t.Context(), w.db, second, seen)
		if err != nil {
			t.Fatal(second, err)
		}
		if err := w.batch(kept); err != nil {
			t.Fatal(err)
		}
		last := d.Whole
		if d.Kind == PartialMerge {
			p, err := w.keep(d.Partial, d.PartialColumns)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.batch(p); err != nil {
				t.Fatal(err)
			}
			last = d.Merge
		}
		got, err := w.ask(t.Context(), last)
		if err != nil {
			t.Fatal(second, err)
		}
		over := strings.NewReplacer("FROM input", "FROM q", "FROM batch", "FROM q").Replace(second)
		want, err := w.ask(t.Context(), "WITH q AS (SELECT h, u, iv, bt, tz, k, k AS k_1, hs FROM input) "+over)
		if err != nil {
			t.Fatal(err)
		}
		if diff := differ(want, got, strings.Contains(second, "ORDER")); diff != "" {
			t.Errorf("%s: %s", second, diff)
		}
	}
}

func BenchmarkDerive(b *testing.B) {
	w := openWorld(b)
	for b.Loop() {
		if _, err := Derive(b.Context(), w.db, "SELECT k, count(*), avg(a) FROM input WHERE a > 1 GROUP BY k ORDER BY 2", w.columns); err != nil {
			b.Fatal(err)
		}
	}
}
