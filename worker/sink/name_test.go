package sink

import (
	"slices"
	"testing"
)

func TestNamesSortInOrder(t *testing.T) {
	f := &Folder{extension: ".csv"}
	for _, all := range []int{1, 100_000, 100_001, 1_000_001} {
		names := []string{f.name(0, all), f.name(all/2, all), f.name(all-1, all)}
		if !slices.IsSorted(names) || all <= 100_000 && names[0] != "part-00000.csv" {
			t.Errorf("of %d files: %v", all, names)
		}
	}
	if first, last := f.name(99_999, 100_001), f.name(100_000, 100_001); first >= last {
		t.Errorf("%s sorts behind %s", first, last)
	}
}
