package function

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	pb "github.com/millrace/millrace/api/millracev1"
)

func words(line string, emit func(string, int64)) error {
	for word := range strings.FieldsSeq(line) {
		emit(word, 1)
	}
	return nil
}

func add[N int64 | float64 | uint8](a, b N) N { return a + b }

func TestWordCount(t *testing.T) {
	f := Keyed("words", words, add)
	got := reduced(t, f, texts("to be or\nnot to be\n"), texts("be\n"), texts(""), texts("or so\n"))
	if want := []string{"be,3", "not,1", "or,2", "so,1", "to,2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	info := f.Info()
	if !info.Keyed || len(info.Columns) != 2 || info.Columns[0].GetType() != "VARCHAR" || info.Columns[1].GetType() != "BIGINT" {
		t.Errorf("info is %v", info)
	}
}

func TestWordCountThatSpills(t *testing.T) {
	f := Keyed("words", words, add)
	want := map[string]int{}
	var text strings.Builder
	for i := range 300_000 {
		word := "a-word-that-is-rather-long-" + strconv.Itoa(i%90_000)
		want[word]++
		text.WriteString(word + "\n")
	}
	out, a := &sink{}, newAttempt(t)
	a.MemoryBytes = 4 << 20
	if err := stepOf(t, f, mapPhase).Run(t.Context(), &a.Attempt, texts(text.String()), out); err != nil {
		t.Fatal(err)
	}
	got := reduced2(t, f, out)
	for i, word := range slices.Sorted(maps.Keys(want)) {
		if row := fmt.Sprintf("%s,%d", word, want[word]); got[i] != row {
			t.Fatalf("row %d is %q, want %q", i, got[i], row)
		}
	}
}

func reduced2(t *testing.T, f Function, outs ...*sink) []string {
	t.Helper()
	in := texts()
	in.Format = pb.Format_FORMAT_ARROW
	for _, out := range outs {
		in.Parts = append(in.Parts, out.part())
	}
	result, _, err := run(t, f, reducePhase, in)
	if err != nil {
		t.Fatal(err)
	}
	return result.rows()
}

func TestIntegerKeys(t *testing.T) {
	signed := Keyed("signed", func(line string, emit func(int32, uint8)) error {
		n, err := strconv.Atoi(line)
		emit(int32(n), 1)
		return err
	}, add)
	got := reduced(t, signed, texts("5\n-1\n300\n"), texts("-70000\n5\n"))
	if want := []string{"-70000,1", "-1,1", "5,2", "300,1"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	unsigned := Keyed("unsigned", func(line string, emit func(uint64, float64)) error {
		n, err := strconv.ParseUint(line, 10, 64)
		emit(n, 0.5)
		return err
	}, add)
	got = reduced(t, unsigned, texts("18446744073709551615\n0\n"), texts("0\n"))
	if want := []string{"0,1", "18446744073709551615,0.5"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

type stats struct {
	Low  float64   `json:"low"`
	Seen []string  `json:"seen"`
	Any  bool      `json:"any"`
	Last time.Time `json:"last"`
}

func TestStructValues(t *testing.T) {
	f := Keyed("stats", func(line string, emit func(string, stats)) error {
		key, text, _ := strings.Cut(line, "=")
		n, err := strconv.ParseFloat(text, 64)
		emit(key, stats{Low: n, Seen: []string{text}, Any: n > 2, Last: time.Unix(int64(n), 0).UTC()})
		return err
	}, func(a, b stats) stats {
		return stats{min(a.Low, b.Low), append(a.Seen, b.Seen...), a.Any || b.Any, b.Last}
	})
	got := reduced(t, f, texts("a=2\nb=7\n"), texts("a=1\n"), texts("a=3\n"))
	if len(got) != 2 || !strings.HasPrefix(got[0], `a,1,["2","1","3"],true,1970-01-01T00:00:03`) || !strings.HasPrefix(got[1], `b,7,["7"],true`) {
		t.Errorf("got %q", got)
	}
}

// span has an encoding of its own, and keeps it to itself.
type span struct{ from, to uint32 }

func (s span) MarshalBinary() ([]byte, error) {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, s.from), s.to), nil
}

func (s *span) UnmarshalBinary(b []byte) error {
	if len(b) != 8 {
		return errors.New("a span has 8 bytes")
	}
	s.from, s.to = binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	return nil
}

func (s span) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%d-%d", s.from, s.to), nil }

func TestValuesWithACodecOfTheirOwn(t *testing.T) {
	f := Keyed("spans", func(line string, emit func(string, span)) error {
		n, err := strconv.Atoi(line)
		emit("all", span{uint32(n), uint32(n)})
		return err
	}, func(a, b span) span { return span{min(a.from, b.from), max(a.to, b.to)} })
	got := reduced(t, f, texts("5\n9\n"), texts("2\n"), texts("7\n"))
	if !slices.Equal(got, []string{"all,2-9"}) {
		t.Errorf("got %q", got)
	}
}

func TestValuesKeepTheOrderOfTheSource(t *testing.T) {
	f := Keyed("order", func(line string, emit func(string, string)) error { emit("k", line); return nil },
		func(a, b string) string { return a + b })
	if got := reduced(t, f, texts("a\nb\n"), texts("c\n"), texts("d\n"), texts("e\n")); !slices.Equal(got, []string{"k,abcde"}) {
		t.Errorf("got %q", got)
	}
}

func TestRegistryTellsAllFaults(t *testing.T) {
	type lossy struct {
		Kept int
		lost int
	}
	_ = lossy{lost: 1}
	good := Keyed("words", words, add)
	_, err := NewRegistry(
		good, good,
		Map("", func(string, func(string)) error { return nil }),
		Map("in", func(int, func(string)) error { return nil }),
		Map("out", func(string, func(map[string]int)) error { return nil }),
		Keyed("value", func(string, func(string, chan int)) error { return nil }, func(a, _ chan int) chan int { return a }),
		Keyed("lossy", func(string, func(string, lossy)) error { return nil }, func(a, _ lossy) lossy { return a }),
	)
	for _, want := range []string{
		"words is given twice", "1 to 63 bytes", "not int", "not map[string]int", "can't be of type chan int", "lost would be lost",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("not told: %s, in %v", want, err)
		}
	}
	r, err := NewRegistry(good)
	if err != nil {
		t.Fatal(err)
	}
	if info, ok := r.Lookup("words"); !ok || !info.Keyed {
		t.Errorf("Lookup gives %v, %v", info, ok)
	}
	if _, ok := r.Lookup("other"); ok {
		t.Error("an unknown function is found")
	}
	if !slices.Equal(r.Names(), []string{"words"}) {
		t.Errorf("names are %q", r.Names())
	}
}
