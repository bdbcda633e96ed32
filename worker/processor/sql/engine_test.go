//go:build cgo

package sql

import (
	"context"
	"path/filepath"
	"testing"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/duckdb"
	"github.com/millrace/millrace/worker/processor"
)

func newEngine(t *testing.T) *Engine {
	t.Helper()
	e := NewEngine(Options{TempDir: t.TempDir()})
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// runStep runs a step over a batch of a job.
func runStep(t *testing.T, step processor.Step, job string, in processor.Input, want string) {
	t.Helper()
	a := newAttempt(t)
	a.JobID = job
	var out collector
	err := step.Run(t.Context(), &a.Attempt, in, &out)
	wantRows(t, out.rows, err, want)
}

func TestPlannerLeavesItsInstance(t *testing.T) {
	e := newEngine(t)
	e.Warm()
	for range 2 {
		p, err := e.Planner()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Check(t.Context(), "SELECT sum(n) FROM input", columns("n BIGINT")); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil || len(e.spares) != 1 {
			t.Fatalf("the planner's instance is gone: %v", err)
		}
	}
	step := e.Step(&pb.SqlStep{Query: "SELECT sum(n)::BIGINT FROM batch"}, nil)
	runStep(t, step, "a", csvInput(columns("n BIGINT"), textPart("a", 0, "1\n2\n")), "3")
	if len(e.spares) != 0 || len(e.idle) != 1 {
		t.Errorf("%d instances are idle", len(e.idle))
	}
	if rows, err := e.idle[0].db.Rows(t.Context(), "FROM input"); err == nil {
		t.Errorf("planning's table is still there: %q", rows)
	}
	if err := step.Close(); err != nil || len(e.idle) != 0 {
		t.Errorf("%d instances are idle without a step: %v", len(e.idle), err)
	}
}

// Instances go from stage to stage and from one sort of input to another, but
// not from job to job.
func TestInstancesAreOfOneJob(t *testing.T) {
	e := newEngine(t)
	text := e.Step(&pb.SqlStep{Query: "SELECT sum(n)::BIGINT FROM batch"}, nil)
	defer text.Close()
	empty := e.Step(&pb.SqlStep{Query: "SELECT count(*) FROM batch", Columns: columns("n BIGINT")}, nil)
	defer empty.Close()
	for _, job := range []string{"a", "b"} {
		for range 2 {
			runStep(t, text, job, csvInput(columns("n BIGINT"), textPart("a", 0, "1\n2\n")), "3")
			runStep(t, empty, job, csvInput(columns("n BIGINT")), "0")
		}
		if len(e.idle) != 1 || e.idle[0].job != job {
			t.Fatalf("%d instances are idle", len(e.idle))
		}
	}
}

// Batches of a job's Parquet files share an instance, which reads no other.
func TestParquetInstanceIsOfTheJobsFiles(t *testing.T) {
	e := newEngine(t)
	dir := t.TempDir()
	paths := map[string]string{}
	for _, name := range []string{"a", "b", "other"} {
		paths[name] = filepath.Join(dir, name+".parquet")
		writeParquet(t, paths[name], "SELECT range AS n FROM range(3)")
	}
	files := func(context.Context) []string { return []string{paths["a"], paths["b"]} }
	step := e.Step(&pb.SqlStep{Query: "SELECT sum(n)::BIGINT FROM batch"}, files)
	defer step.Close()
	for _, name := range []string{"a", "b"} {
		runStep(t, step, "", processor.Input{
			Format: pb.Format_FORMAT_PARQUET, Columns: columns("n BIGINT"), Parts: []processor.Part{parquetPart(paths[name], 0, -1)},
		}, "3")
	}
	if len(e.idle) != 1 {
		t.Fatalf("%d instances are idle, want 1", len(e.idle))
	}
	first := e.idle[0]
	if !first.paths[paths["a"]] || !first.paths[paths["b"]] {
		t.Errorf("it reads %v", first.paths)
	}
	if rows, err := first.db.Rows(t.Context(), "FROM read_parquet("+duckdb.QuoteString(paths["other"])+")"); err == nil {
		t.Errorf("another file was read: %q", rows)
	}
}
