package source

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pb "github.com/millrace/millrace/api/millracev1"
)

// tree makes a folder with files, and moves there.
func tree(t *testing.T, paths ...string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, p := range paths {
		write(t, p, p)
	}
}

// listed are the paths that entries name, below the current folder.
func listed(t *testing.T, entries ...string) ([]string, error) {
	t.Helper()
	fragments, err := List(t.Context(), files(entries...), Options{Threads: 2})
	var paths []string
	here, _ := filepath.Abs(".")
	for _, f := range fragments {
		rel, _ := filepath.Rel(here, f.Path)
		paths = append(paths, rel)
		if f.SizeBytes != int64(len(rel)) && !strings.Contains(rel, "link") || f.ModifiedUnixNanos == 0 {
			t.Errorf("%s: %v", rel, f)
		}
	}
	return paths, err
}

func TestList(t *testing.T) {
	tree(t, "b.csv", "a.csv", "c.txt", ".hidden.csv", "_temp.csv", "d/z.csv", "d/a.csv", "d/e/f.csv", "d/.git/x.csv",
		"d.csv", "odd[1].csv", "odd1.csv", "star*.csv", "x/1/y/a.log", "x/2/y/b.log", "x/2/n/c.log")
	for _, c := range []struct {
		entries string
		want    string
	}{
		{"b.csv a.csv", "b.csv a.csv"},
		{"c.txt d", "c.txt d/a.csv d/e/f.csv d/z.csv"},
		{"d/", "d/a.csv d/e/f.csv d/z.csv"},
		{"[ab].csv", "a.csv b.csv"},
		{"*.csv", "a.csv b.csv d.csv odd1.csv odd[1].csv star*.csv"},
		{"odd[1].csv", "odd[1].csv"},
		{"star*.csv", "star*.csv"},
		{"sta*.csv", "star*.csv"},
		{"**/*.csv", "a.csv b.csv d/a.csv d/e/f.csv d/z.csv d.csv odd1.csv odd[1].csv star*.csv"},
		{"d/**", "d/a.csv d/e/f.csv d/z.csv"},
		{"**/f.csv", "d/e/f.csv"},
		{"x/*/y/*.log", "x/1/y/a.log x/2/y/b.log"},
		{"x/**/y/**/*.log", "x/1/y/a.log x/2/y/b.log"},
		{"x/{1/y,2/n}/*.log", "x/1/y/a.log x/2/n/c.log"},
		{"{a,b}.csv", "a.csv b.csv"},
		{"x/2*", "x/2/n/c.log x/2/y/b.log"},
		{".hidden.csv", ".hidden.csv"},
		{".*.csv", ".hidden.csv"},
		{"_*", "_temp.csv"},
		{"d/.git/*", "d/.git/x.csv"},
		{"?.csv b.csv", "a.csv b.csv d.csv"},
		{"b.csv ?.csv b.csv", "b.csv a.csv d.csv b.csv"},
		{"a.csv a.csv", "a.csv a.csv"},
		{"d d", "d/a.csv d/e/f.csv d/z.csv"},
	} {
		got, err := listed(t, strings.Fields(c.entries)...)
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s:\n got %s (%v)\nwant %s", c.entries, strings.Join(got, " "), err, c.want)
		}
	}
}

func TestListProblems(t *testing.T) {
	tree(t, "a.csv", "full/.only-hidden")
	if err := os.Symlink("nowhere", "dangling"); err != nil {
		t.Skip("no links here:", err)
	}
	for entry, want := range map[string]ProblemKind{
		"missing.csv": NoMatch, "*.json": NoMatch, "nothere/**/*.csv": NoMatch, "full": NoMatch,
		"[": Malformed, "a.csv/b": NoMatch, "": Malformed, "dangling": Unreadable, "/dev/null": Unsupported,
		strings.Repeat("x", 5000): NoMatch,
	} {
		_, err := listed(t, entry)
		var p *Problem
		if !errors.As(err, &p) || p.Kind != want || !strings.Contains(err.Error(), entry) {
			t.Errorf("%.50q: got %.200v, want kind %d", entry, err, want)
		}
	}
	if _, err := List(t.Context(), &pb.Source{}, Options{}); err == nil {
		t.Error("an empty source has no error")
	}
	if _, err := List(t.Context(), &pb.Source{Range: &pb.IntegerRange{From: 2, To: 1}}, Options{}); err == nil {
		t.Error("a range that ends before its start has no error")
	}
}

func TestListUnreadable(t *testing.T) {
	tree(t, "open/a.csv", "closed/b.csv")
	if err := os.Chmod("closed", 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod("closed", 0o755)
	if _, err := os.ReadDir("closed"); err == nil {
		t.Skip("this user may read everything")
	}
	for _, entry := range []string{"closed", ".", "**/*.csv"} {
		_, err := listed(t, entry)
		var p *Problem
		if !errors.As(err, &p) || p.Kind != Unreadable || !strings.Contains(err.Error(), "closed") {
			t.Errorf("%s: got %v", entry, err)
		}
	}
}

func TestListFollowsLinks(t *testing.T) {
	tree(t, "real/a.csv", "real/sub/b.csv", "other/c.csv")
	for link, target := range map[string]string{
		"real/sub/loop": "..", "real/link": "../other", "real/self": "self", "real/filelink": "a.csv",
	} {
		if err := os.Symlink(target, link); err != nil {
			t.Skip("no links here:", err)
		}
	}
	want := []string{"real/a.csv", "real/filelink", "real/link/c.csv", "real/sub/b.csv"}
	for _, entry := range []string{"real", "real/**"} {
		if got, err := listed(t, entry); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, %v", entry, got, err)
		}
	}
}

func TestListDeepAndMany(t *testing.T) {
	deep := strings.Repeat("d/", 300) + "x.csv"
	tree(t, deep)
	for _, entry := range []string{"d", "**/x.csv"} {
		if got, err := listed(t, entry); err != nil || len(got) != 1 || got[0] != deep {
			t.Errorf("%s: got %v, %v", entry, got, err)
		}
	}
	for i := range 2000 {
		write(t, fmt.Sprintf("many/%d/%d.csv", i%7, i), "x")
	}
	if got, err := List(t.Context(), files("many"), Options{}); err != nil || len(got) != 2000 {
		t.Errorf("got %d, %v", len(got), err)
	}
}
