package function

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// copied is a record batch with memory of its own.
func copied(batch arrow.RecordBatch) arrow.RecordBatch {
	var b strings.Builder
	w := ipc.NewWriter(&b, ipc.WithSchema(batch.Schema()))
	if err := w.Write(batch); err != nil {
		panic(err)
	}
	w.Close()
	r, err := ipc.NewReader(strings.NewReader(b.String()))
	if err != nil {
		panic(err)
	}
	r.Next()
	r.RecordBatch().Retain()
	return r.RecordBatch()
}

func quoted() Function {
	return Map("quoted", func(line string, emit func(string)) error { emit(fmt.Sprintf("%q", line)); return nil })
}

func TestLines(t *testing.T) {
	out, a, err := run(t, quoted(), mapPhase, texts("a\r\n\n b\x00\xff \r\r\n", "", "c\nlast\r", "d"))
	want := `"a"` + "\n" + `""` + "\n" + `" b\x00\xff \r"` + "\n" + `"c"` + "\n" + `"last\r"` + "\n" + `"d"` + "\n"
	if err != nil || out.text.String() != want {
		t.Errorf("got %s, %v; want %s", out.text.String(), err, want)
	}
	if a.records != 6 || a.bytes != 20 {
		t.Errorf("counted %d records, %d bytes", a.records, a.bytes)
	}
}

// Records of every length, the chunk's and beyond, come out as they are.
func TestLinesOfAnyLength(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var text strings.Builder
	for _, n := range []int{0, 1, chunkBytes - 1, chunkBytes, chunkBytes + 1, 3 * chunkBytes, 5, 2_000_000, 7} {
		text.WriteString(strings.Repeat(string(rune('a'+r.IntN(26))), n) + "\n")
	}
	for range 50_000 {
		text.WriteString(strings.Repeat(string(rune('a'+r.IntN(26))), r.IntN(60)) + "\n")
	}
	var kept []string
	keeps := Map("keeps", func(line string, emit func(string)) error { kept = append(kept, line); return nil })
	copies := Map("copies", func(line []byte, emit func([]byte)) error { emit(line); return nil })
	if _, _, err := run(t, keeps, mapPhase, texts(text.String())); err != nil {
		t.Fatal(err)
	}
	if strings.Join(kept, "\n")+"\n" != text.String() {
		t.Error("records that were kept have changed")
	}
	if out, _, err := run(t, copies, mapPhase, texts(text.String())); err != nil || out.text.String() != text.String() {
		t.Errorf("records as bytes come out otherwise: %v", err)
	}
}

func TestCSVRecordsAsText(t *testing.T) {
	in := inFile(t, "a.csv", "id,text\n1,\"two\nlines, \"\"quoted\"\"\"\n2,plain\n")
	out, _, err := run(t, quoted(), mapPhase, in)
	want := `"1,\"two\nlines, \"\"quoted\"\"\""` + "\n" + `"2,plain"` + "\n"
	if err != nil || out.text.String() != want {
		t.Errorf("got %s, %v", out.text.String(), err)
	}
}

type order struct {
	ID     int32     `json:"id"`
	Amount float64   `csv:"amount"`
	Note   *string   // a column without a value is nil
	Paid   bool      `json:"paid,omitempty"`
	At     time.Time `json:"at,omitempty"`
	hidden int
}

func shown() Function {
	return Map("shown", func(o order, emit func(string)) error {
		note := "-"
		if o.Note != nil {
			note = *o.Note
		}
		emit(fmt.Sprintf("%v %v %v %v %v", o.ID, o.Amount, note, o.Paid, o.hidden))
		return nil
	})
}

func TestStructsOfCSV(t *testing.T) {
	in := inFile(t, "a.csv", "note,ID,other,amount\nhello,1,x,2.5\n,-7,y,1e3\n")
	out, a, err := run(t, shown(), mapPhase, in)
	if err != nil || out.text.String() != "1 2.5 hello false 0\n-7 1000 - false 0\n" {
		t.Errorf("got %q, %v", out.text.String(), err)
	}
	if a.records != 2 {
		t.Errorf("counted %d records", a.records)
	}
}

func TestStructsOfJSON(t *testing.T) {
	in := inFile(t, "a.jsonl", `{"id":1,"Amount":2.5,"Note":"n","paid":true}`+"\n"+`{"id":2}`+"\n")
	out, _, err := run(t, shown(), mapPhase, in)
	if err != nil || out.text.String() != "1 2.5 n true 0\n2 0 - false 0\n" {
		t.Errorf("got %q, %v", out.text.String(), err)
	}
}

func TestBadJSON(t *testing.T) {
	in := inFile(t, "a.jsonl", `{"id":1}`+"\n\nnull\n"+`{"id":"x"}`+"\n{\"Note\":\"\xff\"}\n[]\n"+`{"id":2} {}`+"\n"+`{"id":3`)
	a, out := newAttempt(t), &sink{}
	a.maySkip = 6
	if err := stepOf(t, shown(), mapPhase).Run(t.Context(), &a.Attempt, in, out); err != nil {
		t.Fatal(err)
	}
	if out.text.String() != "1 0 - false 0\n" || len(a.bad) != 6 || a.bad[0].GetOffset() != 10 || a.bad[2].GetReason() != "invalid UTF-8" {
		t.Errorf("got %q, bad %v", out.text.String(), a.bad)
	}
}

// orders are Arrow records of types that are not quite the struct's.
func orders() processor.Input {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "amount", Type: arrow.PrimitiveTypes.Float32},
		{Name: "Note", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "at", Type: arrow.FixedWidthTypes.Date32},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	b.Field(0).(*array.Int64Builder).AppendValues([]int64{1, 1 << 40, 3, 4}, []bool{true, true, true, false})
	b.Field(1).(*array.Float32Builder).AppendValues([]float32{1, 2, 3, 4}, nil)
	b.Field(2).(*array.StringBuilder).AppendValues([]string{"a", "b", "", "d"}, []bool{true, true, false, true})
	b.Field(3).(*array.Date32Builder).AppendValues([]arrow.Date32{0, 1, 2, 3}, nil)
	part := (&sink{batches: []arrow.RecordBatch{b.NewRecordBatch()}}).part()
	part.Name = "orders.arrow"
	return processor.Input{Format: pb.Format_FORMAT_ARROW, Parts: []processor.Part{part}}
}

func TestStructsOfArrowAndBadRecords(t *testing.T) {
	_, _, err := run(t, shown(), mapPhase, orders())
	failure(t, err, fatal)
	a, out := newAttempt(t), &sink{}
	a.maySkip = 2
	if err := stepOf(t, shown(), mapPhase).Run(t.Context(), &a.Attempt, orders(), out); err != nil {
		t.Fatal(err)
	}
	if out.text.String() != "1 1 a false 0\n3 3 - false 0\n" {
		t.Errorf("got %q", out.text.String())
	}
	if len(a.bad) != 2 || a.bad[0].GetOffset() != 1 || a.bad[0].GetFile() != "orders.arrow" ||
		!strings.Contains(a.bad[0].GetReason(), "column id: 1099511627776 does not fit into int32") ||
		!strings.Contains(a.bad[1].GetReason(), "column id: is null") {
		t.Errorf("bad records are %v", a.bad)
	}
}

func TestStringsOfArrowAreJSON(t *testing.T) {
	out, _, err := run(t, quoted(), mapPhase, orders())
	if err != nil || !strings.Contains(out.text.String(), `\"id\":1,`) || strings.Count(out.text.String(), "\n") != 4 {
		t.Errorf("got %s, %v", out.text.String(), err)
	}
}

func TestAColumnThatIsMissing(t *testing.T) {
	_, _, err := run(t, shown(), mapPhase, inFile(t, "a.csv", "id,other\n1,2\n"))
	f := failure(t, err, fatal)
	if !strings.Contains(f.GetMessage(), "wants a column amount") || !strings.Contains(f.GetMessage(), "id, other") {
		t.Errorf("got %s", f.GetMessage())
	}
}

func TestABadValueInCSV(t *testing.T) {
	in := inFile(t, "a.csv", "id,amount,note\n1,2,a\n2,many,b\n3,4,c\n")
	a, out := newAttempt(t), &sink{}
	a.maySkip = 1
	if err := stepOf(t, shown(), mapPhase).Run(t.Context(), &a.Attempt, in, out); err != nil {
		t.Fatal(err)
	}
	if out.text.String() != "1 2 a false 0\n3 4 c false 0\n" || len(a.bad) != 1 || a.bad[0].GetFile() != in.Parts[0].Name {
		t.Errorf("got %q, bad %v", out.text.String(), a.bad)
	}
}

type result struct {
	Name  string            `json:"name"`
	Count uint16            `json:"count"`
	Score *float32          `json:"score"`
	Raw   []byte            `json:"raw"`
	At    time.Time         `json:"at"`
	Tags  map[string]string `json:"tags"`
}

func TestStructsAsOutput(t *testing.T) {
	score := float32(0.5)
	f := Map("rows", func(line string, emit func(result)) error {
		emit(result{Name: line, Count: 3, Raw: []byte("x"), At: time.UnixMicro(1_700_000_000_000_000), Tags: map[string]string{"a": "b"}})
		emit(result{Name: line + "2", Score: &score})
		return nil
	})
	var types []string
	for _, c := range f.Info().Columns {
		types = append(types, c.GetName()+" "+c.GetType())
	}
	want := []string{"name VARCHAR", "count USMALLINT", "score FLOAT", "raw BLOB", "at TIMESTAMP WITH TIME ZONE", "tags VARCHAR"}
	if !slices.Equal(types, want) {
		t.Errorf("columns are %q", types)
	}
	out, _, err := run(t, f, mapPhase, texts("a\n"))
	if err != nil {
		t.Fatal(err)
	}
	if rows := out.rows(); len(rows) != 2 || !strings.HasPrefix(rows[0], "a,3,(null),") || !strings.HasSuffix(rows[0], `{"a":"b"}`) {
		t.Errorf("got %q", rows)
	}
	back := Map("back", func(r result, emit func(string)) error {
		emit(fmt.Sprintf("%v %v %v %s %v %v", r.Name, r.Count, r.Score != nil, r.Raw, r.At.Unix(), r.Tags))
		return nil
	})
	again, _, err := run(t, back, mapPhase, processor.Input{Format: pb.Format_FORMAT_ARROW, Parts: []processor.Part{out.part()}})
	if err != nil || !strings.HasPrefix(again.text.String(), "a 3 false x 1700000000 map[a:b]\na2 0 true") {
		t.Errorf("comes back as %q, %v", again.text.String(), err)
	}
}

func TestBatchSeesAllOfABatch(t *testing.T) {
	f := Batch("whole", func(ctx context.Context, b *Input[string], emit func(string)) error {
		n := 0
		for line := range b.All() {
			if n++; line == "stop" {
				break
			}
			b.Count("lines", 1)
		}
		b.Status("almost done")
		from, to := b.Positions()
		emit(fmt.Sprintf("%v %v %v %v %v %v %v", n, b.Job(), b.Stage(), b.Number(), b.Attempt(), from, to))
		return nil
	})
	out, a, err := run(t, f, mapPhase, texts("a\nb\nstop\nc\n"))
	if err != nil || out.text.String() != "3 job-1 count 7 2 100 200\n" {
		t.Errorf("got %q, %v", out.text.String(), err)
	}
	if a.counted()["lines"] != 2 || !slices.Equal(a.status, []string{"almost done"}) {
		t.Errorf("counters %v, status %q", a.counters, a.status)
	}
}

func TestBatchKnowsWhereItsRecordsAre(t *testing.T) {
	f := Batch("places", func(_ context.Context, b *Input[string], emit func(string)) error {
		for line := range b.All() {
			emit(fmt.Sprintf("%s at %d of %s", line, b.Offset(), b.File()))
		}
		dir, err := b.TempDir()
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "notes"), nil, 0o600)
		}
		return err
	})
	in := texts("ab\n\ncd\n")
	out, _, err := run(t, f, mapPhase, in)
	name := in.Parts[0].Name
	if want := fmt.Sprintf("ab at 0 of %s\n at 3 of %[1]s\ncd at 4 of %[1]s\n", name); err != nil || out.text.String() != want {
		t.Errorf("got %q, %v; want %q", out.text.String(), err, want)
	}
}

func TestBatchFailsWhenItsInputDoes(t *testing.T) {
	f := Batch("deaf", func(_ context.Context, b *Input[string], emit func(string)) error {
		for range b.All() {
		}
		emit("all is well")
		return nil
	})
	in := texts("a\n")
	in.Parts[0].Open = func(context.Context) (io.ReadCloser, error) {
		return nil, processor.InputGone("the file is gone")
	}
	_, _, err := run(t, f, mapPhase, in)
	failure(t, err, pb.OutcomeClass_OUTCOME_CLASS_INPUT_GONE)
}
