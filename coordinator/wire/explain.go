package wire

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
)

// maxShown is how many fragments of a plan are shown.
const maxShown = 100

// Explained tells a job's plan, why what waits is waiting, and how the source
// is being cut.
func Explained(v ledger.JobView, waits []ledger.Wait) *pb.ExplainJobResponse {
	m := &pb.ExplainJobResponse{Cutting: cutting(v)}
	if v.Plan != nil {
		m.Fragments = int64(v.Fragments)
		m.Plan = shown(v.Plan)
	}
	for _, w := range waits {
		if w.Kind == ledger.WaitStage {
			w.Name = stageShown(v.Plan, w.Name)
		}
		m.Waiting = append(m.Waiting, sentence(w.String()))
	}
	return m
}

// stageShown is what a stage is called where the plan is shown: one that its user
// has not named goes by its place in the plan, which may not be that in the job.
func stageShown(p *ledger.Plan, name string) string {
	if _, err := strconv.Atoi(name); err != nil || p == nil {
		return name
	}
	for i, s := range p.Stages {
		if s.Name == name {
			return strconv.Itoa(i + 1)
		}
	}
	return name
}

// sentence is a clause as a sentence.
func sentence(clause string) string {
	if clause == "" {
		return ""
	}
	return strings.ToUpper(clause[:1]) + clause[1:] + "."
}

// shown is a plan with the first of its fragments.
func shown(p *ledger.Plan) *pb.Plan {
	m := Shared(p.Payload)
	for _, f := range p.Fragments[:min(len(p.Fragments), maxShown)] {
		m.Fragments = append(m.Fragments, Fragment(f.Payload))
	}
	for _, s := range p.Stages {
		m.Stages = append(m.Stages, Stage(s.Payload))
	}
	return m
}

// cutting tells how the source is being cut.
func cutting(v ledger.JobView) []string {
	if v.Plan == nil || len(v.Plan.Stages) == 0 {
		return nil
	}
	said := []string{rule(v.Plan.Stages[0].Cut)}
	if s := v.Stats; s.BatchTime > 0 {
		said = append(said, fmt.Sprintf("So far a batch of the source has %.0f records and takes %s, means of all that are done.",
			s.BatchRecords, roughly(s.BatchTime)))
	}
	return said
}

// roughly is a time in two digits.
func roughly(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 100 {
		unit *= 10
	}
	return d.Round(unit)
}

func rule(c ledger.Cut) string {
	switch c.Rule {
	case ledger.CutOne:
		return "The source is one batch."
	case ledger.CutBatches:
		return fmt.Sprintf("The source is cut into %d batches, as the job asks.", c.Size)
	case ledger.CutRecords:
		return fmt.Sprintf("The source is cut into batches of %d records, as the job asks.", c.Size)
	case ledger.CutBytes:
		return fmt.Sprintf("The source is cut into batches of about %d bytes, as the job asks.", c.Size)
	}
	if c.WholeFiles {
		return "Batches are whole files, as many as measured speed says."
	}
	return "Batches are cut late, by measured speed, and smaller toward the end."
}
