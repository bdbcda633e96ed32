package cli

import (
	"encoding/json"
	"os"
	"testing"
)

// What fleets cost is measured with real processes: all figures are there, and
// none of what was started stays.
func TestBenchFleets(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: clusters of processes are not for -short")
	}
	for name, c := range map[string]struct{ args, figures []string }{
		"leases": {
			[]string{"--batches", "2000", "--rounds", "1"},
			[]string{"leases_per_s", "bare_stream_per_s", "ratio", "one_credit_per_s", "p50_us", "p99_us"},
		},
		"sessions": {
			[]string{"--sessions", "4", "--processes", "2", "--batches", "500", "--idle", "10ms"},
			[]string{"sessions", "idle_cpu_percent", "memory_per_session_bytes", "leases_per_s", "few_leases_per_s"},
		},
		"join": {[]string{"--rounds", "1"}, []string{"p50_ms", "max_ms"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := place(t, nil)
			got := w.run("", append([]string{"bench", name, "--json"}, c.args...)...)
			var figures map[string]float64
			if err := json.Unmarshal([]byte(got.stdout), &figures); err != nil {
				t.Fatalf("%v: %+v", err, got)
			}
			for _, figure := range c.figures {
				if v, ok := figures[figure]; !ok || v <= 0 && figure != "idle_cpu_percent" && figure != "memory_per_session_bytes" {
					t.Errorf("%s: %v", figure, figures)
				}
			}
		})
	}
	w := place(t, nil)
	for _, args := range [][]string{
		{"leases", "--rounds", "0"}, {"leases", "--slots", "0"}, {"leases", "--batches", "0"},
		{"sessions", "--processes", "9", "--sessions", "8"}, {"join", "--rounds", "0"},
	} {
		if got := w.run("", append([]string{"bench"}, args...)...); got.status != statusUsage {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

// BenchmarkLeases leases empty batches; with -cpuprofile it shows where their
// time goes.
func BenchmarkLeases(b *testing.B) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	a := &app{stdin: os.Stdin, stdout: null, stderr: null}
	if err := a.benchEmbedded(b.Context(), uint64(b.N), 2); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "leases/s")
}
