package ledger_test

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
)

var opinions = map[string]ledger.Opinion{
	"unknown": ledger.OpinionUnknown, "alive": ledger.OpinionAlive, "suspect": ledger.OpinionSuspect,
	"dead": ledger.OpinionDead, "left": ledger.OpinionLeft,
}

var standings = [...]string{"nothing", "ready", "cordoned", "draining", "quarantined", "suspected", "away", "unattached"}

var sessions = [...]string{"none", "alive", "silent", "broken"}

var opinionNames = [...]string{"unknown", "alive", "suspect", "dead", "left"}

var refusals = [...]string{"stale", "name taken", "full"}

// fleetEvent makes the event that a command about the fleet stands for, nil for
// other commands.
func (p *play) fleetEvent(a args) ledger.Event {
	switch a.verb {
	case "gossip":
		w, _ := p.worker(a)
		return ledger.Gossiped{Worker: w, Incarnation: uint64(a.num("inc")), Opinion: opinions[a.plain[1]]}
	case "refused":
		w, s := p.worker(a)
		return ledger.WorkerRefused{Worker: w, Session: s}
	case "cordon", "uncordon":
		return ledger.WorkersCordoned{Request: p.ask(), Workers: names(a.plain), Cordoned: a.verb == "cordon"}
	case "empty":
		return ledger.WorkersDrained{Workers: names(a.plain), Within: a.time("within")}
	case "remove":
		return ledger.JobRemoved{Request: p.ask(), Job: p.job(a)}
	case "shelve":
		return ledger.ResultShelved{Job: p.job(a)}
	}
	return nil
}

func names(plain []string) (out []ledger.WorkerID) {
	for _, n := range plain {
		out = append(out, ledger.WorkerID(n))
	}
	return out
}

// quotas are written NAME:LEASES.
func quotas(words []string) map[string]int {
	q := map[string]int{}
	for _, w := range words {
		name, n, _ := strings.Cut(w, ":")
		q[name], _ = strconv.Atoi(n)
	}
	return q
}

// sayWorkers tells how all workers are.
func (p *play) sayWorkers() {
	for _, v := range p.l.Workers(p.at) {
		s := fmt.Sprintf("%s is %s: session %s, gossip %s; %d running, %d waiting, %d done, %d failed",
			v.Name, standings[v.State], sessions[v.Session], opinionNames[v.Gossip], v.Running, v.Waiting, v.Done, v.Failed)
		if v.Cordoned {
			s += ", cordoned"
		}
		if v.Reason != "" {
			s += "; " + v.Reason
		}
		p.said = append(p.said, s)
	}
}

// sayResult tells what there is of a kept result.
func (p *play) sayResult(id ledger.JobID) {
	parts, complete := p.l.Result(id)
	s := "complete:"
	if !complete {
		s = "not complete:"
	}
	for _, x := range parts {
		s += fmt.Sprintf(" %s [%d,%d)", x.Output.ID, x.From, x.To)
	}
	p.said = append(p.said, s)
}

// sayKept tells what is kept of a job.
func (p *play) sayKept(v ledger.JobView) (s string) {
	if v.Stats.Rerun > 0 {
		s += fmt.Sprintf(", %d rerun", v.Stats.Rerun)
	}
	if v.Kept {
		s += fmt.Sprintf(", %d bytes kept", v.ResultBytes)
		if v.Expires > 0 {
			s += fmt.Sprintf(" until %v", time.Duration(v.Expires))
		}
	}
	if v.Shelved {
		s += ", shelved"
	}
	if v.Remake != "" {
		s += fmt.Sprintf(", not made again: %s: %s", v.Remake, v.RemakeFailure)
	}
	return s
}

// sayFleet writes an effect that is about the fleet.
func sayFleet(e ledger.Effect) string {
	switch e := e.(type) {
	case ledger.RefuseSession:
		return fmt.Sprintf("refuse session %d of %s (%s): %s", e.Session, e.Worker, refusals[e.Kind], e.Reason)
	case ledger.LetGo:
		return fmt.Sprintf("let %s go", e.Worker)
	case ledger.DrainWorker:
		return fmt.Sprintf("drain %s within %v", e.Worker, e.Within)
	}
	return ""
}
