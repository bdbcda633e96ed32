package ledger

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// class is all workers that can run the same, of the jobs that there are. Labels
// that no job asks for make no difference: or each worker of a large fleet, with
// its host's name for a label, would be a class of its own.
type class struct {
	labels     []Label // that jobs ask for
	processors []string
	hungry     [hungers]list[*worker]
	over       list[*worker] // they have leases that wait for a slot
	slots      int
	workers    int  // attached
	able       int  // of them, may be given leases
	dry        bool // there is nothing for them, as far as was looked in this step
}

// classOf returns the class of a worker. Classes are few, and attaching is rare.
func (l *Ledger) classOf(w *worker) *class {
	var labels []Label
	for _, asked := range l.labels {
		if slices.Contains(w.labels, asked) {
			labels = append(labels, asked)
		}
	}
	for _, c := range l.classes {
		if slices.Equal(c.labels, labels) && slices.Equal(c.processors, w.processors) {
			return c
		}
	}
	l.forgetClasses()
	c := &class{labels: labels, processors: w.processors}
	l.classes = append(l.classes, c)
	return c
}

// askFor has labels tell workers apart, once a job asks for them. Those that no
// job asks for any more are forgotten then.
func (l *Ledger) askFor(wanted []Label) {
	if !slices.ContainsFunc(wanted, func(x Label) bool { return !slices.Contains(l.labels, x) }) {
		return
	}
	l.labels = nil
	for _, r := range l.runs {
		l.labels = append(l.labels, r.job.settings.Labels...)
	}
	slices.SortFunc(l.labels, func(a, b Label) int { return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value, b.Value)) })
	l.labels = slices.Compact(l.labels)
	l.regroup()
}

// regroup finds the class of every worker anew.
func (l *Ledger) regroup() {
	for _, id := range slices.Sorted(maps.Keys(l.workers)) {
		w := l.workers[id]
		if w.class == nil {
			continue
		}
		w.hungry.leave()
		w.over.leave()
		if w.attached {
			l.join(w, -1)
		}
		w.class = l.classOf(w)
		if w.attached {
			l.join(w, +1)
		}
		l.seat(w)
	}
}

// forgetClasses forgets classes without workers.
func (l *Ledger) forgetClasses() {
	n := len(l.classes)
	l.classes = slices.DeleteFunc(l.classes, func(c *class) bool { return c.workers == 0 })
	if len(l.classes) == n {
		return
	}
	for _, r := range l.runs {
		r.planning.allowed, r.commit.allowed = nil, nil
		for i := range r.stages {
			r.stages[i].allowed = nil
		}
	}
}

// lacks returns the label or processor that a class lacks for a stage of a
// job, empty when it can run it.
func (c *class) lacks(r *run, k *work) (label Label, processor string, ok bool) {
	for _, want := range r.job.settings.Labels {
		if !slices.Contains(c.labels, want) {
			return want, "", false
		}
	}
	requires := r.job.settings.PlanRequires
	if k.index == commitStage {
		requires = nil
	} else if k.plan != nil {
		requires = k.plan.Requires
	}
	for _, want := range requires {
		if !c.has(want) {
			return Label{}, want, false
		}
	}
	return Label{}, "", true
}

// Processors that stand for programs.
const (
	program    = "command:"
	anyProgram = program + "*"
)

// has says whether a class has a processor. Who may run any program may run
// each.
func (c *class) has(processor string) bool {
	_, found := slices.BinarySearch(c.processors, processor)
	if !found && strings.HasPrefix(processor, program) {
		_, found = slices.BinarySearch(c.processors, anyProgram)
	}
	return found
}

// allows says whether a class can run a stage.
func (l *Ledger) allows(r *run, k *work, c *class) bool {
	can, known := k.allowed[c]
	if !known {
		if k.allowed == nil {
			k.allowed = map[*class]bool{}
		}
		_, _, can = c.lacks(r, k)
		k.allowed[c] = can
	}
	return can
}

// slotsFor returns how many slots there are for a stage, at least 1.
func (l *Ledger) slotsFor(r *run, k *work) int {
	slots := l.allSlots(r, k)
	if limit := int(r.job.settings.MaxConcurrency); limit > 0 {
		slots = min(slots, limit)
	}
	return max(slots, 1)
}

// allSlots returns the same without the job's limit; it may be 0.
func (l *Ledger) allSlots(r *run, k *work) int {
	if k.fleet != l.fleet {
		k.fleet, k.slots = l.fleet, 0
		for _, c := range l.classes {
			if l.allows(r, k, c) {
				k.slots += c.slots
			}
		}
		for id := range k.bars {
			if w := l.workers[id]; w != nil && k.bar(w) != nil && w.able() && l.allows(r, k, w.class) {
				k.slots -= w.slots
			}
		}
	}
	return k.slots
}
