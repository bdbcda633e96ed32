package coordinator

import "github.com/millrace/millrace/coordinator/ledger"

// maxGraves is of how many forgotten jobs it is remembered why they were.
const maxGraves = 10_000

// graves say why jobs were forgotten, the latest ones: whoever asks for one of
// them late is told more than that it is not there.
type graves struct {
	reasons map[ledger.JobID]string
	order   []ledger.JobID // a ring, once it is full
	next    int
}

// bury remembers why a job was forgotten.
func (g *graves) bury(id ledger.JobID, why string) {
	if g.reasons == nil {
		g.reasons = make(map[ledger.JobID]string)
	}
	g.reasons[id] = why
	if len(g.order) < maxGraves {
		g.order = append(g.order, id)
		return
	}
	delete(g.reasons, g.order[g.next])
	g.order[g.next] = id
	g.next = (g.next + 1) % maxGraves
}

// why is empty for a job of which nothing is remembered.
func (g *graves) why(id ledger.JobID) string { return g.reasons[id] }
