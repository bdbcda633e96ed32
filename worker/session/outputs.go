package session

import (
	"cmp"
	"slices"
)

// outputs are what lies in the spool.
type outputs struct {
	byID  map[OutputID]Output
	byJob map[JobID]map[OutputID]struct{}
}

func newOutputs(left []Output) outputs {
	o := outputs{byID: map[OutputID]Output{}, byJob: map[JobID]map[OutputID]struct{}{}}
	for _, output := range left {
		o.add(output)
	}
	return o
}

func (o *outputs) add(output Output) {
	o.byID[output.ID] = output
	of := o.byJob[output.Job]
	if of == nil {
		of = map[OutputID]struct{}{}
		o.byJob[output.Job] = of
	}
	of[output.ID] = struct{}{}
}

func (o *outputs) drop(id OutputID) {
	job := o.byID[id].Job
	delete(o.byID, id)
	of := o.byJob[job]
	delete(of, id)
	if len(of) == 0 {
		delete(o.byJob, job)
	}
}

func (o *outputs) dropJob(job JobID) {
	for id := range o.byJob[job] {
		delete(o.byID, id)
	}
	delete(o.byJob, job)
}

// inventory lists them by job and name.
func (o *outputs) inventory() []Output {
	all := make([]Output, 0, len(o.byID))
	for _, output := range o.byID {
		all = append(all, output)
	}
	slices.SortFunc(all, func(a, b Output) int {
		return cmp.Or(cmp.Compare(a.Job, b.Job), cmp.Compare(a.ID, b.ID))
	})
	return all
}

func (m *Machine) dropOutput(id OutputID) {
	m.outputs.drop(id)
	m.do(DropOutput{id})
}
