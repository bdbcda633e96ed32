package source

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	pb "github.com/millrace/millrace/api/millracev1"
)

// TestSplitsOwnEachRecordOnce cuts texts anywhere: the parts' texts, one after
// the other, are the file's records, and none begins inside a record.
func TestSplitsOwnEachRecordOnce(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.StringMatching(`(\xEF\xBB\xBF)?([a-c"\r]{0,6}\n?){0,12}`).Draw(r, "text")
		if rapid.Bool().Draw(r, "mark") {
			text = "\ufeff" + text
		}
		header := rapid.Bool().Draw(r, "header")
		checkOwnership(t, r, dir, text, header, rapid.SliceOf(rapid.IntRange(0, len(text)+1)).Draw(r, "cuts"))
	})
}

type fataler interface {
	Fatalf(format string, args ...any)
}

func checkOwnership(t testing.TB, r fataler, dir, text string, header bool, cuts []int) {
	src := files(write(t, filepath.Join(dir, "x.csv"), text))
	src.Csv = &pb.Csv{Header: &header, Delimiter: new(","), Quote: new("")}
	fragments, s, err := plan(t, src)
	if err != nil {
		r.Fatalf("%v", err)
	}
	got := ""
	for _, p := range reader(src, s).Parts(cutAt(fragments[0], cuts)) {
		piece, err := readPart(t, p)
		if err != nil {
			r.Fatalf("%v", err)
		}
		if piece != "" && got != "" && !strings.HasSuffix(got, "\n") {
			r.Fatalf("a part begins inside a record: %q then %q", got, piece)
		}
		got += piece
	}
	if want := body(text, header); got != want {
		r.Fatalf("text %q header %v cuts %v: got %q, want %q", text, header, cuts, got, want)
	}
}

// body is a text without its mark and header line.
func body(text string, header bool) string {
	text = strings.TrimPrefix(text, "\ufeff")
	if header {
		_, text, _ = strings.Cut(text, "\n")
	}
	return text
}

// cutAt makes splits of a fragment at some of its positions.
func cutAt(f *pb.Fragment, cuts []int) []*pb.Split {
	at := []int64{0, f.Extent}
	for _, c := range cuts {
		if c > 0 && int64(c) < f.Extent {
			at = append(at, int64(c))
		}
	}
	slices.Sort(at)
	at = slices.Compact(at)
	var splits []*pb.Split
	for i := range len(at) - 1 {
		splits = append(splits, &pb.Split{From: at[i], To: at[i+1], Source: f})
	}
	return splits
}

func FuzzSplits(f *testing.F) {
	f.Add("a\nb\r\n\nc", true, uint8(3), uint8(1))
	f.Add("\ufeffa,b\n1,2", false, uint8(2), uint8(7))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string, header bool, a, b uint8) {
		if isUTF16([]byte(text)) || strings.HasPrefix(strings.TrimPrefix(text, "\ufeff"), "\ufeff") ||
			formatOf([]byte(text)) != 0 || compressionOf([]byte(text)) != pb.Compression_COMPRESSION_NONE {
			t.Skip()
		}
		checkOwnership(t, t, dir, text, header, []int{int(a), int(b)})
	})
}

func TestRecordLongerThanItsSplit(t *testing.T) {
	long := strings.Repeat("x", 300_000)
	text := "a\n" + long + "\nb\n"
	src := files(write(t, filepath.Join(t.TempDir(), "x.txt"), text))
	fragments, s := planned(t, src)
	var cuts []int
	for c := 0; c < len(text); c += 1000 {
		cuts = append(cuts, c)
	}
	got := ""
	for _, p := range reader(src, s).Parts(cutAt(fragments[0], cuts)) {
		piece, err := readPart(t, p)
		if err != nil {
			t.Fatal(err)
		}
		got += piece
	}
	if got != text {
		t.Fatalf("got %d bytes, want %d", len(got), len(text))
	}
}

func TestRecordLongerThanTheLimit(t *testing.T) {
	text := "a\n" + strings.Repeat("x", 300_000) + "\nb\n"
	src := files(write(t, filepath.Join(t.TempDir(), "x.txt"), text))
	src.MaxRecordBytes = new(int64(1000))
	fragments, s := planned(t, src)
	_, err := readPart(t, reader(src, s).Parts(cutAt(fragments[0], []int{100}))[0])
	if class(err) != pb.OutcomeClass_OUTCOME_CLASS_FATAL || !strings.Contains(err.Error(), "x.txt: the record at byte 2 is longer than 1000 bytes") {
		t.Fatalf("got %v", err)
	}
}

func TestChangedFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.txt")
	write(t, path, "one\ntwo\n")
	src := files(path)
	fragments, s := planned(t, src)
	read := func() error {
		_, err := readPart(t, reader(src, s).Parts(wholes(fragments))[0])
		return err
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	check := func(what string) {
		t.Helper()
		if err := read(); class(err) != pb.OutcomeClass_OUTCOME_CLASS_INPUT_GONE || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	write(t, path, "one\ntwo\nthree\n")
	check("longer")
	write(t, path, "one\n")
	check("shorter")
	write(t, path, "two\none\n")
	later := time.Unix(0, fragments[0].ModifiedUnixNanos).Add(time.Second)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	check("another time")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	check("removed")
}

// TestChangedWhileRead changes a file between a reader's first and last read.
func TestChangedWhileRead(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "x.txt"), strings.Repeat("line\n", 100_000))
	src := files(path)
	fragments, s := planned(t, src)
	in, err := reader(src, s).Parts(wholes(fragments))[0].Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := in.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<20)
	for err == nil {
		_, err = in.Read(buf)
	}
	if class(err) != pb.OutcomeClass_OUTCOME_CLASS_INPUT_GONE {
		t.Fatalf("got %v", err)
	}
}

// compressions are ways to compress text, by a file's ending.
var compressions = map[string]func(string) []byte{
	".gz": func(text string) []byte {
		var b bytes.Buffer
		for _, half := range []string{text[:len(text)/2], text[len(text)/2:]} { // two members
			w := gzip.NewWriter(&b)
			w.Write([]byte(half))
			w.Close()
		}
		return b.Bytes()
	},
	".zst": func(text string) []byte {
		var b bytes.Buffer
		w, _ := zstd.NewWriter(&b)
		w.Write([]byte(text))
		w.Close()
		return b.Bytes()
	},
}

func noise(lines int) string {
	var b strings.Builder
	rnd := rand.New(rand.NewPCG(1, 2))
	for range lines {
		fmt.Fprintf(&b, "%d,%d\n", rnd.Int64(), rnd.Int64())
	}
	return b.String()
}

func TestCompressed(t *testing.T) {
	text := "\ufeffa,b\n" + noise(5000)
	for ending, compress := range compressions {
		dir := t.TempDir()
		data := compress(text)
		for _, name := range []string{"named.csv" + ending, "x.csv"} { // by name, and by content
			src := files(write(t, filepath.Join(dir, name), string(data)))
			fragments, s := planned(t, src)
			if !fragments[0].Whole || s.Format != pb.Format_FORMAT_CSV || !s.Csv.GetHeader() {
				t.Errorf("%s: %v %v", name, fragments[0], s)
			}
			got, err := readPart(t, reader(src, s).Parts(wholes(fragments))[0])
			if err != nil || got != body(text, true) {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
		}
	}
}

// twoBzips is "a,b\n1,2\n" and "3,4\n", compressed by bzip2 one behind the other.
const twoBzips = "425a6839314159265359bf87407f00000359000010000430003000200030c00869b28823278bb9229c28485fc3a0" +
	"3f80425a68393141592653592d9fe7360000015800001000040c002000219a68334d173c5dc914e14240b67f9cd8"

func TestBzip2(t *testing.T) {
	data, err := hex.DecodeString(twoBzips)
	if err != nil {
		t.Fatal(err)
	}
	src := files(write(t, filepath.Join(t.TempDir(), "x.csv.bz2"), string(data)))
	fragments, s := planned(t, src)
	if got, err := readPart(t, reader(src, s).Parts(wholes(fragments))[0]); got != "1,2\n3,4\n" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	src = files(write(t, filepath.Join(t.TempDir(), "x.csv.bz2"), string(data[:len(data)-9])))
	fragments, s, err = plan(t, src)
	if err == nil {
		_, err = readPart(t, reader(src, s).Parts(wholes(fragments))[0])
	}
	if class(err) != pb.OutcomeClass_OUTCOME_CLASS_FATAL {
		t.Errorf("got %v", err)
	}
}

func TestBrokenCompression(t *testing.T) {
	text := noise(20_000)
	for ending, compress := range compressions {
		data := compress(text)
		damaged := slices.Clone(data)
		for i := range 50 {
			damaged[len(data)*3/4+i] ^= 0x55
		}
		for what, content := range map[string][]byte{"cut off": data[:len(data)*3/4], "damaged": damaged} {
			path := write(t, filepath.Join(t.TempDir(), "x.csv"+ending), string(content))
			src := files(path)
			fragments, s := planned(t, src)
			_, err := readPart(t, reader(src, s).Parts(wholes(fragments))[0])
			if class(err) != pb.OutcomeClass_OUTCOME_CLASS_FATAL || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "bytes of content") {
				t.Errorf("%s %s: got %v", what, ending, err)
			}
		}
	}
}

func TestUTF16(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "x.csv"), "\xff\xfea\x00,\x00b\x00\n\x00")
	_, _, err := plan(t, files(path))
	if class(err) != pb.OutcomeClass_OUTCOME_CLASS_FATAL || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "UTF-16") {
		t.Fatalf("got %v", err)
	}
}

func TestInline(t *testing.T) {
	src := &pb.Source{Range: &pb.IntegerRange{From: -2, To: 3}}
	fragments, s := planned(t, src)
	got := ""
	for _, p := range reader(src, s).Parts(cutAt(fragments[0], []int{1, 4})) {
		piece, err := readPart(t, p)
		if err != nil {
			t.Fatal(err)
		}
		got += piece + "|"
	}
	if got != "-2\n|-1\n0\n1\n|2\n|" {
		t.Errorf("got %q", got)
	}
	src = &pb.Source{Records: []string{"a", "", "b,c"}}
	fragments, s = planned(t, src)
	if got, err := readPart(t, reader(src, s).Parts(wholes(fragments))[0]); got != "a\n\nb,c\n" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	src = &pb.Source{Range: &pb.IntegerRange{From: 7, To: 7}}
	fragments, s = planned(t, src)
	if got, err := readPart(t, reader(src, s).Parts(wholes(fragments))[0]); got != "" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestUnionByName(t *testing.T) {
	dir := t.TempDir()
	src := files(
		write(t, filepath.Join(dir, "a.csv"), "id,name\n1,\"x, y\"\n2,z\n"),
		write(t, filepath.Join(dir, "b.csv"), "name,extra,ID\n\"say \"\"hi\"\"\",e,3,,\nragged\n1,2,3,4\n"),
	)
	if _, _, err := plan(t, src); err == nil || !strings.Contains(err.Error(), "a.csv") || !strings.Contains(err.Error(), "b.csv") {
		t.Fatalf("got %v", err)
	}
	src.Csv = &pb.Csv{UnionByName: true}
	fragments, s := planned(t, src)
	want := []string{"1,\"x, y\",\n2,z,\n", "3,\"say \"\"hi\"\"\",e\nragged\n1,2,3,4,(too many fields)\n"}
	for i, p := range reader(src, s).Parts(wholes(fragments)) {
		if got, err := readPart(t, p); got != want[i] || err != nil {
			t.Errorf("part %d: got %q, %v", i, got, err)
		}
	}
}

func TestConcat(t *testing.T) {
	dir := t.TempDir()
	texts := []string{"h\na\nb", "", "h\n", "h\nlonger line\n", "h\nlast"}
	src := &pb.Source{Csv: &pb.Csv{Header: new(true)}}
	for i, text := range texts {
		src.Files = append(src.Files, write(t, filepath.Join(dir, fmt.Sprintf("%d.csv", i)), text))
	}
	fragments, s := planned(t, src)
	for _, size := range []int{1, 2, 3, 7, 100} {
		c := Concat(t.Context(), reader(src, s).Parts(wholes(fragments)))
		var got []byte
		buf := make([]byte, size)
		for {
			n, err := c.Read(buf)
			got = append(got, buf[:n]...)
			if err != nil {
				break
			}
		}
		if want := "a\nb\nlonger line\nlast\n"; string(got) != want {
			t.Fatalf("reads of %d: got %q", size, got)
		}
		for _, place := range []struct {
			at   int64
			part int
			in   int64
		}{{0, 0, 2}, {2, 0, 4}, {4, 3, 2}, {16, 4, 2}, {19, 4, 5}} {
			if part, in := c.Locate(place.at); part != place.part || in != place.in {
				t.Errorf("%d lies at %d in part %d, want %v", place.at, in, part, place)
			}
		}
		c.Close()
	}
}
