package source

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/roots"
)

// hostile is a folder with a root, whose links lead everywhere, and secrets.
func hostile(t *testing.T) (base string, o Options) {
	t.Helper()
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"root/a.csv", "root/in/b.csv", "root/plain/c.csv", "secret/s.csv", "rootx/x.csv"} {
		write(t, filepath.Join(base, path), "k,n\nx,1\n")
	}
	for link, target := range map[string]string{
		"alias": "root", "root/in/inside.csv": base + "/root/a.csv", "root/out/far": "../../secret", "root/etc/etc": "/etc",
		"root/file/s.csv": base + "/secret/s.csv", "root/up/up": "../..",
	} {
		link = filepath.Join(base, link)
		if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o755), os.Symlink(target, link)); err != nil {
			t.Skip("no links here:", err)
		}
	}
	r, err := roots.Open([]string{filepath.Join(base, "alias")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return base, Options{Roots: r, Threads: 2}
}

func TestListBelowRoots(t *testing.T) {
	base, o := hostile(t)
	for entry, want := range map[string]string{
		"alias/a.csv": "alias/a.csv", "root/a.csv": "root/a.csv", "root/in": "root/in/b.csv root/in/inside.csv",
		"alias/*.csv": "alias/a.csv", "root/{in,plain}/*.csv": "root/in/b.csv root/in/inside.csv root/plain/c.csv",
		"root/plain/**": "root/plain/c.csv",
	} {
		fragments, err := List(t.Context(), files(base+"/"+entry), o)
		var got []string
		for _, f := range fragments {
			got = append(got, strings.TrimPrefix(f.GetPath(), base+"/"))
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %q, %v; want %s", entry, got, err, want)
		}
	}
}

func TestListOutsideOfRoots(t *testing.T) {
	base, o := hostile(t)
	for _, entry := range []string{
		"/etc/passwd", "/etc", "/", "/*", "/**/*.csv", "/etc/*.conf", base, base + "/*", base + "/*/s.csv", base + "/secret/s.csv", base + "/secret/*.csv",
		base + "/rootx/x.csv", base + "/root/../secret/s.csv", base + "/alias/../secret/*", base + "/root/out", base + "/root/out/far/s.csv",
		base + "/root/out/*/s.csv", base + "/root/out/**", base + "/root/etc", base + "/root/etc/etc/passwd", base + "/root/etc/etc/pass*",
		base + "/root/file", base + "/root/file/*", base + "/root/up", base + "/root/up/**", base + "/root/up/up/secret/s.csv", base + "/root",
	} {
		fragments, err := List(t.Context(), files(entry), o)
		var p *Problem
		if !errors.As(err, &p) || p.Kind != Outside || !p.Elsewhere() || !strings.Contains(err.Error(), base+"/alias") || len(fragments) > 0 {
			t.Errorf("%s: %v, %v", entry, fragments, err)
		}
	}
	for _, entry := range []string{"a.csv", "*.csv", "./root", "~/x"} {
		_, err := List(t.Context(), files(entry), o)
		var p *Problem
		if !errors.As(err, &p) || p.Elsewhere() || !strings.Contains(err.Error(), entry+" is a relative path") {
			t.Errorf("%s: %v", entry, err)
		}
	}
	none, err := roots.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := List(t.Context(), files(base+"/root/a.csv"), Options{Roots: none}); err == nil || !strings.Contains(err.Error(), "serves no files") {
		t.Error(err)
	}
}

// A coordinator's lease may name any file: readers go through the same door.
func TestReadOutsideOfRoots(t *testing.T) {
	base, o := hostile(t)
	for path, served := range map[string]bool{
		"root/a.csv": true, "root/in/inside.csv": true, "secret/s.csv": false, "root/file/s.csv": false, "root/out/far/s.csv": false, "root/../secret/s.csv": false,
	} {
		path = base + "/" + path
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		f := fileFragment(path, info)
		splits := wholes([]*pb.Fragment{f})
		for _, format := range []pb.Format{pb.Format_FORMAT_LINES, pb.Format_FORMAT_PARQUET, pb.Format_FORMAT_ARROW} {
			part := NewReader(&pb.Source{}, &pb.Plan{Format: format}, o).Parts(splits)[0]
			check := map[string]error{"check": Check(f, o)}
			_, check["real"] = part.Real()
			file, err := part.File()
			check["file"] = err
			file.Close()
			if part.Open != nil {
				var in io.ReadCloser
				if in, err = part.Open(t.Context()); err == nil {
					in.Close()
				}
				check["open"] = err
			} else if !served {
				for _, check["records"] = range part.Records(t.Context()) {
				}
			}
			for what, err := range check {
				if (err == nil) != served {
					t.Errorf("%s %s as %s: %v", what, path, format, err)
				}
				if gone := pb.OutcomeClass_OUTCOME_CLASS_INPUT_GONE; !served && slices.Contains([]string{"check", "open", "records"}, what) && class(err) != gone {
					t.Errorf("%s %s is of class %s", what, path, class(err))
				}
			}
		}
	}
}
