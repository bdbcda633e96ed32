//go:build cgo

package derive

import (
	"errors"
	"flag"
	"math/rand/v2"
	"testing"
)

var queries = flag.Int("derive.queries", 120, "random queries of the differential test")

var first = flag.Uint64("derive.seed", 0, "the first seed of the differential test")

// TestDifferential answers random queries over random data, cut and combined at
// random, and compares with DuckDB over the whole.
func TestDifferential(t *testing.T) {
	w := openWorld(t)
	tally := map[string]int{}
	for i := range uint64(*queries) {
		seed := *first + i
		tally[w.trial(seed)]++
		if t.Failed() {
			break
		}
	}
	t.Logf("%v", tally)
	if tally["partial+merge"] < *queries/5 {
		t.Errorf("only %d of %d queries were split", tally["partial+merge"], *queries)
	}
}

// FuzzDifferential is TestDifferential of one seed.
func FuzzDifferential(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(1000000 + seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		openWorld(t).trial(seed)
	})
}

// trial is one query over one world; it answers what became of it.
func (w *world) trial(seed uint64) string {
	w.t.Helper()
	r := rand.New(rand.NewPCG(seed, 5))
	g := &generator{r: r}
	query := g.query()
	size := []int{0, 1, 2, 10, 40, 100}[r.IntN(6)]
	w.fill(seed, size)
	if r.IntN(20) == 0 {
		w.grow(6)
	}
	defer w.forget()
	return w.check(seed, query, g.ordered)
}

// check compares the two answers to a query.
func (w *world) check(seed uint64, query string, ordered bool) string {
	w.t.Helper()
	ctx := w.t.Context()
	want, wantErr := w.ask(ctx, query)
	d, err := Derive(ctx, w.db, query, w.columns)
	var refused *Refusal
	switch {
	case errors.As(err, &refused) && wantErr != nil:
		return "refused"
	case err != nil:
		w.t.Errorf("seed %d: %s\nderive: %v (DuckDB: %v)", seed, query, err, wantErr)
		return "failed"
	}
	answer := w.derived
	if d.Kind == PartialMerge && seed%4 == 0 {
		answer = w.viaArrow
	}
	got, err := answer(ctx, d)
	switch {
	case wantErr != nil:
		return "failing"
	case err != nil:
		w.t.Errorf("seed %d: %s\n%v: %v\npartial: %s\ncombine: %s\nmerge: %s", seed, query, d.Kind, err, d.Partial, d.Combine, d.Merge)
	default:
		if diff := differ(want, got, ordered); diff != "" {
			w.t.Errorf("seed %d: %s\n%v: %s\npartial: %s\ncombine: %s\nmerge: %s", seed, query, d.Kind, diff, d.Partial, d.Combine, d.Merge)
		}
	}
	return d.Kind.String()
}
