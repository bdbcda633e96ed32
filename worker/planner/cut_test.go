package planner

import (
	"slices"
	"testing"

	pb "github.com/millrace/millrace/api/millracev1"
)

// TestPrefixIsIndexed: where the first records may be enough, later files are
// not looked at, but for those that are too large for one batch.
func TestPrefixIsIndexed(t *testing.T) {
	limit, quote := int64(5), `"`
	files := func(sizes ...int64) (list []*pb.Fragment) {
		for _, n := range sizes {
			list = append(list, &pb.Fragment{SizeBytes: n})
		}
		return list
	}
	for _, c := range []struct {
		limit *int64
		rule  pb.CutRule
		quote string
		want  []int
	}{
		{&limit, pb.CutRule_CUT_RULE_LATE, quote, []int{0, 1, 3}},
		{nil, pb.CutRule_CUT_RULE_LATE, quote, []int{0, 1, 2, 3, 4}},
		{&limit, pb.CutRule_CUT_RULE_RECORDS, quote, []int{0, 1, 2, 3, 4}},
		{&limit, pb.CutRule_CUT_RULE_LATE, "", []int{0, 1, 2, 3, 4}},
	} {
		p := &planner{plan: &pb.Plan{
			Fragments: files(prefixBytes-1, 1, 5, oneBatchBytes+1, 7),
			Stages:    []*pb.StagePlan{{PrefixLimit: c.limit}}, Csv: &pb.Csv{Quote: &c.quote},
		}}
		worth := p.worthIndexing(&pb.Cut{Rule: c.rule})
		for i, f := range p.plan.GetFragments() {
			looked := slices.Contains(worth, f)
			if wanted := slices.Contains(c.want, i); looked != wanted || f.GetWhole() == wanted {
				t.Errorf("%+v: fragment %d is looked at: %v, whole: %v", c, i, looked, f.GetWhole())
			}
		}
	}
}

// One batch is none that was cut.
func TestOneBatchIsNotCut(t *testing.T) {
	for size, want := range map[int64]string{1: "not cut", 2: "cut into 2 batches"} {
		if got := cutWords(&pb.Cut{Rule: pb.CutRule_CUT_RULE_BATCHES, Size: size}); got != want {
			t.Errorf("%d: %q, want %q", size, got, want)
		}
	}
}
