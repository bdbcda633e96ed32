//go:build unix

package main_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// These tests run the clients that docs/api.md shows, against a real cluster.

// needPython skips a test where Python lacks a module, and says so.
func needPython(t *testing.T, modules string) {
	t.Helper()
	if out, err := exec.Command("python3", "-c", "import "+modules).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: no Python with %s: %v %s", modules, err, out)
	}
}

// stubs generates Python code from proto/, and nothing else, into a folder.
func (w *world) stubs() string {
	w.Helper()
	protos, err := filepath.Glob("../../proto/millrace/v1/*.proto")
	if err != nil || len(protos) == 0 {
		w.Fatalf("no protos: %v", err)
	}
	folder := w.TempDir()
	args := append([]string{"-m", "grpc_tools.protoc", "-I../../proto", "--python_out=" + folder, "--grpc_python_out=" + folder}, protos...)
	if out, err := exec.Command("python3", args...).CombinedOutput(); err != nil {
		w.Fatalf("generate stubs: %v\n%s", err, out)
	}
	return folder
}

// python runs an example with the stubs.
func (w *world) python(stubs, example string, args ...string) outcome {
	w.Helper()
	script, err := filepath.Abs(filepath.Join("../../examples/python", example))
	if err != nil {
		w.Fatal(err)
	}
	cmd := w.command()
	cmd.Args = append([]string{"python3", script}, args...)
	if cmd.Path, err = exec.LookPath("python3"); err != nil {
		w.Fatal(err)
	}
	cmd.Env = append(cmd.Env, "PYTHONPATH="+stubs)
	return w.finish(cmd)
}

func TestPythonSubmits(t *testing.T) {
	needPython(t, "grpc_tools, grpc")
	w := parallel(t, map[string]string{"a.txt": "one two\nthree\n", "b.txt": "four\n"})
	c := w.newCluster(1)
	stubs := w.stubs()
	c.done(c.python(stubs, "submit.py", c.server(), w.path("*.txt")), "3\n1\n", "19 of 19")
	got := c.python(stubs, "submit.py", c.server(), w.path("none.txt"))
	c.want(got, 1, "", "none.txt")
}

func TestPythonReadsResults(t *testing.T) {
	needSQL(t)
	needPython(t, "grpc_tools, grpc, pyarrow.flight")
	var rows strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&rows, "%d,%d\n", i, i*i)
	}
	w := parallel(t, map[string]string{"a.csv": "n,square\n" + rows.String(), "b.csv": "n,square\n" + rows.String()})
	stubs := w.stubs()
	for said, flags := range map[string][]string{"parts from workers": {"--shelf-bytes", "0"}, "from the coordinator": nil} {
		c := w.newCluster(2, flags...)
		id := c.begin("--sql", "SELECT n, square FROM input", "--batches", "4", "*.csv")
		want := "2000 ['n', 'square']\n{'n': 0, 'square': 0}\n{'n': 1, 'square': 1}\n{'n': 2, 'square': 4}\n"
		c.done(c.python(stubs, "result.py", c.server(), id), want, said)
		none := c.begin("--sql", "SELECT n FROM input WHERE n < 0", "*.csv")
		c.done(c.python(stubs, "result.py", c.server(), none), "0 rows\n")
	}
}

// grpcurl is the path of grpcurl, built when it is first wanted.
var grpcurl = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "tool", "-modfile=../../scripts/tools/go.mod", "-n", "grpcurl").Output()
	return strings.TrimSpace(string(out)), err
})

// curl calls a method with grpcurl, which knows it by reflection.
func (c *cluster) curl(args ...string) outcome {
	c.Helper()
	path, err := grpcurl()
	if err != nil {
		c.Skipf("SKIPPED: no grpcurl: %v", err)
	}
	cmd := c.command()
	cmd.Path, cmd.Args = path, append([]string{"grpcurl"}, args...)
	return c.finish(cmd)
}

func TestGrpcurl(t *testing.T) {
	w := parallel(t, map[string]string{"a.txt": "one two\nthree\n"})
	c := w.newCluster(1)
	services := "grpc.health.v1.Health\ngrpc.reflection.v1.ServerReflection\ngrpc.reflection.v1alpha.ServerReflection\n" +
		"millrace.v1.FleetService\nmillrace.v1.JobService\nmillrace.v1.WorkerService\n"
	c.done(c.curl("-plaintext", c.server(), "list"), services)
	spec := fmt.Sprintf(`{"spec": {"source": {"files": [%q]}, "stages": [{"command": "wc -w"}]}, "key": "nightly"}`, w.path("*.txt"))
	var submitted struct{ Job struct{ ID string } }
	got := c.curl("-plaintext", "-d", spec, c.server(), "millrace.v1.JobService/SubmitJob")
	if err := json.Unmarshal([]byte(got.stdout), &submitted); err != nil {
		t.Fatalf("%v: %+v", err, got)
	}
	id := fmt.Sprintf(`{"id": %q}`, submitted.Job.ID)
	if got := c.curl("-plaintext", "-d", id, c.server(), "millrace.v1.JobService/WatchJob"); !strings.Contains(got.stdout, `"state": "JOB_STATE_DONE"`) {
		t.Errorf("%+v", got)
	}
	if got := c.curl("-plaintext", "-d", id, c.server(), "millrace.v1.JobService/ReadResult"); !strings.Contains(got.stdout, `"data": "Mwo="`) {
		t.Errorf("%+v", got)
	}
	if got := c.curl("-plaintext", c.server(), "millrace.v1.FleetService/ListWorkers"); !strings.Contains(got.stdout, `"state": "WORKER_STATE_READY"`) {
		t.Errorf("%+v", got)
	}
	if got := c.curl("-plaintext", "-d", `{"id": "none"}`, c.server(), "millrace.v1.JobService/GetJob"); got.status == 0 || !strings.Contains(got.stderr, "NotFound") {
		t.Errorf("%+v", got)
	}
}

// Clients that look at names are content with those that certificates have.
func TestGrpcurlWithTLS(t *testing.T) {
	c := secured(t)
	for _, more := range [][]string{nil, {"-authority", "coordinator"}} {
		args := append([]string{"-cacert", "pki/ca.crt", "-cert", "pki/client.crt", "-key", "pki/client.key"}, more...)
		got := c.curl(append(args, c.server(), "millrace.v1.FleetService/ListWorkers")...)
		if got.status != 0 || !strings.Contains(got.stdout, `"name": "w1"`) {
			t.Errorf("%v: %+v", more, got)
		}
	}
}

func TestGoClient(t *testing.T) {
	w := parallel(t, map[string]string{"a.txt": "one two\nthree\n", "b.txt": "four\n"})
	c := w.newCluster(1)
	client := filepath.Join(t.TempDir(), "submit")
	build := exec.Command("go", "build", "-o", client, "../../examples/submit")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := w.command(c.server(), "a.txt", "b.txt")
	cmd.Path = client
	c.done(w.finish(cmd), "3\n1\nwords: 2 batches\n")
}
