//go:build cgo

package sql

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/worker/format"
)

func TestOnlyObjects(t *testing.T) {
	for _, c := range []struct{ sample, want string }{
		{"", ""},
		{"{}\n {}\n\n{}", "{}\n {}\n\n{}"},
		{"[1]\n{}\n3\n{}\n\"x\"", "{}\n{}\n"},
		{"[1]\n\n[2]\n", "[1]\n\n[2]\n"},
	} {
		if got := string(onlyObjects([]byte(c.sample))); got != c.want {
			t.Errorf("%q: got %q, want %q", c.sample, got, c.want)
		}
	}
}

func TestWithoutWide(t *testing.T) {
	d := format.NewDialect(rfc4180())
	wide := strings.Repeat(",", 200) + "\n"
	quoted := "\"" + wide + wide + "\",1\n"
	for _, c := range []struct{ sample, want string }{
		{"", ""},
		{"a,1\nb,2", "a,1\nb,2"},
		{"a,1\n" + wide + "b,2\n" + wide + quoted + "c,3", "a,1\nb,2\n" + quoted + "c,3"},
		{wide, ""},
		{"a\n" + wide[:200], "a\n"},
	} {
		if got := string(withoutWide(d, []byte(c.sample), 2)); got != c.want {
			t.Errorf("%.40q: got %.40q, want %.40q", c.sample, got, c.want)
		}
	}
}
