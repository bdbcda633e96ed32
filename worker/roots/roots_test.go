package roots

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// world is a folder with a root in it, a second root, and secrets beside them.
func world(t *testing.T) (base string, r *Roots) {
	t.Helper()
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		"root/a.csv": "a", "root/sub/b.csv": "b", "second/c.csv": "c", "secret/key": "secret", "rootless/d": "secret",
	} {
		path = filepath.Join(base, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"alias":             base + "/root", // the root is served by this name
		"root/in":           "sub/b.csv",
		"root/absolute":     base + "/root/sub", // absolute, and yet inside
		"root/other":        base + "/second/c.csv",
		"root/etc":          "/etc",
		"root/up":           "../secret",
		"root/key":          base + "/secret/key",
		"root/sub/far":      "../../secret/key",
		"root/nothing":      "nowhere",
		"root/nothingfar":   base + "/secret/none",
		"root/loop":         "loop",
		"outside-to-inside": base + "/root/sub",
	} {
		if err := os.Symlink(target, filepath.Join(base, link)); err != nil {
			t.Skip("no links here:", err)
		}
	}
	r, err = Open([]string{filepath.Join(base, "alias"), filepath.Join(base, "second")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return base, r
}

func TestWhatIsServed(t *testing.T) {
	base, r := world(t)
	for path, want := range map[string]string{
		"alias/a.csv": "a", "root/a.csv": "a", "alias/sub/b.csv": "b", "second/c.csv": "c",
		"alias/in": "b", "alias/absolute/b.csv": "b", "alias/other": "c", "outside-to-inside/b.csv": "b",
	} {
		path = filepath.Join(base, path)
		file, err := r.Open(path)
		if err != nil {
			t.Errorf("open %s: %v", path, err)
			continue
		}
		got, _ := io.ReadAll(file)
		file.Close()
		if string(got) != want {
			t.Errorf("%s holds %q, not %q", path, got, want)
		}
		if _, err := r.Stat(path); err != nil {
			t.Errorf("stat %s: %v", path, err)
		}
		real, err := r.Real(path)
		if wanted, _ := filepath.EvalSymlinks(path); err != nil || real != wanted {
			t.Errorf("the real path of %s is %s, %v", path, real, err)
		}
	}
}

func TestWhatIsNotServed(t *testing.T) {
	base, r := world(t)
	paths := []string{"/etc/passwd", "/", "a.csv", "", base + "/root/../secret/key", base + "/alias/sub/../a.csv", "/proc/self/root/etc/passwd"}
	for _, name := range []string{
		"", "secret/key", "rootless/d", "secret/none", "alias/etc/passwd", "alias/etc", "alias/up/key", "alias/key", "alias/sub/far", "alias/nothing", "alias/nothingfar",
	} {
		paths = append(paths, base+"/"+name)
	}
	for _, path := range paths {
		for what, do := range everything(r) {
			err := do(path)
			var outside *Outside
			if !errors.As(err, &outside) || outside.Path != path || !strings.Contains(err.Error(), base+"/alias, "+base+"/second") {
				t.Errorf("%s %q: %v", what, path, err)
			}
		}
	}
	if got, _ := os.ReadFile(base + "/secret/key"); string(got) != "secret" {
		t.Errorf("the secret is %q", got)
	}
	if _, err := r.Open(base + "/alias/loop"); err == nil {
		t.Error("a link to itself was opened")
	}
}

// everything that can be done with a path and follows links.
func everything(r *Roots) map[string]func(string) error {
	return map[string]func(string) error{
		"open":     func(p string) error { f, err := r.Open(p); f.Close(); return err },
		"stat":     func(p string) error { _, err := r.Stat(p); return err },
		"read dir": func(p string) error { _, err := r.ReadDir(p); return err },
		"read":     func(p string) error { _, err := r.ReadFile(p); return err },
		"real":     func(p string) error { _, err := r.Real(p); return err },
		"create":   func(p string) error { return r.WriteFile(p, []byte("x")) },
		"mkdir":    func(p string) error { return r.MkdirAll(p) },
		"mkdir in": func(p string) error {
			err := r.MkdirAll(p + "/new/folder")
			if outside := new(Outside); errors.As(err, &outside) {
				outside.Path = strings.TrimSuffix(outside.Path, "/new/folder")
			}
			return err
		},
	}
}

func TestNoRootsServeNothing(t *testing.T) {
	r, err := Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open("/etc/passwd"); err == nil || !strings.Contains(err.Error(), "serves no files") {
		t.Error(err)
	}
}

func TestMissingFilesAreMissing(t *testing.T) {
	base, r := world(t)
	for _, path := range []string{"/alias/none", "/root/none/none", "/second/x"} {
		if _, err := r.Stat(base + path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("stat %s: %v", path, err)
		}
		if _, err := r.Open(base + path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), base+path) {
			t.Errorf("open %s: %v", path, err)
		}
	}
	if _, err := Open([]string{base + "/none", base + "/root"}); err == nil || !strings.Contains(err.Error(), base+"/none") {
		t.Error(err)
	}
}

func TestWriting(t *testing.T) {
	base, r := world(t)
	out := base + "/alias/absolute/new/deep"
	if err := r.MkdirAll(out); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteFile(out+"/x", []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := r.Rename(out+"/x", out+"/y"); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(base + "/root/sub/new/deep/y"); err != nil || string(got) != "one" {
		t.Errorf("%q, %v", got, err)
	}
	if err := r.Rename(base+"/alias/a.csv", base+"/secret/a.csv"); err == nil {
		t.Error("a file was moved out")
	}
	// A link is removed and renamed itself, never what it leads to.
	if info, err := r.Lstat(base + "/alias/key"); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Error(info, err)
	}
	for _, link := range []string{"/alias/etc", "/alias/up", "/alias/key"} {
		if err := r.RemoveAll(base + link); err != nil {
			t.Error(err)
		}
	}
	if err := r.Remove(base + "/secret/key"); err == nil {
		t.Error("a file outside was removed")
	}
	if _, err := os.Stat(base + "/secret/key"); err != nil {
		t.Error(err)
	}
}

// Whoever may write below a root swaps a folder for a link while files are read
// and written: nothing outside is ever touched.
func TestSwapping(t *testing.T) {
	base, r := world(t)
	swap := base + "/root/swap"
	stop := make(chan struct{})
	var swapper sync.WaitGroup
	swapper.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				os.RemoveAll(swap)
				os.Mkdir(swap, 0o755)
				os.WriteFile(swap+"/key", []byte("mine"), 0o644)
				os.RemoveAll(swap)
				os.Symlink("../secret", swap)
			}
		}
	})
	for range 2000 {
		if got, err := r.ReadFile(swap + "/key"); err == nil && string(got) == "secret" {
			t.Fatal("the secret was read")
		}
		if file, err := r.Open(swap + "/key"); err == nil {
			if got, _ := io.ReadAll(file); string(got) == "secret" {
				t.Fatal("the secret was opened")
			}
			file.Close()
		}
		r.WriteFile(swap+"/written", []byte("x"))
		r.RemoveAll(swap + "/key")
	}
	close(stop)
	swapper.Wait()
	entries, err := os.ReadDir(base + "/secret")
	if err != nil || len(entries) != 1 || entries[0].Name() != "key" {
		t.Errorf("beside the roots lie %v, %v", entries, err)
	}
}

func TestEverythingIsServedToItsOwnUser(t *testing.T) {
	base, _ := world(t)
	t.Chdir(base)
	var r *Roots
	for _, path := range []string{"root/../secret/key", base + "/root/up/key"} {
		if got, err := r.ReadFile(path); err != nil || string(got) != "secret" {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	whole, err := Open([]string{"/"})
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	if _, err := whole.ReadFile(base + "/root/up/key"); err != nil {
		t.Error(err)
	}
	if _, err := whole.ReadFile("root/a.csv"); err == nil || !strings.Contains(err.Error(), "relative") {
		t.Error(err)
	}
}
