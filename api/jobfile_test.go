package api

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	pb "github.com/millrace/millrace/api/millracev1"
)

var update = flag.Bool("update", false, "rewrite golden files")

// golden compares got with a file, or writes it with -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s differs (go test -update rewrites it): %s", path, firstDifference(string(want), got))
	}
}

func firstDifference(want, got string) string {
	wants := strings.Split(want, "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(wants) || wants[i] != line {
			return fmt.Sprintf("line %d is %q", i+1, line)
		}
	}
	return "the end is missing"
}

// each runs a test for every file that matches a pattern in testdata.
func each(t *testing.T, pattern string, test func(t *testing.T, path string, data []byte)) {
	t.Helper()
	paths, err := filepath.Glob("testdata/" + pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("testdata/%s: no files (%v)", pattern, err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			test(t, path, data)
		})
	}
}

func TestFaults(t *testing.T) {
	each(t, "faults/*.yaml", func(t *testing.T, path string, data []byte) {
		_, err := ParseJob(data, filepath.Base(path))
		if err == nil {
			t.Fatal("no faults")
		}
		golden(t, strings.TrimSuffix(path, ".yaml")+".txt", err.Error()+"\n")
	})
}

func TestJobs(t *testing.T) {
	each(t, "jobs/*.yaml", func(t *testing.T, path string, data []byte) {
		spec, err := ParseJob(data, path)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, strings.TrimSuffix(path, ".yaml")+".json", jsonOf(t, spec))
	})
}

// jsonOf is a job as JSON; protojson varies its spaces on purpose.
func jsonOf(t *testing.T, spec *pb.JobSpec) string {
	t.Helper()
	data, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	pretty, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(pretty) + "\n"
}

// A job file may be JSON: the same job, the same faults.
func TestJSON(t *testing.T) {
	const asYAML = "source: {files: [a.csv]}\nstages:\n- sql: SELECT 1 FROM input\n"
	const asJSON = `{"source": {"files": ["a.csv"]}, "stages": [{"sql": "SELECT 1 FROM input"}]}`
	fromYAML, err := ParseJob([]byte(asYAML), "y")
	if err != nil {
		t.Fatal(err)
	}
	fromJSON, err := ParseJob([]byte(asJSON), "j")
	if err != nil {
		t.Fatal(err)
	}
	if a, b := jsonOf(t, fromYAML), jsonOf(t, fromJSON); a != b {
		t.Errorf("YAML gives %s, JSON %s", a, b)
	}
}

func TestManyFaults(t *testing.T) {
	_, err := ParseJob([]byte("source: {files: ["+strings.Repeat("1, ", 5000)+"]}\nstages: []\n"), "f")
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != maxFaults || !strings.Contains(lines[maxFaults-1], "more faults") {
		t.Errorf("%d lines, the last: %s", len(lines), lines[len(lines)-1])
	}
}

func TestHostileFiles(t *testing.T) {
	for name, data := range map[string]string{
		"brackets":    strings.Repeat("[", 1<<20),
		"braces":      strings.Repeat("{a: ", 1<<18),
		"dashes":      strings.Repeat("- ", 1<<20),
		"keys":        strings.Repeat("? ", 1<<20),
		"binary":      "\x00\x01\x02",
		"utf-16":      "\xff\xfea\x00:\x00",
		"large":       strings.Repeat("#", MaxJobFileBytes+1),
		"alias cycle": "source: &a\n  files: *a\nstages: &s [*s]\n",
		"alias bomb":  "source: {files: &a [x,x,x,x], records: [*a,*a,*a]}\nstages: [{sql: x}]\n",
	} {
		if _, err := ParseJob([]byte(data), name); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzParseJob(f *testing.F) {
	for _, pattern := range []string{"testdata/faults/*.yaml", "testdata/jobs/*.yaml"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, err := ParseJob(data, "fuzz")
		if err != nil {
			faults, ok := err.(Faults)
			if !ok || len(faults) == 0 {
				t.Fatalf("not faults: %v", err)
			}
			for _, fault := range faults {
				if fault.Line < 1 || fault.Column < 1 {
					t.Errorf("no place: %+v", fault)
				}
			}
			return
		}
		if faults := Check(spec); len(faults) > 0 {
			t.Errorf("parsed, and yet: %v", faults)
		}
	})
}
