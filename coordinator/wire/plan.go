package wire

import (
	"fmt"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
)

// Plan is a worker's plan as the ledger sees it. The message is taken apart and
// must not be used afterwards. It is an error when it can't be understood;
// whether it makes sense, the ledger checks.
func Plan(p *pb.Plan) (*ledger.Plan, error) {
	if err := checkEnums(p); err != nil {
		return nil, err
	}
	plan := &ledger.Plan{
		Fragments: make([]ledger.Fragment, len(p.GetFragments())),
		Stages:    make([]ledger.Stage, len(p.GetStages())),
	}
	for i, f := range p.GetFragments() {
		plan.Fragments[i] = fragment(f)
	}
	for i, s := range p.GetStages() {
		plan.Stages[i] = stage(s)
	}
	p.Fragments, p.Stages = nil, nil
	plan.Payload = marshal(p)
	return plan, nil
}

func fragment(f *pb.Fragment) ledger.Fragment {
	cuts := f.GetCuts()
	f.Cuts = nil // the ledger keeps them, and no worker needs them
	return ledger.Fragment{
		Unit:      ledger.Unit(f.GetUnit()),
		Whole:     f.GetWhole(),
		Extent:    f.GetExtent(),
		SizeBytes: f.GetSizeBytes(),
		Records:   f.GetRecords(),
		Cuts:      cuts,
		Payload:   marshal(f),
	}
}

func stage(s *pb.StagePlan) ledger.Stage {
	return ledger.Stage{
		Name:  s.GetName(),
		Input: ledger.StageInput(s.GetInput()),
		Cut: ledger.Cut{
			Rule:       ledger.CutRule(s.GetCut().GetRule()),
			Size:       s.GetCut().GetSize(),
			MaxFiles:   s.GetCut().GetMaxFiles(),
			WholeFiles: s.GetCut().GetWholeFiles(),
		},
		Requires:  s.GetRequires(),
		Output:    ledger.OutputKind(s.GetOutput()),
		Mergeable: mergeable(s),

		PrefixLimit: s.PrefixLimit,
		Payload:     marshal(s),
	}
}

// mergeable says whether a worker can make one output of neighbouring ones: by
// the stage's combine step, or by concatenation, which would not leave sorted
// ones sorted.
func mergeable(s *pb.StagePlan) bool {
	switch s.GetOutput() {
	case pb.OutputKind_OUTPUT_KIND_BYTES, pb.OutputKind_OUTPUT_KIND_ARROW:
		return true
	case pb.OutputKind_OUTPUT_KIND_SORTED:
		return s.GetCombine() != nil
	}
	return false
}

// Fragment is a fragment that Plan encoded, without its cuts.
func Fragment(b []byte) *pb.Fragment { return unmarshal[pb.Fragment](b) }

// Stage is a stage that Plan encoded.
func Stage(b []byte) *pb.StagePlan { return unmarshal[pb.StagePlan](b) }

// Shared is the plan without fragments and stages, as Plan encoded it.
func Shared(b []byte) *pb.Plan { return unmarshal[pb.Plan](b) }

// checkEnums tells the first enum in a plan that this program does not know,
// and that would turn into another one here. All else the ledger checks.
func checkEnums(p *pb.Plan) error {
	for _, f := range p.GetFragments() {
		if pb.Unit_name[int32(f.GetUnit())] == "" {
			return fmt.Errorf("fragment %s has a unit of number %d: the worker that planned it is newer than its coordinator", f.GetPath(), f.GetUnit())
		}
	}
	for _, s := range p.GetStages() {
		if pb.StageInput_name[int32(s.GetInput())] == "" ||
			pb.OutputKind_name[int32(s.GetOutput())] == "" ||
			pb.CutRule_name[int32(s.GetCut().GetRule())] == "" {
			return fmt.Errorf("stage %s has an input, output or cut that is not known: the worker that planned it is newer than its coordinator", s.GetName())
		}
	}
	return nil
}
