package cli

import (
	"os"
	"testing"
)

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
