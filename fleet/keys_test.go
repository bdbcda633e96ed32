package fleet

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestKeysInTheirFormats(t *testing.T) {
	for _, size := range []int{16, 24, 32} {
		key := bytes.Repeat([]byte{0xa7}, size)
		for name, line := range map[string]string{
			"hex": hex.EncodeToString(key), "upper hex": strings.ToUpper(hex.EncodeToString(key)),
			"base64": base64.StdEncoding.EncodeToString(key), "base64 without padding": base64.RawStdEncoding.EncodeToString(key),
		} {
			keys, err := parseKeys([]byte("# a comment\n\n  " + line + "  \r\n"))
			if err != nil || len(keys) != 1 || !bytes.Equal(keys[0], key) {
				t.Errorf("%d bytes in %s are %x, %v", size, name, keys, err)
			}
		}
	}
	a, b := NewKey(), NewKey()
	if keys, err := parseKeys([]byte(a + "\n" + b)); err != nil || len(keys) != 2 || a == b {
		t.Errorf("two fresh ones are %x, %v", keys, err)
	}
}

func TestBadKeysAreSaidByLine(t *testing.T) {
	good := NewKey()
	for text, want := range map[string]string{
		"":                                "no key in it",
		"# only this":                     "no key in it",
		good + "\nsecret!!":               "line 2: neither base64 nor hex",
		good + "\n\nYWJj":                 "line 3: a key of 3 bytes",
		good + "\n" + good:                "line 2: the same key again",
		strings.Join(freshKeys(17), "\n"): "17 keys",
	} {
		_, err := parseKeys([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got: %v", want, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("it tells the line: %v", err)
		}
	}
}

func freshKeys(n int) (keys []string) {
	for range n {
		keys = append(keys, NewKey())
	}
	return keys
}

// Whatever the ring held, it holds what the file says afterwards, the first of
// them to send with.
func TestRingFollowsItsFile(t *testing.T) {
	all := freshKeys(5)
	file := filepath.Join(t.TempDir(), "keys")
	rapid.Check(t, func(r *rapid.T) {
		write := func() []string {
			keys := rapid.Permutation(all).Draw(r, "keys")
			keys = keys[:rapid.IntRange(1, len(keys)).Draw(r, "how many")]
			writeKeys(t, file, keys...)
			return keys
		}
		write()
		f, err := openKeys(file, slog.New(slog.DiscardHandler))
		if err != nil {
			r.Fatal(err)
		}
		for range rapid.IntRange(1, 5).Draw(r, "changes") {
			keys := write()
			f.read = stamp{size: -1} // changed, however fast
			f.refresh()
			r.Log(keys)
			if got := ringKeys(f); len(got) != len(keys) || got[0] != keys[0] || fmt.Sprint(sorted(got)) != fmt.Sprint(sorted(keys)) {
				r.Fatalf("the ring holds %v, the file %v", got, keys)
			}
		}
	})
}

func ringKeys(f *keyFile) (keys []string) {
	for _, k := range f.ring.GetKeys() {
		keys = append(keys, base64.StdEncoding.EncodeToString(k))
	}
	return keys
}

func sorted(keys []string) []string { return slices.Sorted(slices.Values(keys)) }
