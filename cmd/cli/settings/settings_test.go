package settings

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/api"
)

// knobs are settings of every kind.
type knobs struct {
	listen  string
	level   string
	keep    time.Duration
	memory  int64
	slots   int
	open    bool
	join    []string
	labels  map[string]string
	private string // no setting
}

// command makes a command `worker` below a root that has a setting for all.
func command(t *testing.T) (*cobra.Command, *knobs) {
	t.Helper()
	k := &knobs{listen: "here:1", level: "warn", keep: time.Hour, join: []string{"first:1"}}
	root := &cobra.Command{Use: "root"}
	Flags{root.PersistentFlags()}.Choice(&k.level, "log", "", "the level", "warn", "info")
	cmd := &cobra.Command{Use: "worker", RunE: func(*cobra.Command, []string) error { return nil }}
	f := Flags{cmd.Flags()}
	f.Text(&k.listen, "listen", "host:port", "", "where")
	f.Duration(&k.keep, "keep-for", "", time.Second, "how long")
	f.Bytes(&k.memory, "max-memory", "what is free", 1<<20, "how much")
	f.Count(&k.slots, "slots", "all cores", 1, "how many")
	f.Switch(&k.open, "insecure", "let in")
	f.List(&k.join, "join", "host:port", "", "whom", nil)
	f.Pairs(&k.labels, "label", "name=value", "what", func(name, _ string) error {
		if name == "bad" {
			return errors.New("no such label")
		}
		return nil
	})
	f.StringVar(&k.private, "private", "", "not a setting")
	root.AddCommand(cmd)
	return cmd, k
}

// environment looks names up in pairs of NAME=VALUE.
func environment(vars ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, pair := range vars {
			if key, v, _ := strings.Cut(pair, "="); key == name {
				return v, true
			}
		}
		return "", false
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// read reads a config file for commands that are then thrown away.
func read(t *testing.T, text string) (*File, error) {
	t.Helper()
	cmd, _ := command(t)
	return Read(write(t, text), []*cobra.Command{cmd})
}

// TestOrder tries every pair of sources for every kind of setting.
func TestOrder(t *testing.T) {
	for _, s := range []struct{ name, flag, env, section, top, byDefault string }{
		{"listen", "f:1", "e:1", "s:1", "t:1", "here:1"},
		{"keep-for", "4s", "3s", "2s", "1m", "1h"},
		{"max-memory", "4GiB", "3GiB", "2GiB", "1GiB", "what is free"},
		{"slots", "4", "3", "2", "1", "all cores"},
		{"join", "f:1,f:2", "e:1,e:2", "s:1,s:2", "t:1,t:2", "first:1"},
		{"label", "a=f", "a=e", "a=s", "a=t", ""},
	} {
		for mask := range 16 {
			cmd, _ := command(t)
			want, origin := s.byDefault, FromDefault
			text := ""
			if mask&1 != 0 {
				text += s.name + ": " + s.top + "\n"
				want, origin = s.top, FromFile
			}
			if mask&2 != 0 {
				text += "worker:\n  " + s.name + ": " + s.section + "\n"
				want, origin = s.section, FromFile
			}
			var vars []string
			if mask&4 != 0 {
				vars = append(vars, Variable(s.name)+"="+s.env)
				want, origin = s.env, FromEnvironment
			}
			if mask&8 != 0 {
				if err := cmd.Flags().Parse([]string{"--" + s.name, s.flag}); err != nil {
					t.Fatal(err)
				}
				want, origin = s.flag, FromFlag
			}
			file, err := read(t, text)
			if err != nil {
				t.Fatal(err)
			}
			all, err := Settle(cmd, environment(vars...), file)
			if err != nil {
				t.Fatal(err)
			}
			got := all[slices.IndexFunc(all, func(x Setting) bool { return x.Name == s.name })]
			if got.Value != want || got.Origin != origin {
				t.Errorf("%s with sources %04b is %q from %s, want %q from %s", s.name, mask, got.Value, got.Origin, want, origin)
			}
		}
	}
}

func TestSettledIsInForce(t *testing.T) {
	cmd, k := command(t)
	file, err := read(t, `
log: info            # of all commands
slots: 2             # overruled below
worker:
  slots: 3
  join: ["a:1", 'b:2']
  label: {gpu: true, "odd,name": x}
  max-memory: 1.5GB
  insecure: true
`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := Settle(cmd, environment("MILLRACE_KEEP_FOR=90s", "MILLRACE_PRIVATE=no", "MILLRACE_SLOTS="), file)
	if err != nil {
		t.Fatal(err)
	}
	if k.level != "info" || k.slots != 3 || !k.open || k.memory != 1_500_000_000 || k.keep != 90*time.Second || k.private != "" {
		t.Errorf("%+v", k)
	}
	if !slices.Equal(k.join, []string{"a:1", "b:2"}) || k.labels["gpu"] != "true" || k.labels["odd,name"] != "x" {
		t.Errorf("%v %v", k.join, k.labels)
	}
	for _, s := range all {
		if s.Name == "slots" && s.Where != file.Path+":5" {
			t.Errorf("slots is said to stand at %s", s.Where)
		}
	}
}

func TestWhatIsWrongIsToldAtOnce(t *testing.T) {
	_, err := read(t, `slot: 3
worker:
  slots: many
  keep-for: 1ms
  max-memory: 1kB
  listen: [a, b]
  private: x
  label: {bad: 1}
slots: {a: {b: c}}
`)
	var faults api.Faults
	if !errors.As(err, &faults) {
		t.Fatal(err)
	}
	for i, want := range []string{
		`:1:1: slot is no setting: did you mean "slots"?`,
		`:3:3: worker.slots can't be used: "many" is not a whole number from 1 on`,
		`:4:3: worker.keep-for can't be used: 1ms is too short: at least 1s`,
		`:5:3: worker.max-memory can't be used: 1kB is too little: at least 1MiB`,
		`:6:3: worker.listen can't be used: one value is meant, and no list`,
		`:7:3: worker.private is no setting`,
		`:8:3: worker.label can't be used: no such label`,
		`:9:1: slots has a value that can't be used`,
	} {
		if i >= len(faults) || !strings.Contains(faults[i].String(), want) {
			t.Errorf("%q is not told in its place:\n%v", want, err)
		}
	}
}

func TestFilesThatAreNone(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "# nothing\n": "", "---\n": "",
		"slots": "has no fields", "- slots": "has no fields", "slots: 1\nslots: 2": "is there twice",
		"slots: [": "can't be read as YAML", "worker: 3": "worker has no fields",
		"listen:": "has a value that can't be used",
	} {
		_, err := read(t, text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	cmd, _ := command(t)
	if _, err := Read(filepath.Join(t.TempDir(), "none.yaml"), []*cobra.Command{cmd}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := read(t, "#"+strings.Repeat("x", MaxFileBytes)); err == nil {
		t.Error("a file that is too large is read")
	}
}

func TestTheEnvironmentIsToldByName(t *testing.T) {
	cmd, _ := command(t)
	_, err := Settle(cmd, environment("MILLRACE_SLOTS=0", `MILLRACE_JOIN=a"b`), nil)
	if err == nil || !strings.Contains(err.Error(), "MILLRACE_SLOTS: ") || !strings.Contains(err.Error(), "MILLRACE_JOIN: ") {
		t.Errorf("%v", err)
	}
}

func TestListsAreGivenAgainOrWithCommas(t *testing.T) {
	cmd, k := command(t)
	err := cmd.Flags().Parse([]string{"--join", "a:1,b:2", "--join", `"c,d"`, "--label", "x=1", "--label", "y=2,z=3"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(k.join, []string{"a:1", "b:2", "c,d"}) || k.labels["x"] != "1" || k.labels["z"] != "3" || k.labels["y"] != "2" {
		t.Errorf("%q %v", k.join, k.labels)
	}
	if err := cmd.Flags().Parse([]string{"--label", "x=4"}); err == nil || !strings.Contains(err.Error(), "x is given twice") {
		t.Errorf("one label with two values: %v", err)
	}
	if got := cmd.Flags().Lookup("join").Value.String(); got != `a:1,b:2,"c,d"` {
		t.Errorf("shown as %s", got)
	}
}

func TestPath(t *testing.T) {
	home := t.TempDir()
	lookup := environment("HOME="+home, "XDG_CONFIG_HOME="+filepath.Join(home, "xdg"))
	if got := UsualPaths(lookup)[0]; got != filepath.Join(home, "xdg", "millrace", "config.yaml") {
		t.Errorf("looks for %s", got)
	}
	if got := UsualPaths(environment("HOME=" + home))[0]; got != filepath.Join(home, ".config", "millrace", "config.yaml") {
		t.Errorf("looks for %s", got)
	}
	if got := Path("named.yaml", lookup); got != "named.yaml" {
		t.Errorf("reads %s", got)
	}
	there := UsualPaths(lookup)[0]
	if err := os.MkdirAll(filepath.Dir(there), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := Path("", lookup); got != there {
		t.Errorf("reads %s", got)
	}
}

func FuzzFile(f *testing.F) {
	f.Add("slots: 1\nworker: {join: [a, b], label: {x: y}}\n")
	f.Add("&a x: *a\n? y\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := read(t, text)
		if (file == nil) == (err == nil) {
			t.Errorf("%v and %v", file, err)
		}
	})
}
