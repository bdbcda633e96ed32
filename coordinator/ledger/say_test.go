package ledger_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
)

// say writes an effect as a line of a script; what no script tells is empty.
func (p *play) say(e ledger.Effect) string {
	switch e := e.(type) {
	case ledger.Answer:
		return p.sayAnswer(e)
	case ledger.Attached:
		return fmt.Sprintf("attached %s: keep %s, drop %s", e.Worker, p.fences(e.Keep), p.fences(e.Drop))
	case ledger.RefuseSession, ledger.DrainWorker, ledger.LetGo:
		return sayFleet(e)
	case ledger.CheckSink:
		return fmt.Sprintf("ask %s about the folder of job %d", e.Worker, e.Job)
	case ledger.Grant:
		return p.sayGrant(e)
	case ledger.Revoke:
		if e.IfWaiting {
			return fmt.Sprintf("ask %s of %s back: %s", p.fence(e.Fence), e.Worker, e.Reason)
		}
		return fmt.Sprintf("revoke %s of %s: %s", p.fence(e.Fence), e.Worker, e.Reason)
	case ledger.Ack:
		return fmt.Sprintf("ack %s to %s", p.fence(e.Fence), e.Worker)
	case ledger.Refuse:
		return fmt.Sprintf("refuse %s of %s: %s", p.fence(e.Fence), e.Worker, e.Reason)
	case ledger.DropOutputs:
		return fmt.Sprintf("drop %v of %s", e.Outputs, e.Worker)
	case ledger.OutputReady:
		return p.sayReady(e)
	case ledger.JobEnded:
		return fmt.Sprintf("job %d is %s", e.Job, states[e.State])
	case ledger.EndJob:
		return fmt.Sprintf("job %d is over for workers", e.Job)
	case ledger.WakeAt:
		if p.wakes {
			return fmt.Sprintf("wake at %v", time.Duration(e.At))
		}
	}
	return ""
}

var states = [...]string{"nowhere", "planning", "running", "committing", "done", "failed", "cancelled"}

var codes = [...]string{"ok", "not found", "key taken", "ended", "full", "running"}

var kinds = [...]string{"", "plan", "process", "merge", "commit"}

func (p *play) sayAnswer(e ledger.Answer) string {
	s := fmt.Sprintf("answer: job %d, %s", e.Job, codes[e.Code])
	if e.Existed {
		s += ", it existed"
	}
	return s
}

func (p *play) sayReady(e ledger.OutputReady) string {
	var s strings.Builder
	fmt.Fprintf(&s, "result of job %d:", e.Job)
	if e.Restart {
		s.WriteString(" again from the last consumed:")
	}
	for _, o := range e.Outputs {
		fmt.Fprintf(&s, " %s", o.ID)
	}
	if e.Last {
		s.WriteString(" and that is all")
	}
	return s.String()
}

func (p *play) sayGrant(e ledger.Grant) string {
	x := e.Lease
	name := p.fence(x.Fence)
	p.leases[name] = x
	p.leases[name[:strings.Index(name, "#")]] = x
	s := fmt.Sprintf("grant %s to %s: %s", name, e.Worker, kinds[x.Kind])
	if x.Kind == ledger.LeaseProcess || x.Kind == ledger.LeaseMerge {
		s += fmt.Sprintf(" stage %d [%d,%d)", x.Stage, x.From, x.To)
	}
	if n := len(x.Splits); n > 1 {
		s += fmt.Sprintf(" of files %d to %d", x.Splits[0].Fragment, x.Splits[n-1].Fragment)
	}
	if len(x.Inputs) > 0 {
		s += " of"
		for _, o := range x.Inputs {
			s += fmt.Sprintf(" %s", o.ID)
		}
	}
	if x.MaySkip > 0 {
		s += fmt.Sprintf(", may skip %d", x.MaySkip)
	}
	if x.Alone {
		s += ", alone"
	}
	return s
}

func (p *play) fence(f ledger.Fence) string {
	s := fmt.Sprintf("%d/%d#%d", f.Job, f.Batch, f.Attempt)
	if f.Term != 1 {
		s += fmt.Sprintf("@%d", f.Term)
	}
	return s
}

func (p *play) fences(list []ledger.Fence) string {
	if len(list) == 0 {
		return "none"
	}
	var s []string
	for _, f := range list {
		s = append(s, p.fence(f))
	}
	return strings.Join(s, " ")
}

// describe tells how a job is.
func (p *play) describe(id ledger.JobID) string {
	v, ok := p.l.Job(id, p.at)
	if !ok {
		return "there is no such job"
	}
	c := v.Stats.Counters
	s := fmt.Sprintf("%s: %d batches done, %d running, %d of %d positions, %d records in, %d out, %d retries",
		states[v.State], v.Stats.BatchesDone, v.Stats.BatchesRunning, v.Stats.PositionsDone, v.Stats.PositionsTotal,
		c.RecordsIn, c.RecordsOut, v.Stats.Retries)
	if c.RecordsSkipped > 0 {
		s += fmt.Sprintf(", %d skipped", c.RecordsSkipped)
	}
	if v.Stats.Merges > 0 {
		s += fmt.Sprintf(", %d merges", v.Stats.Merges)
	}
	if v.Stats.Wasted > 0 {
		s += fmt.Sprintf(", %d wasted", v.Stats.Wasted)
	}
	s += p.sayKept(v)
	if v.Paused {
		s += ", paused"
	}
	if v.Reason != "" || len(v.Failure) > 0 {
		s += fmt.Sprintf("; %s: %s", v.Reason, v.Failure)
	}
	return s
}
