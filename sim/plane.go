package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/worker/session"
)

// plane is the data plane that is only pretended: an output is the positions
// of the source whose records it holds, and what an attempt comes to depends
// on the positions that it covers and on its fence, on nothing else.
type plane struct {
	w        *world
	contents map[ledger.OutputID]*content
	order    []ledger.OutputID // in the order in which they were made
	moved    map[*jobDef]spans
}

// content is an output.
type content struct {
	id     ledger.OutputID
	job    ledger.JobID
	holder *worker
	kind   ledger.OutputKind
	spans  spans
	gone   bool
}

func newPlane(w *world) *plane {
	return &plane{w: w, contents: map[ledger.OutputID]*content{}, moved: map[*jobDef]spans{}}
}

// inventory is what lies in a worker's spool.
func (p *plane) inventory(k *worker) []session.Output {
	var all []session.Output
	for _, id := range p.order {
		if c := p.contents[id]; c.holder == k && !c.gone {
			all = append(all, session.Output{ID: session.OutputID(id), Job: session.JobID(c.job)})
		}
	}
	return all
}

func (p *plane) drop(k *worker, id ledger.OutputID) {
	if c := p.contents[id]; c != nil && c.holder == k {
		c.gone = true
	}
}

func (p *plane) dropJob(k *worker, job ledger.JobID) {
	for _, id := range p.order {
		if c := p.contents[id]; c.holder == k && c.job == job {
			c.gone = true
		}
	}
}

// burn loses a spool. Files of a sink lie elsewhere.
func (p *plane) burn(k *worker) {
	for _, id := range p.order {
		if c := p.contents[id]; c.holder == k && c.kind != ledger.OutputFile {
			c.gone = true
		}
	}
}

// left is how many outputs still lie in a spool.
func (p *plane) left(k *worker) int { return len(p.inventory(k)) }

// duration is how long an attempt takes.
func (p *plane) duration(k *worker, lease *ledger.Lease) time.Duration {
	work := float64(lease.To - lease.From)
	switch lease.Kind {
	case ledger.LeasePlan, ledger.LeaseCommit:
		work = 5
	case ledger.LeaseMerge:
		work /= 20
	case ledger.LeaseProcess:
		if len(lease.Inputs) > 0 {
			work = 20
		}
	}
	d := time.Duration(work / k.speed * float64(time.Second))
	if p.w.faulty && p.w.chance(0.02) {
		d *= time.Duration(p.w.pick(2, 10)) // a straggler
	}
	d = p.w.between(d*3/4, d*5/4) + 2*time.Millisecond
	if lease.Timeout > 0 {
		d = min(d, max(lease.Timeout*9/10, d/4))
	}
	return d
}

// compute is what an attempt comes to.
func (p *plane) compute(k *worker, t *task) (session.Class, *result) {
	j, lease := t.def, t.lease
	if j.lacks(k, lease) {
		return unable, &result{failure: []byte("a program is not here")}
	}
	if !j.sees(k, lease) {
		return session.InputGone, &result{failure: []byte("a file is not here")}
	}
	if class := j.trouble(k, lease); class != session.None {
		return class, &result{failure: []byte("trouble")}
	}
	switch lease.Kind {
	case ledger.LeasePlan:
		return session.Done, &result{plan: j.plan}
	case ledger.LeaseCommit:
		return p.commit(j, lease)
	}
	if len(lease.Splits) > 0 {
		return p.process(k, j, lease)
	}
	return p.gather(k, t)
}

// process reads the source.
func (p *plane) process(k *worker, j *jobDef, lease *ledger.Lease) (session.Class, *result) {
	r := &result{}
	var out spans
	for _, s := range lease.Splits {
		base := j.bases[s.Fragment]
		for at := base + s.From; at < base+s.To; at++ {
			r.counters.RecordsIn++
			if j.bad(at) {
				r.counters.RecordsSkipped++
				continue
			}
			out = out.add(span{at, at + 1})
		}
	}
	if uint64(r.counters.RecordsSkipped) > lease.MaySkip {
		return session.Fatal, &result{failure: []byte("too many bad records")}
	}
	r.counters.BytesIn = 10 * r.counters.RecordsIn
	if class := p.put(k, j, lease, out, r); class != session.Done {
		return class, r
	}
	if r.counters.RecordsSkipped > 0 {
		return session.DoneWithSkips, r
	}
	return session.Done, r
}

// gather reads outputs, wherever they lie.
func (p *plane) gather(k *worker, t *task) (session.Class, *result) {
	r := &result{}
	var out spans
	for i, input := range t.lease.Inputs {
		switch p.fetch(k, t.holders[i], input) {
		case had:
			out = out.join(p.contents[input.ID].spans)
		case absent:
			r.missing = append(r.missing, ledger.Missing{Output: input.ID, Gone: true})
		case unreachable:
			r.missing = append(r.missing, ledger.Missing{Output: input.ID})
		}
	}
	if len(r.missing) > 0 {
		return outputMissing, r
	}
	r.counters.RecordsIn = out.len()
	r.counters.BytesIn = 10 * out.len()
	return p.put(k, t.def, t.lease, out, r), r
}

// fetched is what comes of asking for an output.
type fetched int

const (
	had         fetched = iota
	absent              // its holder says that it does not have it
	unreachable         // nobody answers
)

// fetch asks for an output where the coordinator has said that it is.
func (p *plane) fetch(k, holder *worker, out ledger.Output) fetched {
	c := p.contents[out.ID]
	switch {
	case out.Kind == ledger.OutputFile || holder == k:
	case holder == nil || !p.w.reaches(k, holder):
		return unreachable
	}
	if c == nil || c.gone || c.holder != holder && c.kind != ledger.OutputFile {
		return absent
	}
	return had
}

// put makes an output of what an attempt came to, if there is room for it;
// nothing makes none.
func (p *plane) put(k *worker, j *jobDef, lease *ledger.Lease, out spans, r *result) session.Class {
	out = out.first(j.limit)
	r.counters.RecordsOut = out.len()
	r.counters.BytesOut = 10 * out.len()
	kind := j.plan.Stages[lease.Stage].Output
	if len(out) == 0 || kind == ledger.OutputNone {
		return session.Done
	}
	if class := p.room(k, lease.Fence.Job, kind, r.counters.BytesOut); class != session.Done {
		r.failure = []byte("the spool is full")
		return class
	}
	k.made++
	id := ledger.OutputID(fmt.Sprintf("%s-%d-%d", k.name, k.incarnation, k.made))
	r.output = ledger.Output{ID: id, Worker: k.id(), Kind: kind, Bytes: r.counters.BytesOut, Records: out.len()}
	p.contents[id] = &content{id: id, job: lease.Fence.Job, holder: k, kind: kind, spans: slices.Clone(out)}
	p.order = append(p.order, id)
	return session.Done
}

// commit moves the files of a sink in place. It can be done again.
func (p *plane) commit(j *jobDef, lease *ledger.Lease) (session.Class, *result) {
	var all spans
	for _, input := range lease.Inputs {
		c := p.contents[input.ID]
		if c == nil || c.kind != ledger.OutputFile || c.gone {
			return session.InputGone, &result{failure: []byte("a file is gone: " + string(input.ID))}
		}
		all = all.join(c.spans)
	}
	p.moved[j] = all
	return session.Done, &result{}
}
