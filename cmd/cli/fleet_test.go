package cli

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/millrace/millrace/api/millracev1"
)

func TestProcessesTellWhereTheyAre(t *testing.T) {
	c := place(t, nil).cluster()
	w := c.worker("w1")
	for name, at := range map[string]string{
		"listen": c.coordinator.told["listen"], "gossip": c.coordinator.told["gossip"],
		"data": w.told["data"], "a worker's gossip": w.told["gossip"],
	} {
		if !strings.HasPrefix(at, "127.0.0.1:") || strings.HasSuffix(at, ":0") {
			t.Errorf("%s: %q", name, at)
		}
	}
	if w.told["name"] != "w1" || len(w.told) != 3 || len(c.coordinator.told) != 2 {
		t.Errorf("%v %v", w.told, c.coordinator.told)
	}
	plain := c.command("worker", "--join", c.coordinator.told["gossip"], "--name", "w2")
	got := c.interrupted(plain, "attached", syscall.SIGTERM)
	lines := strings.Split(got.stdout, "\n")
	if got.status != 0 || len(lines) != 4 || lines[0] != "name w2" || !strings.HasPrefix(lines[1], "data 127.") || !strings.HasPrefix(lines[2], "gossip 127.") {
		t.Errorf("%+v", got)
	}
}

func TestWorkersAreListed(t *testing.T) {
	c := place(t, nil).cluster()
	c.worker("w1", "--label", "gpu=yes", "--zone", "rack 7")
	list := c.workers()
	if len(list) != 1 {
		t.Fatalf("%+v", list)
	}
	w := list[0]
	if w.State != "ready" || w.Session != "alive" || w.Gossip != "alive" || w.Slots != 2 || w.Labels["gpu"] != "yes" || w.Zone != "rack 7" {
		t.Errorf("%+v", w)
	}
	if !slices.Contains(w.Processors, "command:*") || !slices.Contains(w.DataRoots, c.dir) || len(w.DataAddresses) != 1 || w.Attached == nil {
		t.Errorf("%+v", w)
	}
	var raw []map[string]any
	if err := json.Unmarshal([]byte(c.ask("workers", "--json").stdout), &raw); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"name", "state", "slots", "labels"} {
		if _, there := raw[0][key]; !there {
			t.Errorf("no %s: %v", key, raw)
		}
	}
	if got := c.ask("workers"); !strings.Contains(got.stdout, "w1    ready  alive    alive") {
		t.Errorf("%+v", got)
	}
}

func TestCordonAndUncordon(t *testing.T) {
	c := ofBooks(t)
	got := c.ask("cordon", "w1")
	if got.status != 0 || !strings.Contains(got.stdout, "cordoned") {
		t.Errorf("%+v", got)
	}
	id := c.submit("--command", "wc -w", "books/a.txt")
	if job := c.until(id, func(j jobJSON) bool { return len(j.Waiting) > 0 }); !strings.Contains(job.Waiting[0], "cordoned") {
		t.Errorf("%+v", job)
	}
	if got := c.ask("uncordon", "w1", "--json"); !strings.Contains(got.stdout, `"state": "ready"`) {
		t.Errorf("%+v", got)
	}
	c.want(c.ask("watch", "-q", id), 0, "")
	for _, args := range [][]string{{"cordon", "nobody"}, {"drain", "nobody"}} {
		if got := c.ask(args...); got.status == 0 || !strings.Contains(got.stderr, "nobody") {
			t.Errorf("%v: %+v", args, got)
		}
	}
	c.want(c.ask("cordon"), 2, "", "--label")
	c.want(c.ask("cordon", "--label", "rack=9"), 1, "", "no worker has the label rack=9")
}

func TestDrainByLabel(t *testing.T) {
	c := place(t, nil).cluster()
	leaves := c.worker("w1", "--label", "rack=7")
	c.worker("w2", "--label", "rack=8")
	if got := c.ask("drain", "--label", "rack=7", "--within", "5s"); got.status != 0 || !strings.Contains(got.stdout, "w1") || strings.Contains(got.stdout, "w2") {
		t.Errorf("%+v", got)
	}
	if got := leaves.wait(); got.status != 0 {
		t.Errorf("%+v", got)
	}
}

// The first signal lets a worker finish what it runs.
func TestASignalDrainsAWorker(t *testing.T) {
	c := place(t, books).cluster()
	w := c.worker("w1")
	c.fifo("go")
	id := c.submit("--shell", "--command", "cat go; cat", "books/a.txt")
	c.until(id, running)
	w.signal(syscall.SIGTERM)
	c.release("go")
	if got := w.wait(); got.status != 0 || !strings.Contains(got.stderr, "drains") {
		t.Errorf("%+v", got)
	}
	c.want(c.ask("result", id), 0, books["books/a.txt"]) // the coordinator has a copy
}

// The second one does not wait.
func TestTheSecondSignalStopsAWorker(t *testing.T) {
	c := place(t, books).cluster()
	w := c.worker("w1")
	id := c.submit("--shell", "--command", hangs, "books/a.txt")
	c.until(id, running)
	w.signal(syscall.SIGTERM)
	for !drains(c.workers(), "w1") {
	}
	w.signal(syscall.SIGINT)
	if got := w.wait(); got.status != 130 {
		t.Errorf("%+v", got)
	}
	c.gone("sleep")
}

func drains(workers []workerJSON, name string) bool {
	return slices.ContainsFunc(workers, func(w workerJSON) bool { return w.Name == name && w.State == "draining" })
}

func TestNobodyAnswers(t *testing.T) {
	w := place(t, nil)
	for _, args := range [][]string{{"list"}, {"workers"}, {"get", "x"}, {"cancel", "x"}, {"submit", "--command", "cat", "/dev/null"}} {
		got := w.run("", append(args, "--server", "127.0.0.1:1")...)
		w.want(got, 1, "", "no coordinator answers at 127.0.0.1:1", "refused", "MILLRACE_SERVER")
	}
	w.want(w.run("", "list", "--server", "nowhere.invalid"), 1, "", "nowhere.invalid:7400")
	w.want(w.run("", "get"), 2, "", "which job?", "millrace list")
	w.want(w.run("", "cancel"), 2, "", "which jobs?")
}

func TestServerAddress(t *testing.T) {
	for text, want := range map[string]string{
		"h:1": "h:1", "h": "h:7400", "127.0.0.1": "127.0.0.1:7400", "[::1]:5": "[::1]:5", "::1": "[::1]:7400", "[::1]": "[::1]:7400",
		"": "", "h:": "", ":7400": "", "h:x": "", "h:0": "", "h:70000": "", "http://h:1": "", "a b": "",
	} {
		if got, err := serverAddress(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v; want %q", text, got, err, want)
		}
	}
}

// What answers, but is no coordinator, is said to be none.
func TestTheWrongPort(t *testing.T) {
	c := place(t, nil).cluster()
	w := c.worker("w1")
	c.want(c.run("", "workers", "--server", w.told["data"]), 1, "", "is no coordinator", "data port")
	c.want(c.run("", "workers", "--server", w.told["gossip"]), 1, "", "gossip port")
}

func TestProcessesThatCantStart(t *testing.T) {
	c := place(t, nil).cluster()
	for _, test := range []struct {
		args []string
		want int
		said string
	}{
		{[]string{"coordinator", "--listen", c.coordinator.told["listen"], "--gossip", "127.0.0.1:0"}, 1, "in use"},
		{[]string{"coordinator", "--listen", "nonsense"}, 2, "HOST:PORT"},
		{[]string{"coordinator", "--listen", "127.0.0.1:65535"}, 2, "--gossip"},
		{[]string{"coordinator", "--listen", "0.0.0.0:0"}, 2, "--insecure"},
		{[]string{"coordinator", "--lease", "1ms"}, 2, "at least 100ms"},
		{[]string{"coordinator", "--lease", "1s", "--heartbeat", "5s"}, 2, "a third of --lease 1s"},
		{[]string{"coordinator", "--tls-cert", "none"}, 2, "--tls-key is missing"},
		{[]string{"coordinator", "--quota", "anna=none"}, 2, "anna=none"},
		{[]string{"coordinator", "extra"}, 2, "extra"},
		{[]string{"worker", "--slots", "0"}, 2, "slots"},
		{[]string{"worker", "--join", c.coordinator.told["gossip"], "--data-root", "nowhere"}, 2, "nowhere"},
		{[]string{"worker", "--slots", "100000"}, 2, "4096"},
		{[]string{"worker", "--name", "a b"}, 2, "a b"},
		{[]string{"worker", "--spool-bytes", "1"}, 2, "at least 64KiB"},
		{[]string{"worker", "--label", "a=1", "--label", "a=2"}, 2, "a is given twice"},
		{[]string{"worker", "--label", strings.Repeat("x", 100) + "=1"}, 2, "63 bytes"},
	} {
		w := c.run("", test.args...)
		if w.status != test.want || w.stdout != "" || !strings.Contains(w.stderr, test.said) {
			t.Errorf("%v: %+v", test.args, w)
		}
	}
}

func TestRolesByCertificate(t *testing.T) {
	w := place(t, books)
	if got := w.run("", "certs", "pki"); got.status != 0 || !strings.Contains(got.stdout, "pki/operator.crt") {
		t.Fatalf("%+v", got)
	}
	if got := w.run("", "certs", "pki"); !strings.Contains(got.stdout, "nothing was made") {
		t.Errorf("%+v", got)
	}
	w.want(w.run("", "certs", "pki", "--name", "x"), 2, "", "--role")
	w.want(w.run("", "certs", "pki", "--name", "x", "--role", "king"), 2, "", "king")
	as := func(name string) []string {
		return []string{"--tls-cert", "pki/" + name + ".crt", "--tls-key", "pki/" + name + ".key", "--tls-ca", "pki/ca.crt"}
	}
	gossip := []string{"--gossip-key-file", "pki/gossip.key"}
	c := &cluster{w, w.serve(slices.Concat([]string{"coordinator", "--listen", "127.0.0.1:0"}, as("coordinator"), gossip)...)}
	w.serve(slices.Concat([]string{"worker", "--join", c.coordinator.told["gossip"], "--name", "w1", "--data-root", ".", "--allow-command", "wc"},
		as("worker"), gossip)...)
	submit := append([]string{"submit", "--wait", "-q", "--command", "wc -w", "books/a.txt"}, as("client")...)
	c.want(c.ask(submit...), 0, "3\n")
	if got := c.ask(append([]string{"list", "--json"}, as("operator")...)...); !strings.Contains(got.stdout, `"user": "client"`) {
		t.Errorf("%+v", got)
	}
	for _, test := range []struct {
		args []string
		as   string
		said string
	}{
		{[]string{"submit", "--command", "wc", "books"}, "worker", "client"},
		{[]string{"cordon", "w1"}, "client", "operator"},
	} {
		c.want(c.ask(append(test.args, as(test.as)...)...), 1, "", test.said)
	}
	c.want(c.ask("list"), 1, "") // without a certificate
	if got := c.ask(append([]string{"cordon", "w1"}, as("operator")...)...); got.status != 0 {
		t.Errorf("%+v", got)
	}
}

func TestSettingsInForce(t *testing.T) {
	w := place(t, map[string]string{
		"config/millrace/config.yaml": "worker:\n  slots: 3\n  join: [a:1]\nlog: debug\n",
		"other.yaml":                  "worker: {slots: 4}\n",
		"json.yaml":                   "worker: {log-format: json}\n",
		"bad.yaml":                    "wroker: {slots: 4}\nslots: x\n",
	})
	read := func(env []string, args ...string) map[string]settingJSON {
		cmd := w.command(append(args, "--json")...)
		cmd.Env = append(cmd.Env, env...)
		got := w.finish(cmd)
		var list []settingJSON
		if err := json.Unmarshal([]byte(got.stdout), &list); err != nil {
			t.Fatalf("%v: %+v", err, got)
		}
		all := map[string]settingJSON{}
		for _, s := range list {
			all[s.Name] = s
		}
		return all
	}
	file := filepath.Join(w.dir, "config", "millrace", "config.yaml")
	for _, test := range []struct {
		env  []string
		args []string
		want settingJSON
	}{
		{nil, nil, settingJSON{"", "slots", "3", "file", file + ":2"}},
		{[]string{"MILLRACE_SLOTS=5"}, nil, settingJSON{"", "slots", "5", "environment", "MILLRACE_SLOTS"}},
		{[]string{"MILLRACE_SLOTS=5"}, []string{"--slots", "6"}, settingJSON{"", "slots", "6", "flag", ""}},
		{nil, []string{"--config", "other.yaml"}, settingJSON{"", "slots", "4", "file", "other.yaml:1"}},
		{[]string{"MILLRACE_CONFIG=other.yaml"}, nil, settingJSON{"", "slots", "4", "file", "other.yaml:1"}},
		{nil, nil, settingJSON{"", "log", "debug", "file", file + ":4"}},
		{nil, nil, settingJSON{"", "drain-within", "30s", "default", ""}},
		{nil, nil, settingJSON{"", "spool", w.temp, "default", ""}},
	} {
		if got := read(test.env, append([]string{"config", "worker"}, test.args...)...)[test.want.Name]; got != test.want {
			t.Errorf("%v %v: %+v, want %+v", test.env, test.args, got, test.want)
		}
	}
	both := w.run("", "config")
	for _, line := range []string{`coordinator +gossip +127\.0\.0\.1:7401 +default`, `worker +slots +3 +file `, `coordinator +log +debug +file `, `run +slots +\d+ `} {
		if !regexp.MustCompile(`(?m)^` + line).MatchString(both.stdout) {
			t.Errorf("%s is not in:\n%s", line, both.stdout)
		}
	}
	if got := read(nil, "config", "--config", "json.yaml")["log-format"]; got != (settingJSON{"run", "log-format", "text", "default", ""}) {
		t.Errorf("what is said of another command holds: %+v", got)
	}
	if all := read(nil, "config"); all["slots"].Command != "run" || all["keep"].Command != "submit" {
		t.Errorf("%+v", all)
	}
	w.want(w.run("", "list", "--config", "bad.yaml"), 2, "", "bad.yaml:1:1: wroker is no setting", "bad.yaml:2:1: slots can't be used")
	w.want(w.run("", "list", "--config", "none.yaml"), 2, "", "none.yaml")
	cmd := w.command("config", "worker")
	cmd.Env = append(cmd.Env, "MILLRACE_SLOT=3")
	if got := w.finish(cmd); !strings.Contains(got.stderr, `MILLRACE_SLOT is no setting: did you mean "MILLRACE_SLOTS"?`) || !strings.Contains(got.stdout, file) {
		t.Errorf("%+v", got)
	}
}

func TestTablesFitTheTerminal(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	jobs := jobTable([]*pb.Job{
		{Id: "k3x9a-12", Name: "the words of all books, \x1b[31mcounted", User: "anna", State: pb.JobState_JOB_STATE_RUNNING,
			Submitted: timestamppb.New(now.Add(-90 * time.Minute)), Stats: &pb.JobStats{
				BatchesDone: 1234, PositionsDone: 57, PositionsTotal: 100, Retries: 3, Elapsed: durationpb.New(65 * time.Second),
				Counters: &pb.Counters{RecordsIn: 123_456_789},
			}},
		{Id: "k3x9a-3", State: pb.JobState_JOB_STATE_PLANNING, Paused: true, Submitted: timestamppb.New(now.Add(-72 * time.Hour))},
	}, now)
	workers := workerTable([]*pb.Worker{
		{Name: "rack7-3", State: pb.WorkerState_WORKER_STATE_READY, SessionOpinion: 1, GossipOpinion: 1, Slots: 16, Running: 16, Waiting: 4,
			Done: 12_345, Failed: 2, SpoolBytes: 5 << 30, Zone: "rack 7", Labels: map[string]string{"gpu": "yes", "disk": "ssd"},
			DataAddresses: []string{"10.0.7.3:40123"}, Version: "v0.2.0"},
		{Name: "rack7-4", State: pb.WorkerState_WORKER_STATE_QUARANTINED, SessionOpinion: 3, GossipOpinion: 2, Slots: 16,
			Reason: "it failed 9 batches, and nothing else: no space left on device"},
	})
	var b strings.Builder
	for _, table := range []*table{jobs, workers, workerTable(nil)} {
		for _, width := range []int{0, 120, 80, 40, 20} {
			b.WriteString("# " + number(uint32(width)) + "\n")
			var text strings.Builder
			if err := table.write(&text, width); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(text.String()) {
				if n := len([]rune(strings.TrimSuffix(line, "\n"))); width >= 40 && n > width {
					t.Errorf("%d cells in %d: %s", n, width, line)
				}
			}
			b.WriteString(text.String())
		}
	}
	golden(t, "tables.txt", b.String())
}
