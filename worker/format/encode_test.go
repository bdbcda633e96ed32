package format

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	pb "github.com/millrace/millrace/api/millracev1"
)

// cell is a column of one value (and a null below it) and its text.
type cell struct {
	t    arrow.DataType
	add  func(b array.Builder)
	text string
	json string
}

func micros(year int, rest time.Duration) int64 {
	return time.Date(year, 1, 2, 0, 0, 0, 0, time.UTC).Add(rest).UnixMicro()
}

func timestamp(v int64) func(array.Builder) {
	return func(b array.Builder) { b.(*array.TimestampBuilder).Append(arrow.Timestamp(v)) }
}

func double(v float64) func(array.Builder) {
	return func(b array.Builder) { b.(*array.Float64Builder).Append(v) }
}

func interval(months, days int32, nanos int64) func(array.Builder) {
	return func(b array.Builder) {
		b.(*array.MonthDayNanoIntervalBuilder).Append(arrow.MonthDayNanoInterval{Months: months, Days: days, Nanoseconds: nanos})
	}
}

func decimal(s string) func(array.Builder) {
	return func(b array.Builder) {
		t := b.Type().(*arrow.Decimal128Type)
		n, err := decimal128.FromString(s, t.Precision, t.Scale)
		if err != nil {
			panic(err)
		}
		b.(*array.Decimal128Builder).Append(n)
	}
}

func value(v string) func(array.Builder) {
	return func(b array.Builder) {
		if err := b.AppendValueFromString(v); err != nil {
			panic(err)
		}
	}
}

// cells hold DuckDB's text of values of many types.
func cells() []cell {
	us := &arrow.TimestampType{Unit: arrow.Microsecond}
	utc := &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
	f64, str := arrow.PrimitiveTypes.Float64, arrow.BinaryTypes.String
	span := arrow.FixedWidthTypes.MonthDayNanoInterval
	half := 500 * time.Millisecond
	return []cell{
		{t: f64, add: double(1), text: "1.0", json: "1.0"},
		{t: f64, add: double(1e300), text: "1e+300", json: "1e+300"},
		{t: f64, add: double(1e16), text: "1e+16", json: "1e+16"},
		{t: f64, add: double(1e15), text: "1000000000000000.0", json: "1000000000000000.0"},
		{t: f64, add: double(1e-5), text: "1e-05", json: "1e-05"},
		{t: f64, add: double(0.0001), text: "0.0001", json: "0.0001"},
		{t: f64, add: double(math.NaN()), text: "nan", json: "null"},
		{t: f64, add: double(math.Inf(-1)), text: "-inf", json: "null"},
		{t: f64, add: double(math.Copysign(0, -1)), text: "-0.0", json: "-0.0"},
		{t: arrow.PrimitiveTypes.Float32, add: value("0.1"), text: "0.1", json: "0.1"},
		{t: arrow.PrimitiveTypes.Int8, add: value("-128"), text: "-128", json: "-128"},
		{t: arrow.PrimitiveTypes.Uint64, add: value("18446744073709551615"), text: "18446744073709551615", json: "18446744073709551615"},
		{t: arrow.FixedWidthTypes.Boolean, add: value("true"), text: "true", json: "true"},
		{t: arrow.FixedWidthTypes.Date32, add: value("2020-01-02"), text: "2020-01-02", json: `"2020-01-02"`},
		{t: arrow.FixedWidthTypes.Date32, add: func(b array.Builder) { b.(*array.Date32Builder).Append(-735_160) }, text: "0044-03-15 (BC)", json: `"0044-03-15 (BC)"`},
		{t: us, add: timestamp(micros(2020, 3*time.Hour+4*time.Minute+5*time.Second)), text: "2020-01-02 03:04:05", json: `"2020-01-02 03:04:05"`},
		{t: us, add: timestamp(micros(1920, 120*time.Millisecond)), text: "1920-01-02 00:00:00.12", json: `"1920-01-02 00:00:00.12"`},
		{t: us, add: timestamp(math.MaxInt64), text: "infinity", json: `"infinity"`},
		{t: us, add: timestamp(micros(-43, 0)), text: "0044-01-02 00:00:00 (BC)", json: `"0044-01-02 00:00:00 (BC)"`},
		{t: utc, add: timestamp(micros(2020, 0)), text: "2020-01-02 00:00:00+00", json: `"2020-01-02 00:00:00+00"`},
		{t: &arrow.TimestampType{Unit: arrow.Nanosecond}, add: timestamp(1577934245123456789), text: "2020-01-02 03:04:05.123456789", json: `"2020-01-02 03:04:05.123456789"`},
		{t: arrow.FixedWidthTypes.Time64us, add: value("01:02:03.5"), text: "01:02:03.5", json: `"01:02:03.5"`},
		{t: span, add: interval(1, 2, 3e9), text: "1 month 2 days 00:00:03", json: `"1 month 2 days 00:00:03"`},
		{t: span, add: interval(26, -3, int64(time.Hour+half)), text: "2 years 2 months -3 days 01:00:00.5", json: `"2 years 2 months -3 days 01:00:00.5"`},
		{t: span, add: interval(0, 0, 0), text: "00:00:00", json: `"00:00:00"`},
		{t: &arrow.Decimal128Type{Precision: 9, Scale: 2}, add: decimal("12.50"), text: "12.50", json: "12.50"},
		{t: &arrow.Decimal128Type{Precision: 9, Scale: 2}, add: decimal("-0.05"), text: "-0.05", json: "-0.05"},
		{t: &arrow.Decimal128Type{Precision: 38, Scale: 0}, add: decimal("-170141183460469231731687303715884105"), text: "-170141183460469231731687303715884105", json: "-170141183460469231731687303715884105"},
		{t: &arrow.Decimal128Type{Precision: 38, Scale: 20}, add: decimal("0.00000000000000000001"), text: "0.00000000000000000001", json: "0.00000000000000000001"},
		{t: arrow.BinaryTypes.Binary, add: func(b array.Builder) { b.(*array.BinaryBuilder).Append([]byte("\xaa\x00b")) }, text: `\xAA\x00b`, json: `"\\xAA\\x00b"`},
		{t: str, add: value(" lead"), text: " lead", json: `" lead"`},
		{t: str, add: value("say \"hi\""), text: "say \"hi\"", json: `"say \"hi\""`},
		{t: str, add: value("x\ny\x01é"), text: "x\ny\x01é", json: `"x\ny\u0001é"`},
		{t: str, add: value(""), text: "", json: `""`},
		{t: arrow.ListOf(arrow.PrimitiveTypes.Int64), add: value("[1,2,null]"), text: "[1, 2, NULL]", json: "[1,2,null]"},
		{t: arrow.ListOf(str), add: value(`["it's","x\"y","NULL","",null,"b, c","x y"]`), text: `['it\'s', 'x"y', 'NULL', '', NULL, 'b, c', x y]`, json: `["it's","x\"y","NULL","",null,"b, c","x y"]`},
		{t: arrow.StructOf(arrow.Field{Name: "a b", Type: arrow.ListOf(arrow.PrimitiveTypes.Int64), Nullable: true}, arrow.Field{Name: "c", Type: str, Nullable: true}), add: value(`{"a b":[1],"c":null}`), text: "{'a b': [1], 'c': NULL}", json: `{"a b":[1],"c":null}`},
		{t: arrow.MapOf(str, arrow.PrimitiveTypes.Int64), add: value(`[{"key":"k","value":1}]`), text: "{k=1}", json: `{"k":1}`},
	}
}

// twoRows is a batch with the cells in its first row and nulls in its second.
func twoRows(cells []cell) arrow.RecordBatch {
	var fields []arrow.Field
	for i, c := range cells {
		fields = append(fields, arrow.Field{Name: "c" + string(rune('0'+i/10)) + string(rune('0'+i%10)), Type: c.t, Nullable: true})
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	for i, c := range cells {
		c.add(b.Field(i))
		b.Field(i).AppendNull()
	}
	return b.NewRecordBatch()
}

func encodedAs(t *testing.T, f pb.Format, o EncoderOptions, batches ...arrow.RecordBatch) string {
	t.Helper()
	var out bytes.Buffer
	e, err := NewEncoder(f, &out, batches[0].Schema(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range batches {
		if err := e.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestCSVEncoder(t *testing.T) {
	all := cells()
	text := encodedAs(t, pb.Format_FORMAT_CSV, EncoderOptions{Header: true}, twoRows(all))
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(records) != 3 || records[0][1] != "c01" {
		t.Fatalf("%v: %q", err, text)
	}
	for i, c := range all {
		if records[1][i] != c.text || records[2][i] != "" {
			t.Errorf("%v: got %q and %q, want %q", c.t, records[1][i], records[2][i], c.text)
		}
	}
	strs := []cell{{t: arrow.BinaryTypes.String, add: value("")}, {t: arrow.BinaryTypes.String, add: value("a;b")}, {t: arrow.BinaryTypes.String, add: value("\"")}}
	if got := encodedAs(t, pb.Format_FORMAT_CSV, EncoderOptions{Delimiter: ';'}, twoRows(strs)); got != "\"\";\"a;b\";\"\"\"\"\n;;\n" {
		t.Errorf("got %q", got)
	}
}

func TestJSONEncoder(t *testing.T) {
	all := cells()
	text := encodedAs(t, pb.Format_FORMAT_JSON, EncoderOptions{}, twoRows(all))
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %q", text)
	}
	var got, nulls map[string]json.RawMessage
	if err := json.Unmarshal([]byte(lines[0]), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(lines[1]), &nulls); err != nil {
		t.Fatal(err)
	}
	for i, f := range twoRows(all).Schema().Fields() {
		if string(got[f.Name]) != all[i].json || string(nulls[f.Name]) != "null" {
			t.Errorf("%v: got %s and %s, want %s", f.Type, got[f.Name], nulls[f.Name], all[i].json)
		}
	}
}

func TestLineEncoder(t *testing.T) {
	all := cells()
	if got := encodedAs(t, pb.Format_FORMAT_LINES, EncoderOptions{}, twoRows(all[:1])); got != "1.0\n\n" {
		t.Errorf("got %q", got)
	}
	if got := encodedAs(t, pb.Format_FORMAT_LINES, EncoderOptions{}, twoRows(all[:2])); got != "1.0\t1e+300\n\t\n" {
		t.Errorf("got %q", got)
	}
}

func TestParquetEncoder(t *testing.T) {
	batch := twoRows(cells())
	data := encodedAs(t, pb.Format_FORMAT_PARQUET, EncoderOptions{}, batch, batch)
	pf, err := file.NewParquetReader(bytes.NewReader([]byte(data)))
	if err != nil {
		t.Fatal(err)
	}
	fr, err := pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	table, err := fr.ReadTable(t.Context())
	if err != nil || table.NumRows() != 4 || pf.NumRowGroups() != 1 {
		t.Fatalf("%d rows in %d groups, %v", table.NumRows(), pf.NumRowGroups(), err)
	}
	for k, want := range cells() {
		col := table.Column(k).Data().Chunk(0)
		if got := string(text(col, plain)(nil, 0)); got != want.text || col.IsNull(0) || !col.IsNull(1) {
			t.Errorf("%v: got %q, want %q", want.t, got, want.text)
		}
	}
}

func TestEmptyParquetAndArrow(t *testing.T) {
	schema := Schema([]*pb.Column{{Name: "a", Type: "BIGINT"}, {Name: "b", Type: "DECIMAL(10,2)"}, {Name: "c", Type: "HUGEINT[]"}})
	for _, f := range []pb.Format{pb.Format_FORMAT_PARQUET, pb.Format_FORMAT_ARROW} {
		var out bytes.Buffer
		e, err := NewEncoder(f, &out, schema, EncoderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil || out.Len() == 0 {
			t.Errorf("%v: %d bytes, %v", f, out.Len(), err)
		}
	}
}

func FuzzCSVEncoder(f *testing.F) {
	f.Add("a", "b\"c\n", byte(','))
	f.Add("", "\r", byte('|'))
	f.Fuzz(func(t *testing.T, a, b string, delimiter byte) {
		if delimiter == '"' || delimiter == '\n' || delimiter == '\r' || delimiter == ' ' || delimiter == 0 {
			t.Skip()
		}
		rows := array.NewRecordBuilder(memory.DefaultAllocator, Schema([]*pb.Column{{Name: "a", Type: "VARCHAR"}, {Name: "b", Type: "VARCHAR"}}))
		rows.Field(0).(*array.StringBuilder).Append(a)
		rows.Field(1).(*array.StringBuilder).Append(b)
		text := encodedAs(t, pb.Format_FORMAT_CSV, EncoderOptions{Delimiter: delimiter}, rows.NewRecordBatch())
		got, _, bad := csvRecords(t, strings.NewReader(text), &pb.Csv{Delimiter: new(string([]byte{delimiter}))})
		if len(got) != 1 || len(got[0]) != 2 || got[0][0] != a || got[0][1] != b || bad != nil {
			t.Fatalf("%q and %q become %q, and %q %q again", a, b, text, got, bad)
		}
	})
}

func BenchmarkCSVEncoder(b *testing.B) {
	rows := array.NewRecordBuilder(memory.DefaultAllocator, Schema([]*pb.Column{
		{Name: "i", Type: "BIGINT"}, {Name: "s", Type: "VARCHAR"}, {Name: "d", Type: "DOUBLE"}, {Name: "t", Type: "TIMESTAMP"},
	}))
	for i := range 4096 {
		rows.Field(0).(*array.Int64Builder).Append(int64(i) * 7919)
		rows.Field(1).(*array.StringBuilder).Append("some text of a row")
		rows.Field(2).(*array.Float64Builder).Append(float64(i) / 7)
		rows.Field(3).(*array.TimestampBuilder).Append(arrow.Timestamp(int64(i) * 1e12))
	}
	batch := rows.NewRecordBatch()
	var size counter
	e, _ := NewEncoder(pb.Format_FORMAT_CSV, &size, batch.Schema(), EncoderOptions{})
	e.Write(batch)
	e.Close()
	b.SetBytes(int64(size))
	for b.Loop() {
		e.Write(batch)
	}
}

type counter int

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }
