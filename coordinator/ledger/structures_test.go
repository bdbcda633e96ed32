package ledger

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestIntervals compares the interval set with a plain set of positions.
func TestIntervals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s intervals
		var naive [300]bool
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			from := rapid.IntRange(0, 299).Draw(t, "from")
			to := rapid.IntRange(from, 300).Draw(t, "to")
			put := rapid.Bool().Draw(t, "add")
			if put {
				s.add(Position(from), Position(to))
			} else {
				s.remove(Position(from), Position(to))
			}
			for i := from; i < to; i++ {
				naive[i] = put
			}
			compareIntervals(t, &s, naive[:])
		}
	})
}

func compareIntervals(t *rapid.T, s *intervals, naive []bool) {
	got := make([]bool, len(naive))
	last := Position(-1)
	size := int64(0)
	for from, to := range s.ends.from(0) {
		if from <= last || to <= from {
			t.Fatalf("[%d,%d) behind %d: intervals must be apart and not empty", from, to, last)
		}
		for i := from; i < to; i++ {
			got[i] = true
		}
		last = to
		size += int64(to - from)
	}
	if !slices.Equal(got, naive) || size != s.size {
		t.Fatalf("the set differs: size %d counted as %d", size, s.size)
	}
}

// TestOrdered compares the ordered map with Go's.
func TestOrdered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o ordered[int]
		naive := map[Position]int{}
		for i := range rapid.IntRange(1, 600).Draw(t, "steps") {
			key := Position(rapid.IntRange(0, 400).Draw(t, "key"))
			if rapid.IntRange(0, 3).Draw(t, "what") > 0 {
				o.put(key, i)
				naive[key] = i
			} else {
				o.remove(key)
				delete(naive, key)
			}
		}
		keys := slices.Sorted(maps.Keys(naive))
		from := Position(rapid.IntRange(0, 400).Draw(t, "from"))
		i, _ := slices.BinarySearch(keys, from)
		for k, v := range o.from(from) {
			if i == len(keys) || k != keys[i] || v != naive[k] {
				t.Fatalf("%d: %d at place %d of %v", k, v, i, keys)
			}
			i++
		}
		if i != len(keys) || o.len() != len(keys) {
			t.Fatalf("%d values, %d passed, want %d", o.len(), i, len(keys))
		}
		for p := range Position(401) {
			compareFloor(t, &o, keys, p)
		}
	})
}

func compareFloor(t *rapid.T, o *ordered[int], keys []Position, p Position) {
	i, found := slices.BinarySearch(keys, p)
	if !found {
		i--
	}
	at, _, ok := o.floor(p)
	if ok != (i >= 0) || ok && at != keys[i] {
		t.Fatalf("floor of %d is %d, %v: keys %v", p, at, ok, keys)
	}
	if _, ok := o.get(p); ok != found {
		t.Fatalf("get of %d is %v", p, ok)
	}
}

// drawLayout draws a source and a cut.
func drawLayout(t *rapid.T) *layout {
	fragments := make([]Fragment, rapid.IntRange(1, 12).Draw(t, "fragments"))
	for i := range fragments {
		n := int64(rapid.IntRange(1, 200).Draw(t, "extent"))
		fragments[i] = Fragment{Unit: UnitBytes, Extent: n, SizeBytes: n, Whole: rapid.IntRange(0, 4).Draw(t, "whole") == 0}
		if rapid.IntRange(0, 2).Draw(t, "cuts") == 0 {
			for at := int64(1); at < n; at += int64(rapid.IntRange(1, 60).Draw(t, "step")) {
				fragments[i].Cuts = append(fragments[i].Cuts, at)
			}
		}
	}
	return newLayout(fragments, Cut{
		Rule: CutRule(rapid.IntRange(1, 5).Draw(t, "rule")), Size: int64(rapid.IntRange(1, 40).Draw(t, "size")),
		MaxFiles: uint32(rapid.IntRange(0, 3).Draw(t, "files")), WholeFiles: rapid.IntRange(0, 5).Draw(t, "whole files") == 0,
	})
}

// TestCuts checks the rules that every cut must keep: it covers everything,
// cuts fragments only where they may be cut, and never puts a part of one
// together with another.
func TestCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y := drawLayout(t)
		batches := 0
		for from := Position(0); from < y.total(); batches++ {
			to := y.total()
			if y.pieces != nil {
				to = y.next(from)
			} else {
				to = y.late(from, to, Position(rapid.IntRange(1, 300).Draw(t, "want")), 3)
			}
			if to <= from || to > y.total() {
				t.Fatalf("a batch [%d,%d)", from, to)
			}
			checkBatch(t, y, from, to)
			from = to
		}
		checkCount(t, y, batches)
	})
}

func checkBatch(t *rapid.T, y *layout, from, to Position) {
	splits := y.splits(from, to)
	for _, s := range splits {
		f := &y.fragments[s.Fragment]
		entire := s.From == 0 && s.To == f.Extent
		if !entire && (len(splits) > 1 || y.whole(s.Fragment)) {
			t.Fatalf("batch [%d,%d) has a part of fragment %d: %v", from, to, s.Fragment, splits)
		}
		for _, at := range []int64{s.From, s.To} {
			if at != 0 && at != f.Extent && len(f.Cuts) > 0 && !slices.Contains(f.Cuts, at) {
				t.Fatalf("fragment %d is cut at %d, not at %v", s.Fragment, at, f.Cuts)
			}
		}
	}
	if y.cut.Rule != CutOne && y.cut.MaxFiles > 0 && len(splits) > int(y.cut.MaxFiles) {
		t.Fatalf("batch [%d,%d) has %d files, more than %d", from, to, len(splits), y.cut.MaxFiles)
	}
}

// checkCount checks that a number of batches is met where the fragments allow.
func checkCount(t *rapid.T, y *layout, batches int) {
	var most int64
	for f := range y.fragments {
		most += y.most(f)
	}
	want := int64(batches)
	switch {
	case y.cut.Rule == CutOne:
		want = 1
	case y.cut.Rule == CutBatches && y.cut.MaxFiles == 0:
		want = min(y.cut.Size, most)
	}
	if int64(batches) != want {
		t.Fatalf("%d batches, want %d: pieces %v", batches, want, y.pieces)
	}
}

// TestHalve checks that halves keep the rules too.
func TestHalve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y := drawLayout(t)
		if y.pieces != nil {
			return
		}
		from := Position(0)
		to := y.late(from, y.total(), 150, 3)
		if at := y.halve(from, to); at != from {
			checkBatch(t, y, from, at)
			checkBatch(t, y, at, to)
		}
	})
}
