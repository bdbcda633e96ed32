//go:build cgo

package sql

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

func TestCSV(t *testing.T) {
	a := newAttempt(t)
	in := csvInput(columns("k VARCHAR", "n BIGINT"),
		textPart("a.csv", 10, "x,1\n\"y \"\"q\"\",\nz\",2"), textPart("b.csv", 0, "5\" pipe,3\r\n\nx,4\n"))
	rows, err := runQuery(t, a, `SELECT k, sum(n)::BIGINT FROM "batch" GROUP BY k ORDER BY k;`, in)
	wantRows(t, rows, err, `5" pipe|3`, "x|5", "y \"q\",\nz|2")
	if a.records != 4 {
		t.Errorf("%d records were read, want 4", a.records)
	}
}

func TestJSON(t *testing.T) {
	a := newAttempt(t)
	in := jsonInput(columns("a BIGINT", "b STRUCT(c VARCHAR)"),
		textPart("a.json", 0, `{"a":1,"b":{"c":"x"}}`+"\n\n"+`{"a":2}`), textPart("b.json", 0, `{"b":{"c":"\u00e9"},"a":3,"z":1}`+"\n"))
	rows, err := runQuery(t, a, "SELECT a, b.c FROM batch", in)
	wantRows(t, rows, err, "1|x", "2|(null)", "3|é")
	if a.records != 3 {
		t.Errorf("%d records were read, want 3", a.records)
	}
}

func TestLines(t *testing.T) {
	a := newAttempt(t)
	in := linesInput(textPart("dir/a", 100, "a\r\n\n\"x,y\rq\x00z\n  sp ;\t\x01"), textPart("b", 0, "end\n"))
	rows, err := runQuery(t, a, `SELECT * FROM batch`, in)
	wantRows(t, rows, err, "a|dir/a|100", "|dir/a|103", "\"x,y\rq\x00z|dir/a|104", "  sp ;\t\x01|dir/a|113", "end|b|0")
	if a.records != 5 {
		t.Errorf("%d records were read, want 5", a.records)
	}
}

func TestLongLines(t *testing.T) {
	long := strings.Repeat("x", 3<<20)
	in := linesInput(textPart("a", 0, "short\n"+long+"\nshort\n"))
	in.MaxRecordBytes = 4 << 20
	rows, err := runQuery(t, newAttempt(t), "SELECT length(line), \"offset\" FROM batch", in)
	wantRows(t, rows, err, "5|0", "3145728|6", "5|3145735")
	in.MaxRecordBytes = 1 << 20
	_, err = runQuery(t, newAttempt(t), "SELECT length(line) FROM batch", in)
	if err == nil || !strings.Contains(err.Error(), "byte 6 is longer") {
		t.Errorf("a line that is too long: %v", err)
	}
}

func TestEmpty(t *testing.T) {
	for name, in := range map[string]processor.Input{
		"no parts":    csvInput(columns("n BIGINT")),
		"empty csv":   csvInput(columns("n BIGINT"), textPart("a", 0, "")),
		"empty json":  jsonInput(columns("n BIGINT"), textPart("a", 0, "")),
		"empty arrow": {Format: pb.Format_FORMAT_ARROW, Columns: columns("n BIGINT")},
	} {
		rows, err := runQuery(t, newAttempt(t), "SELECT count(*), sum(n) FROM batch", in)
		t.Run(name, func(t *testing.T) { wantRows(t, rows, err, "0|(null)") })
	}
	rows, err := runQuery(t, newAttempt(t), "SELECT count(*), max(line) FROM batch", linesInput(textPart("a", 0, "")))
	wantRows(t, rows, err, "0|(null)")
}

func TestInstancesAreReused(t *testing.T) {
	step, _ := New(&pb.SqlStep{Query: "SELECT sum(n)::BIGINT FROM batch"}, Options{})
	defer step.Close()
	a := newAttempt(t)
	for i, want := range []string{"3", "30", "4"} {
		var out collector
		text := []string{"1\n2\n", strings.Repeat("1\n", 30), "4"}[i]
		err := step.Run(t.Context(), &a.Attempt, csvInput(columns("n BIGINT"), textPart("a", 0, text)), &out)
		wantRows(t, out.rows, err, want)
	}
	if n := len(step.(*query).engine.idle); n != 1 {
		t.Errorf("%d instances are idle, want 1", n)
	}
}

func TestSpill(t *testing.T) {
	dir := t.TempDir()
	run := func(o Options, memory int64) (string, error) {
		step, err := New(&pb.SqlStep{Query: "SELECT count(*) FROM (SELECT range, hash(range)::VARCHAR AS h FROM batch, range(600000) ORDER BY h DESC OFFSET 1)"}, o)
		if err != nil {
			t.Fatal(err)
		}
		defer step.Close()
		a, out := newAttempt(t), collector{}
		a.MemoryBytes = memory
		err = step.Run(t.Context(), &a.Attempt, csvInput(columns("n BIGINT"), textPart("f", 0, "1\n")), &out)
		return strings.Join(out.rows, " "), err
	}
	if got, err := run(Options{TempDir: dir}, 32<<20); err != nil || got != "599999" {
		t.Errorf("a query that spills: %s, %v", got, err)
	}
	for name, o := range map[string]Options{"nowhere to spill": {}, "little room": {TempDir: dir, MaxTempBytes: 1 << 20}} {
		_, err := run(o, 32<<20)
		if f, ok := errors.AsType[*processor.Failure](err); !ok || f.Class != pb.OutcomeClass_OUTCOME_CLASS_KILLED_MEMORY {
			t.Errorf("%s: %v", name, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("what was spilled is still there: %v, %v", entries, err)
	}
}

func TestOneColumn(t *testing.T) {
	a := newAttempt(t)
	rows, err := runQuery(t, a, "SELECT count(*), count(n) FROM batch", csvInput(columns("n BIGINT"), textPart("f", 0, "1\n\n2\n")))
	wantRows(t, rows, err, "3|2")
	if a.records != 3 {
		t.Errorf("%d records were counted, want 3", a.records)
	}
}

func TestNewlines(t *testing.T) {
	for _, text := range []string{
		"a,1\r\nb,2\r\n", "a,1\r\nb,2", "a,1\nb,2\r\n", "a,1\r\n\r\nb,2\n", "\r\na,1\r\nb,2\r\n", "\na,1\r\nb,2", "a,1\rb,2\r", "a,1\rb,2", "a,1\nb,2",
	} {
		a := newAttempt(t)
		rows, err := runQuery(t, a, "SELECT * FROM batch", csvInput(columns("s VARCHAR", "n BIGINT"), textPart("f", 0, text)))
		t.Run(strings.NewReplacer("\n", "n", "\r", "r").Replace(text), func(t *testing.T) { wantRows(t, rows, err, "a|1", "b|2") })
		if a.records != 2 && strings.Contains(text, "\n") {
			t.Errorf("%q: %d records were counted, want 2", text, a.records)
		}
	}
	rows, err := runQuery(t, newAttempt(t), "SELECT length(s), n FROM batch", csvInput(columns("s VARCHAR", "n BIGINT"), textPart("f", 0, "\"x\r\ny\",1\r\n"), textPart("g", 0, "\"x\ny\",2\n")))
	wantRows(t, rows, err, "4|1", "3|2")
}

// A record that quotes newlines may be longer than any of its lines.
func TestLongRecords(t *testing.T) {
	in := csvInput(columns("s VARCHAR", "n BIGINT"), textPart("f", 0, "a,1\n\""+strings.Repeat("line\n", 1<<20)+"\",2\nb,3\n"))
	in.MaxRecordBytes = 8 << 20
	rows, err := runQuery(t, newAttempt(t), "SELECT length(s), n FROM batch", in)
	wantRows(t, rows, err, "1|1", "5242880|2", "1|3")
	in = jsonInput(columns("s VARCHAR"), textPart("f", 0, `{"s":"`+strings.Repeat("x", 5<<20)+"\"}\n{\"s\":\"\"}"))
	in.MaxRecordBytes = 8 << 20
	rows, err = runQuery(t, newAttempt(t), "SELECT length(s) FROM batch", in)
	wantRows(t, rows, err, "5242880", "0")
}

// Records are counted rightly, however quotes and newlines stand in them.
func TestCountsRecords(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	pieces := []string{"a,1\n", "\"x\ny\",2\n", "\"q\"\"q\",3\n", "\"\",\n", "b,\"4\"\r\n", "\n", "\r\n", "\"" + strings.Repeat("long ", 20) + "\n\",5\n"}
	for range 10 {
		var text strings.Builder
		for range random.IntN(60) + 1 {
			text.WriteString(pieces[random.IntN(len(pieces))])
		}
		if random.IntN(2) == 0 {
			text.WriteString("5\" pipe,6\n\n")
		}
		a := newAttempt(t)
		rows, err := runQuery(t, a, "SELECT count(*) FROM batch", csvInput(columns("s VARCHAR", "n BIGINT"), textPart("f", 0, text.String())))
		wantRows(t, rows, err, fmt.Sprint(a.records))
	}
}
