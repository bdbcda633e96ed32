package ledger_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/coordinator/journal"
	"github.com/millrace/millrace/coordinator/ledger"
)

// play acts a script out: it is the workers, the clients and the log.
type play struct {
	t       *testing.T
	cfg     ledger.Config
	log     *journal.Memory
	l       *ledger.Ledger
	term    ledger.Term
	at      ledger.Time
	seed    uint64
	leases  map[string]*ledger.Lease // by how they are written, the last also without its attempt
	session map[ledger.WorkerID]ledger.SessionID
	asked   ledger.RequestID
	said    []string
	wakes   bool // tell them
}

func newPlay(t *testing.T) *play {
	p := &play{
		t: t, cfg: ledger.DefaultConfig(), log: journal.NewMemory(), term: 1,
		leases: map[string]*ledger.Lease{}, session: map[ledger.WorkerID]ledger.SessionID{},
	}
	p.cfg.StandStill = 0 // scripts leave out ticks
	p.l = ledger.New(p.cfg, ledger.NewState(), p.term, 0)
	return p
}

// args is a command with its arguments: those without a name, and the others.
type args struct {
	verb  string
	plain []string
	named map[string]string
}

func parse(words []string) args {
	a := args{verb: words[0], named: map[string]string{}}
	for _, w := range words[1:] {
		if name, value, ok := strings.Cut(w, "="); ok {
			a.named[name] = value
		} else {
			a.plain = append(a.plain, w)
		}
	}
	return a
}

func (a args) num(name string) int64 {
	n, _ := strconv.ParseInt(a.named[name], 10, 64)
	return n
}

func (a args) time(name string) time.Duration {
	d, _ := time.ParseDuration(a.named[name])
	return d
}

func (a args) list(name string) []string {
	if a.named[name] == "" {
		return nil
	}
	return strings.Split(a.named[name], ",")
}

// play does one line, and returns what the ledger did.
func (p *play) play(line string) []string {
	words := strings.Fields(line)
	d, err := time.ParseDuration(words[0])
	if err != nil {
		p.t.Fatalf("%q: %v", line, err)
	}
	p.at = max(p.at, ledger.Time(d))
	p.said = nil
	a := parse(words[1:])
	if !p.direct(a) {
		p.step(p.event(a))
	}
	return p.said
}

// direct does commands that are no events.
func (p *play) direct(a args) bool {
	switch a.verb {
	case "config":
		p.configure(a)
	case "dead": // its session broke, and its address refuses
		w, s := p.worker(a)
		p.step(ledger.SessionLost{Worker: w, Session: s})
		p.step(ledger.WorkerRefused{Worker: w, Session: s})
	case "wakes":
		p.wakes = true
	case "restart":
		p.restart()
	case "hold":
		p.log.Hold()
	case "commit":
		p.log.Release(1 << 30)
		p.commit()
	case "explain":
		for _, w := range p.l.Explain(p.job(a), p.at) {
			p.said = append(p.said, w.String())
		}
	case "workers":
		p.sayWorkers()
	case "result":
		p.sayResult(p.job(a))
	case "job":
		p.said = append(p.said, p.describe(p.job(a)))
	default:
		return false
	}
	return true
}

func (p *play) configure(a args) {
	for name := range a.named {
		switch name {
		case "target":
			p.cfg.TargetLease = a.time(name)
		case "min":
			p.cfg.MinBatchBytes = a.num(name)
		case "first":
			p.cfg.FirstBatchBytes = a.num(name)
		case "fanin":
			p.cfg.MergeFanIn = int(a.num(name))
		case "window":
			p.cfg.ResultWindow = int(a.num(name))
		case "unread":
			p.cfg.UnreadBytes = a.num(name)
		case "alone":
			p.cfg.AloneBytes = a.num(name)
		case "quota":
			p.cfg.Quotas = quotas(a.list(name))
		case "others":
			p.cfg.DefaultQuota = int(a.num(name))
		case "lone":
			p.cfg.LoneWorker = true
		case "still":
			p.cfg.StandStill = a.time(name)
		case "bytes":
			p.cfg.KeepBytes = a.num(name)
		case "keep":
			p.cfg.KeepJobs = int(a.num(name))
		default:
			p.t.Fatalf("config knows no %s", name)
		}
	}
	p.l = ledger.New(p.cfg, ledger.NewState(), p.term, p.at)
}

// restart begins a new term over what the log has kept.
func (p *play) restart() {
	p.log.Lose()
	snapshot, facts, err := p.log.Restore()
	if err != nil {
		p.t.Fatal(err)
	}
	state, err := ledger.Restore(snapshot, facts...)
	if err != nil {
		p.t.Fatal(err)
	}
	again, err := ledger.Restore(state.Encode())
	if err != nil {
		p.t.Fatal(err)
	}
	p.term++
	p.l = ledger.New(p.cfg, again, p.term, p.at)
}

func (p *play) step(e ledger.Event) {
	p.seed++
	for _, x := range p.l.Step(p.at, p.seed, e) {
		if a, ok := x.(ledger.Append); ok {
			if err := p.log.Append(a.Facts); err != nil {
				p.t.Fatal(err)
			}
		}
		if s := p.say(x); s != "" {
			p.said = append(p.said, s)
		}
	}
	p.commit()
}

func (p *play) commit() {
	if facts := p.log.Committed(); len(facts) > 0 {
		p.step(ledger.Committed{Facts: facts})
	}
}

func (p *play) job(a args) ledger.JobID {
	n, err := strconv.ParseUint(a.plain[0], 10, 64)
	if err != nil {
		p.t.Fatalf("%s %v: %v", a.verb, a.plain, err)
	}
	return ledger.JobID(n)
}

func (p *play) worker(a args) (ledger.WorkerID, ledger.SessionID) {
	w := ledger.WorkerID(a.plain[0])
	return w, p.session[w]
}

func (p *play) lease(name string) *ledger.Lease {
	x := p.leases[name]
	if x == nil {
		p.t.Fatalf("no lease %s was granted", name)
	}
	return x
}

// event makes the event that a command stands for.
func (p *play) event(a args) ledger.Event {
	switch a.verb {
	case "submit":
		return p.submitted(a)
	case "cancel":
		return ledger.JobCancelled{Request: p.ask(), Job: p.job(a), Reason: a.named["reason"]}
	case "pause":
		return ledger.JobPaused{Request: p.ask(), Job: p.job(a)}
	case "resume":
		return ledger.JobResumed{Request: p.ask(), Job: p.job(a)}
	case "read":
		return ledger.ResultRequested{Job: p.job(a)}
	case "leave":
		return ledger.ReaderGone{Job: p.job(a)}
	case "consume":
		return ledger.ResultConsumed{Job: p.job(a), Output: ledger.OutputID(a.plain[1])}
	case "lost":
		return ledger.OutputLost{Outputs: ids(a.plain)}
	case "tick":
		return ledger.Ticked{}
	}
	if e := p.fleetEvent(a); e != nil {
		return e
	}
	return p.workerEvent(a)
}

func ids(names []string) (out []ledger.OutputID) {
	for _, n := range names {
		out = append(out, ledger.OutputID(n))
	}
	return out
}

func (p *play) workerEvent(a args) ledger.Event {
	w, s := p.worker(a)
	switch a.verb {
	case "attach":
		return p.attached(a)
	case "credit":
		n, _ := strconv.Atoi(a.plain[1])
		bytes := int64(1 << 40)
		if _, given := a.named["bytes"]; given {
			bytes = a.num("bytes")
		}
		return ledger.CreditGranted{Worker: w, Session: s, Batches: uint32(n), Bytes: bytes}
	case "beat":
		e := ledger.Heartbeat{Worker: w, Session: s, Sequence: p.seed}
		for _, name := range a.list("runs") {
			e.Progress = append(e.Progress, ledger.Progress{Fence: p.lease(name).Fence})
		}
		return e
	case "silent":
		return ledger.SessionLost{Worker: w, Session: s}
	case "sees", "unseen", "unserved": // the folder of a job
		view := map[string]ledger.SinkView{"sees": ledger.SinkSeen, "unseen": ledger.SinkUnseen, "unserved": ledger.SinkUnserved}[a.verb]
		n, _ := strconv.Atoi(a.plain[1])
		return ledger.SinkChecked{Worker: w, Session: s, Job: ledger.JobID(n), View: view, Reason: "no marker in /out"}
	case "drain":
		return ledger.WorkerDraining{Worker: w, Session: s}
	}
	return ledger.OutcomeReported{Worker: w, Session: s, Outcome: p.outcome(a, a.plain[1])}
}

func (p *play) ask() ledger.RequestID {
	p.asked++
	return p.asked
}

func labels(words []string) (out []ledger.Label) {
	for _, w := range words {
		key, value, _ := strings.Cut(w, ":")
		out = append(out, ledger.Label{Key: key, Value: value})
	}
	return out
}

func (p *play) submitted(a args) ledger.Event {
	weight, _ := strconv.ParseFloat(a.named["weight"], 64)
	return ledger.JobSubmitted{
		Request: p.ask(), Key: a.named["key"], Spec: []byte(a.named["spec"]), PlanOnly: slices.Contains(a.plain, "plan-only"),
		Settings: ledger.Settings{
			Priority: int32(a.num("priority")), Weight: weight, Delay: a.time("delay"), Deadline: a.time("deadline"),
			MaxAttempts: uint32(a.num("attempts")), RetryBudget: uint64(a.num("budget")), SkipLimit: uint64(a.num("skips")),
			MaxConcurrency: uint32(a.num("limit")), MaxSpoolBytes: a.num("spool"), Labels: labels(a.list("labels")), PlanRequires: a.list("requires"),
			User: a.named["user"], Keep: slices.Contains(a.plain, "keep"), KeepFor: a.time("for"),
		},
	}
}

func (p *play) attached(a args) ledger.Event {
	w, _ := p.worker(a)
	p.session[w]++
	if a.named["as"] != "" {
		p.session[w] = ledger.SessionID(a.num("as")) // from now on
	}
	session := p.session[w]
	if a.named["session"] != "" {
		session = ledger.SessionID(a.num("session"))
	}
	e := ledger.WorkerAttached{
		Worker: w, Session: session, Incarnation: uint64(a.num("inc")), Slots: int(max(a.num("slots"), 1)),
		Labels: labels(a.list("labels")), Processors: a.list("processors"), Outputs: ids(a.list("outputs")),
	}
	for _, name := range a.list("runs") {
		e.Leases = append(e.Leases, ledger.HeldLease{Lease: *p.lease(name), Started: true})
	}
	for _, name := range a.list("waits") {
		e.Leases = append(e.Leases, ledger.HeldLease{Lease: *p.lease(name)})
	}
	for _, name := range a.list("done") {
		o := p.outcome(args{verb: "done", named: a.named}, name)
		o.Granted = p.lease(name)
		e.Outcomes = append(e.Outcomes, o)
	}
	return e
}

var classes = map[string]ledger.OutcomeClass{
	"plan": ledger.OutcomeDone, "done": ledger.OutcomeDone, "skip": ledger.OutcomeDoneWithSkips,
	"retryable": ledger.OutcomeRetryable, "fatal": ledger.OutcomeFatal, "memory": ledger.OutcomeKilledMemory,
	"missing": ledger.OutcomeMissing, "noroom": ledger.OutcomeNoRoom, "gone": ledger.OutcomeInputGone, "unable": ledger.OutcomeUnable, "return": ledger.OutcomeReturned, "stopped": ledger.OutcomeCancelled,
}

func (p *play) outcome(a args, lease string) ledger.Outcome {
	class, known := classes[a.verb]
	if !known {
		p.t.Fatalf("no command %s", a.verb)
	}
	x := p.lease(lease)
	records := int64(x.To - x.From)
	if a.named["records"] != "" {
		records = a.num("records")
	}
	o := ledger.Outcome{
		Fence: x.Fence, Class: class, Elapsed: a.time("took"), Failure: []byte(a.named["why"]), Reason: a.named["why"],
		Counters: ledger.Counters{RecordsIn: records, RecordsOut: records, RecordsSkipped: a.num("skipped")},
	}
	if id := a.named["output"]; id != "" {
		o.Output = ledger.Output{ID: ledger.OutputID(id), Kind: ledger.OutputBytes, Bytes: max(a.num("bytes"), 1)}
		o.Counters.BytesOut = o.Output.Bytes
	}
	for _, id := range ids(a.list("outputs")) {
		o.Missing = append(o.Missing, ledger.Missing{Output: id, Gone: slices.Contains(a.plain, "gone")})
	}
	if a.verb == "plan" {
		o.Plan = p.plan(a)
		o.Counters = ledger.Counters{}
	}
	return o
}

// plan makes a plan of fragments=EXTENT[w][:CUT…] and stages=late, one,
// batches:N, records:N, bytes:N, collect; a stage ends in + when its outputs may
// be merged, in ! when they are files, and in ^N when the first N records of
// its outputs are enough.
func (p *play) plan(a args) *ledger.Plan {
	plan := &ledger.Plan{}
	for _, word := range a.list("fragments") {
		parts := strings.Split(word, ":")
		size, whole := strings.CutSuffix(parts[0], "w")
		extent, _ := strconv.ParseInt(size, 10, 64)
		f := ledger.Fragment{Unit: ledger.UnitBytes, Extent: extent, SizeBytes: extent, Whole: whole}
		for _, c := range parts[1:] {
			at, _ := strconv.ParseInt(c, 10, 64)
			f.Cuts = append(f.Cuts, at)
		}
		plan.Fragments = append(plan.Fragments, f)
	}
	for i, word := range a.list("stages") {
		name, merge := strings.CutSuffix(word, "+")
		name, file := strings.CutSuffix(name, "!")
		name, prefix, limited := strings.Cut(name, "^")
		rule, size, _ := strings.Cut(name, ":")
		n, _ := strconv.ParseInt(size, 10, 64)
		s := ledger.Stage{Name: fmt.Sprintf("s%d", i), Input: ledger.InputSource, Output: ledger.OutputBytes, Mergeable: merge, Requires: a.list("requires")}
		s.Cut = ledger.Cut{Rule: rules[rule], Size: n, MaxFiles: uint32(a.num("files"))}
		if rule == "collect" {
			s.Input = ledger.InputCollect
		}
		if limited {
			n, _ := strconv.ParseInt(prefix, 10, 64)
			s.PrefixLimit = &n
		}
		if file {
			s.Output = ledger.OutputFile
		}
		plan.Stages = append(plan.Stages, s)
	}
	return plan
}

var rules = map[string]ledger.CutRule{
	"late": ledger.CutLate, "one": ledger.CutOne, "batches": ledger.CutBatches,
	"records": ledger.CutRecords, "bytes": ledger.CutBytes,
}
