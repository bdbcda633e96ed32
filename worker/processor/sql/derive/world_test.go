//go:build cgo

package derive

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/duckdb"
)

// A world is a DuckDB with a table `input` of awkward data, in which a query is
// answered twice: over the whole, and by its derivation over random batches.
type world struct {
	t       testing.TB
	db      *duckdb.DB
	r       *rand.Rand
	columns []*pb.Column
	rows    int
	views   int
}

// worldColumns are the columns of the input: name, type, and values to draw
// from, all of them SQL.
var worldColumns = []struct{ name, kind, values string }{
	{"k", "VARCHAR", `'a'|'A'|'b'|''|'é'|'it''s'|'日本'|'a b'|'x,y'|'"q"'|NULL`},
	{"g", "INTEGER", `1|2|3|4|NULL`},
	{"a", "INTEGER", `0|1|-1|2147483647|-2147483648|7|100|NULL|42|3`},
	{"b", "BIGINT", `0|1|-5|9223372036854775807|-9223372036854775807|123456789012|NULL|3|9007199254740993`},
	{"t", "TINYINT", `0|1|-128|127|NULL|5`},
	{"ub", "UBIGINT", `0|1|18446744073709551615|NULL|77`},
	{"h", "HUGEINT", `0|1|-1|1701411834604692317316873037|-99999999999999999999999|NULL|12`},
	{"x", "DOUBLE", `0.0|-0.0|1.5|-2.25|0.1|1e10|-3e-5|NULL|7`},
	{"w", "DOUBLE", `0.0|-0.0|1.5|'nan'|'inf'|'-inf'|1e308|5e-324|NULL|2`},
	{"f", "FLOAT", `0.0|1.5|-0.1|3e7|NULL`},
	{"d", "DECIMAL(10,2)", `0|1.25|-0.05|12345678.99|NULL|3`},
	{"e", "DECIMAL(4,1)", `0|1.2|-99.9|NULL|5`},
	{"dd", "DECIMAL(30,5)", `0|1.00001|-99999999999999999999.5|NULL|123456789.12345`},
	{"dt", "DATE", `'2020-01-01'|'1969-12-31'|'2024-02-29'|NULL|'infinity'|'0001-01-01'`},
	{"ts", "TIMESTAMP", `'2020-01-01 00:00:00'|'1969-12-31 23:59:59.999999'|'2024-02-29 12:34:56.789'|NULL|'infinity'`},
	{"tz", "TIMESTAMP WITH TIME ZONE", `'2020-01-01 00:00:00+00'|'2024-02-29 12:34:56.789+02'|NULL`},
	{"tm", "TIME", `'00:00:00'|'23:59:59.999999'|NULL|'12:00:00'`},
	{"u", "UUID", `'00000000-0000-0000-0000-000000000000'|'ffffffff-ffff-ffff-ffff-ffffffffffff'|'6ba7b810-9dad-11d1-80b4-00c04fd430c8'|NULL`},
	{"bo", "BOOLEAN", `true|false|NULL`},
	{"l", "INTEGER[]", `[1,2,3]|[]|[NULL]|NULL|[7]`},
	{"s", "STRUCT(f INTEGER, g VARCHAR)", `{'f': 1, 'g': 'x'}|{'f': NULL, 'g': ''}|NULL|{'f': 2, 'g': 'it''s, "q"'}`},
	{"hs", "STRUCT(f HUGEINT, g UUID[])", `{'f': 1, 'g': ['6ba7b810-9dad-11d1-80b4-00c04fd430c8']}|NULL|{'f': NULL, 'g': []}|{'f': 5, 'g': NULL}`},
	{"mp", "MAP(VARCHAR, INTEGER)", `MAP {'a': 1}|MAP {'b': 2, 'c': NULL}|NULL|MAP {}`},
	{"iv", "INTERVAL", `INTERVAL 1 DAY|INTERVAL '-1 month 3 days -00:00:01.5'|NULL|INTERVAL 0 SECOND`},
	{"bl", "BLOB", `'\x00\xFF'::BLOB|''::BLOB|NULL|'abc'::BLOB`},
	{"bt", "BIT", `'0101'::BIT|'1'::BIT|NULL`},
	{"en", "ENUM('lo', 'hi', 'it''s')", `'lo'|'hi'|NULL|'it''s'`},
	{"Odd Name", "INTEGER", `1|2|NULL`},
}

func openWorld(t testing.TB) *world {
	t.Helper()
	db, err := duckdb.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w := &world{t: t, db: db}
	w.columns = append(w.columns, &pb.Column{Name: "id", Type: "INTEGER"})
	for _, c := range worldColumns {
		w.columns = append(w.columns, &pb.Column{Name: c.name, Type: c.kind})
	}
	return w
}

// fill makes the table anew, of n rows.
func (w *world) fill(seed uint64, n int) {
	w.r = newRand(seed)
	w.rows = n
	var columns []string
	for _, c := range w.columns {
		columns = append(columns, quote(c.GetName())+" "+c.GetType())
	}
	w.exec("CREATE OR REPLACE TABLE input (" + strings.Join(columns, ", ") + ")")
	if n == 0 {
		return
	}
	tuples := make([]string, n)
	for i := range tuples {
		values := []string{fmt.Sprint(i)}
		for _, c := range worldColumns {
			options := strings.Split(c.values, "|")
			values = append(values, options[w.r.IntN(len(options))])
		}
		tuples[i] = "(" + strings.Join(values, ", ") + ")"
	}
	w.exec("INSERT INTO input VALUES " + strings.Join(tuples, ", "))
}

// grow doubles the table n times, beyond what DuckDB handles at once.
func (w *world) grow(n int) {
	for range n {
		w.exec(fmt.Sprintf("INSERT INTO input SELECT * REPLACE (id + %d AS id) FROM input", w.rows))
		w.rows *= 2
	}
}

func (w *world) exec(query string) {
	w.t.Helper()
	if err := w.db.Exec(w.t.Context(), query); err != nil {
		w.t.Fatalf("%v\nin: %s", err, query)
	}
}

// answer is a query's columns and rows as text.
type answer struct {
	columns [][]string
	rows    [][]string
}

func (w *world) ask(ctx context.Context, query string) (*answer, error) {
	columns, err := w.db.Rows(ctx, "SELECT column_name, column_type FROM (DESCRIBE "+query+")")
	if err != nil {
		return nil, err
	}
	rows, err := w.db.Rows(ctx, "SELECT coalesce(CAST(COLUMNS(*) AS VARCHAR), '<NULL>') FROM ("+query+")")
	return &answer{columns: columns, rows: rows}, err
}

// batch makes the table `batch` of a query.
func (w *world) batch(query string) error {
	return w.db.Exec(w.t.Context(), "CREATE OR REPLACE TABLE batch AS "+query)
}

// keep stores a query's answer in a table of its own, and gives a query for it.
func (w *world) keep(query string, columns []*pb.Column) (string, error) {
	w.views++
	name := fmt.Sprintf("kept%d", w.views)
	if err := w.db.Exec(w.t.Context(), fmt.Sprintf("CREATE TABLE %s AS %s", name, query)); err != nil {
		return "", fmt.Errorf("%w\nin: %s", err, query)
	}
	if got := w.types(name); !sameTypes(got, columns) {
		return "", fmt.Errorf("answers %v where %v is promised\nin: %s", got, columns, query)
	}
	return "SELECT * FROM " + name, nil
}

func (w *world) types(name string) []*pb.Column {
	rows, err := w.db.Rows(w.t.Context(), "SELECT column_name, column_type FROM (DESCRIBE "+name+")")
	if err != nil {
		w.t.Fatal(err)
	}
	var columns []*pb.Column
	for _, r := range rows {
		columns = append(columns, &pb.Column{Name: r[0], Type: r[1]})
	}
	return columns
}

// cut splits the input at random into queries for its batches, some of them
// empty.
func (w *world) cut() []string {
	n := 1 + w.r.IntN(6)
	bounds := []int{0}
	for range n - 1 {
		bounds = append(bounds, bounds[len(bounds)-1]+w.r.IntN(max(w.rows-bounds[len(bounds)-1], 0)+1))
	}
	bounds = append(bounds, w.rows)
	var batches []string
	for i := range n {
		batches = append(batches, fmt.Sprintf("SELECT * FROM input WHERE id >= %d AND id < %d", bounds[i], bounds[i+1]))
	}
	return batches
}

// derived answers a query by its derivation.
func (w *world) derived(ctx context.Context, d *Derivation) (*answer, error) {
	if d.Kind == One {
		if err := w.batch("SELECT * FROM input"); err != nil {
			return nil, err
		}
		return w.ask(ctx, d.Merge)
	}
	var partials []string
	for _, b := range w.cut() {
		if err := w.batch(b); err != nil {
			return nil, err
		}
		p, err := w.keep(d.Partial, d.PartialColumns)
		if err != nil {
			return nil, err
		}
		partials = append(partials, p)
	}
	if w.rows == 0 && w.r.IntN(2) == 0 {
		partials = []string{partials[0] + " WHERE false"} // no batch at all
	}
	if d.Kind == Direct {
		got, err := w.ask(ctx, strings.Join(partials, " UNION ALL "))
		if err == nil {
			got.columns, err = w.db.Rows(ctx, "SELECT column_name, column_type FROM (DESCRIBE "+d.Partial+")")
		}
		return got, err
	}
	partials, err := w.combine(d, partials)
	if err != nil {
		return nil, err
	}
	if err := w.batch(strings.Join(partials, " UNION ALL ")); err != nil {
		return nil, err
	}
	return w.ask(ctx, d.Merge)
}

// combine merges random runs of neighbours.
func (w *world) combine(d *Derivation, partials []string) ([]string, error) {
	for len(partials) > 1 && d.Combine != "" && w.r.IntN(3) > 0 {
		from := w.r.IntN(len(partials) - 1)
		to := from + 2 + w.r.IntN(len(partials)-from-1)
		if err := w.batch(strings.Join(partials[from:to], " UNION ALL ")); err != nil {
			return nil, err
		}
		merged, err := w.keep(d.Combine, d.PartialColumns)
		if err != nil {
			return nil, err
		}
		partials = append(partials[:from:from], append([]string{merged}, partials[to:]...)...)
	}
	return partials, nil
}

// forget drops what was kept.
func (w *world) forget() {
	var drops strings.Builder
	for i := range w.views {
		fmt.Fprintf(&drops, "DROP TABLE IF EXISTS kept%d;", i+1)
	}
	w.exec("SELECT 1;" + drops.String())
	w.views = 0
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 17)) }
