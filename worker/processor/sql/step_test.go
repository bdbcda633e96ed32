//go:build cgo

package sql

import (
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
	if n := len(step.(*query).pool.idle); n != 1 {
		t.Errorf("%d instances are idle, want 1", n)
	}
}
