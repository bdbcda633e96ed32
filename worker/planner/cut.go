package planner

import (
	"fmt"

	pb "github.com/millrace/millrace/api/millracev1"
)

// cut is how the source is cut, as far as the job's batching says.
func (b *builder) cut() *pb.Cut {
	batching := b.spec.GetBatch()
	cut := &pb.Cut{Rule: pb.CutRule_CUT_RULE_LATE, MaxFiles: batching.GetFiles()}
	switch {
	case batching.GetBatches() > 0:
		cut.Rule, cut.Size = pb.CutRule_CUT_RULE_BATCHES, int64(batching.GetBatches())
	case batching.GetRecords() > 0:
		cut.Rule, cut.Size = pb.CutRule_CUT_RULE_RECORDS, int64(batching.GetRecords())
	case batching.GetBytes() > 0:
		cut.Rule, cut.Size = pb.CutRule_CUT_RULE_BYTES, batching.GetBytes()
	}
	return cut
}

// settleCut gives batches of whole files to code that sees where batches begin
// and end, unless the job says how big they are.
func (b *builder) settleCut() {
	first := b.stages[0]
	cut := first.GetCut()
	if b.visible && cut.GetRule() == pb.CutRule_CUT_RULE_LATE && ofFiles(b.plan.GetFragments()) {
		cut.WholeFiles = true
		if cut.GetMaxFiles() == 0 {
			cut.MaxFiles = 1
		}
	}
	first.Reason = join(b.sourceReason(cut), first.GetReason())
}

const (
	// prefixBytes is how much of the source is looked at to find where it may
	// be cut, when its first records are likely to be enough.
	prefixBytes = 64 << 20
	// oneBatchBytes is the size up to which a file may be one batch.
	oneBatchBytes = 1 << 30
)

// worthIndexing are the fragments to look at for places where they may be cut:
// all, unless most of them will hardly be read. Those are not cut then.
func (p *planner) worthIndexing(cut *pb.Cut) []*pb.Fragment {
	all := p.plan.GetFragments()
	if p.plan.GetStages()[0].PrefixLimit == nil || cut.GetRule() != pb.CutRule_CUT_RULE_LATE || p.plan.GetCsv().GetQuote() == "" {
		return all
	}
	var worth []*pb.Fragment
	seen := int64(0)
	for _, f := range all {
		if seen >= prefixBytes && f.GetSizeBytes() <= oneBatchBytes {
			f.Whole = true
			continue
		}
		seen += f.GetSizeBytes()
		worth = append(worth, f)
	}
	return worth
}

func join(a, b string) string {
	if b == "" {
		return a
	}
	return a + "; " + b
}

func ofFiles(fragments []*pb.Fragment) bool {
	return len(fragments) == 0 || fragments[0].GetPath() != ""
}

// sourceReason says what the source is and how it is cut.
func (b *builder) sourceReason(cut *pb.Cut) string {
	return describe(b.plan.GetFragments()) + ", " + cutWords(cut)
}

func cutWords(cut *pb.Cut) string {
	switch cut.GetRule() {
	case pb.CutRule_CUT_RULE_ONE:
		return "not cut"
	case pb.CutRule_CUT_RULE_BATCHES:
		if cut.GetSize() == 1 {
			return "not cut"
		}
		return fmt.Sprintf("cut into %d batches", cut.GetSize())
	case pb.CutRule_CUT_RULE_RECORDS:
		return fmt.Sprintf("cut at every %s", plural(cut.GetSize(), "record"))
	case pb.CutRule_CUT_RULE_BYTES:
		return fmt.Sprintf("cut at about every %s", byteWords(cut.GetSize()))
	}
	switch {
	case cut.GetWholeFiles() && cut.GetMaxFiles() == 1:
		return "one file a batch, since the stage sees where a batch begins and ends"
	case cut.GetWholeFiles():
		return fmt.Sprintf("up to %d whole files a batch", cut.GetMaxFiles())
	}
	return "cut late, by measured speed"
}

// describe says how much a source is.
func describe(fragments []*pb.Fragment) string {
	if !ofFiles(fragments) {
		var records int64
		for _, f := range fragments {
			records += f.GetExtent()
		}
		return plural(records, "record")
	}
	return plural(int64(len(fragments)), "file") + ", " + byteWords(total(fragments))
}

// total is the size of a source's files, in bytes.
func total(fragments []*pb.Fragment) (bytes int64) {
	for _, f := range fragments {
		bytes += f.GetSizeBytes()
	}
	return bytes
}

func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// byteWords is a size for people, in powers of 1000.
func byteWords(n int64) string {
	const kilo = 1000
	if n < kilo {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/kilo, 0
	for value >= kilo && unit < 3 {
		value, unit = value/kilo, unit+1
	}
	return fmt.Sprintf("%.1f %cB", value, "kMGT"[unit])
}

func stageName(s *pb.Stage, i int) string {
	if s.GetName() != "" {
		return s.GetName()
	}
	return fmt.Sprintf("%d", i+1)
}
