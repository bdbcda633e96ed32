package ledger

import (
	"errors"
	"fmt"
)

// Limits of a plan.
const (
	maxFragments = 1_000_000
	maxPositions = 1 << 60
	maxStages    = 64
	maxBatches   = 10_000_000
)

// Check returns what is wrong with a plan: the first fault of each part,
// joined. A plan that does not check fails its job.
func (p *Plan) Check() error {
	var faults []error
	if n := len(p.Fragments); n > maxFragments {
		faults = append(faults, fmt.Errorf("the plan has %d fragments: at most %d are allowed", n, maxFragments))
	}
	if n := len(p.Stages); n < 1 || n > maxStages {
		faults = append(faults, fmt.Errorf("the plan has %d stages: 1 to %d are allowed", n, maxStages))
	}
	return errors.Join(append(faults, p.checkFragments(), p.checkStages())...)
}

func (p *Plan) checkFragments() error {
	var total int64
	for i := range p.Fragments {
		f := &p.Fragments[i]
		if f.Extent < 1 || f.Extent > maxPositions-total || f.SizeBytes < 0 || f.SizeBytes > maxPositions {
			return fmt.Errorf("fragment %d has extent %d and size %d: an extent is at least 1, and all together at most 2^60",
				i, f.Extent, f.SizeBytes)
		}
		total += f.Extent
		last := int64(0)
		for _, at := range f.Cuts {
			if at <= last || at >= f.Extent {
				return fmt.Errorf("fragment %d has a cut at %d: cuts rise, and lie inside the fragment", i, at)
			}
			last = at
		}
	}
	return nil
}

func (p *Plan) checkStages() error {
	for i := range p.Stages {
		s := &p.Stages[i]
		switch last := i == len(p.Stages)-1; {
		case (s.Input == InputCollect) != (i > 0):
			return fmt.Errorf("stage %d (%s) has input %d: the first stage reads the source, and each other one collects", i, s.Name, s.Input)
		case s.PrefixLimit != nil && (i > 0 || *s.PrefixLimit < 0):
			return fmt.Errorf("stage %d (%s) ends after a number of records: only the first stage can, and not after fewer than none", i, s.Name)
		case s.Output == OutputFile && !last:
			return fmt.Errorf("stage %d (%s) makes files for the sink, but is not the last", i, s.Name)
		case s.Cut.Size < 0 || s.Cut.Rule == CutBatches && (s.Cut.Size < 1 || s.Cut.Size > maxBatches):
			return fmt.Errorf("stage %d (%s) is cut by size %d: 1 to %d batches are allowed", i, s.Name, s.Cut.Size, maxBatches)
		}
	}
	return nil
}
