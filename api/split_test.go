package api

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestSplitCommand(t *testing.T) {
	for _, c := range []struct {
		line string
		want []string
	}{
		{`wc -w`, []string{"wc", "-w"}},
		{"  a \t b\nc ", []string{"a", "b", "c"}},
		{`grep 'a "b" $c \d'`, []string{"grep", `a "b" $c \d`}},
		{`"a 'b' \"c\" \\ \d \$x"`, []string{`a 'b' "c" \ \d $x`}},
		{`a\ b \'`, []string{"a b", "'"}},
		{`'' "" x`, []string{"", "", "x"}},
		{`a'b'"c"d`, []string{"abcd"}},
		{`echo a#b #c`, []string{"echo", "a#b", "#c"}},
		{"a\\\nb", []string{"ab"}},
		{`$HOME *.go ~ | ; & >`, []string{"$HOME", "*.go", "~", "|", ";", "&", ">"}},
		{"é 'ü'", []string{"é", "ü"}},
	} {
		got, err := SplitCommand(c.line)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q gives %q, %v; want %q", c.line, got, err, c.want)
		}
	}
}

func TestSplitCommandRefuses(t *testing.T) {
	for line, want := range map[string]error{
		`a 'b`: errOpenQuote, `a "b\"`: errOpenQuote, `a\`: errLastEscape, `  `: errNoCommand, ``: errNoCommand,
	} {
		if _, err := SplitCommand(line); !errors.Is(err, want) {
			t.Errorf("%q gives %v, want %v", line, err, want)
		}
	}
}

// Quoting any words for a shell, and splitting that, gives them back.
func FuzzSplitCommandUndoesQuoting(f *testing.F) {
	f.Add("wc", "-w")
	f.Add("it's", "")
	f.Add(`\`, "\n\"")
	f.Fuzz(func(t *testing.T, a, b string) {
		quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
		got, err := SplitCommand(quote(a) + " " + quote(b))
		if err != nil || !slices.Equal(got, []string{a, b}) {
			t.Errorf("%q and %q come back as %q, %v", a, b, got, err)
		}
	})
}
