package session

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the scripts in testdata")

// TestScripts acts out testdata/*.txt. A line that begins with a number is an
// event at that second; lines that begin with > are the effects it had.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			old, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := act(t, string(old))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if !bytes.Equal([]byte(got), old) {
				t.Errorf("the story has changed; see the difference with -update. Now:\n%s", got)
			}
		})
	}
}

// act plays a script and returns it with the effects that it had.
func act(t *testing.T, script string) string {
	var out strings.Builder
	var m *Machine
	for line := range strings.Lines(script) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, ">") {
			continue
		}
		fmt.Fprintln(&out, line)
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		if words[0] == "config" {
			m = New(configOf(t, words[1:]))
			continue
		}
		seconds, err := strconv.ParseFloat(words[0], 64)
		if err != nil {
			t.Fatalf("%q: begin with the second", line)
		}
		at := Time(seconds * float64(time.Second))
		for _, e := range m.Step(at, 1, eventOf(t, m, words[1:])) {
			fmt.Fprintf(&out, "> %s\n", told(e))
		}
	}
	return out.String()
}

// options splits name=value words.
func options(words []string) map[string]string {
	o := map[string]string{}
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		o[name] = value
	}
	return o
}

func number(t *testing.T, s string) int64 {
	if s == "" {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatalf("%q is no number", s)
	}
	return n
}

func configOf(t *testing.T, words []string) Config {
	o := options(words)
	c := Config{Slots: int(number(t, o["slots"])), Bytes: number(t, o["bytes"]),
		MaxPrefetch: int(number(t, o["prefetch"])), MaxUnacknowledged: int(number(t, o["unacknowledged"]))}
	for id := range strings.SplitSeq(o["outputs"], ",") {
		if id != "" {
			c.Outputs = append(c.Outputs, Output{ID: OutputID(id), Job: 1})
		}
	}
	return c
}

// fenceOf reads job/batch#attempt@term; the last two are 1 when left out.
func fenceOf(t *testing.T, s string) Fence {
	s, term, _ := strings.Cut(s, "@")
	s, attempt, _ := strings.Cut(s, "#")
	job, batch, _ := strings.Cut(s, "/")
	f := Fence{Job: JobID(number(t, job)), Batch: BatchID(number(t, batch)), Attempt: 1, Term: 1}
	if attempt != "" {
		f.Attempt = uint32(number(t, attempt))
	}
	if term != "" {
		f.Term = Term(number(t, term))
	}
	return f
}

func fencesOf(t *testing.T, s string) []Fence {
	var all []Fence
	for f := range strings.SplitSeq(s, ",") {
		if f != "" {
			all = append(all, fenceOf(t, f))
		}
	}
	return all
}

func eventOf(t *testing.T, m *Machine, words []string) Event {
	switch words[0] {
	case "tick":
		return Ticked{}
	case "opened":
		return Opened{Number(number(t, words[1]))}
	case "refused":
		return Refused{Session: Number(number(t, words[1])), Final: len(words) > 2}
	case "broken":
		return Broken{Number(number(t, words[1]))}
	case "drain":
		return DrainAsked{Within: time.Duration(number(t, words[1])) * time.Second}
	case "finished":
		return finishedOf(t, words[1:])
	case "say":
		return Received{m.Session(), responseOf(t, words[1:])}
	}
	t.Fatalf("%q is no event", words[0])
	return nil
}

func finishedOf(t *testing.T, words []string) Event {
	o := Outcome{Fence: fenceOf(t, words[0])}
	for c, name := range classNames {
		if name == words[1] {
			o.Class = Class(c)
		}
	}
	if len(words) > 2 {
		o.Output = Output{ID: OutputID(words[2]), Job: o.Fence.Job}
	}
	return Finished{o}
}

// responseOf reads what the coordinator says: words with values after =.
func responseOf(t *testing.T, words []string) Response {
	var r Response
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "attached":
			r.Attached = &Attached{Term: 1, Lease: 10 * time.Second, Heartbeat: time.Second, Keep: fencesOf(t, value)}
		case "grant", "grant-alone", "grant-timeout":
			for _, f := range fencesOf(t, value) {
				lease := Lease{Fence: f, Bytes: 100, Alone: name == "grant-alone"}
				if name == "grant-timeout" {
					lease.Timeout = 3 * time.Second
				}
				r.Grants = append(r.Grants, lease)
			}
		case "ack", "stale":
			for _, f := range fencesOf(t, value) {
				r.Acks = append(r.Acks, Ack{f, name == "stale"})
			}
		case "revoke", "revoke-if-waiting":
			for _, f := range fencesOf(t, value) {
				r.Revokes = append(r.Revokes, Revoke{f, name == "revoke-if-waiting"})
			}
		case "heard":
			r.Heartbeat = uint64(number(t, value))
		case "drop-output":
			r.DropOutputs = append(r.DropOutputs, OutputID(value))
		case "drain":
			r.Drain, r.DrainWithin = true, time.Duration(number(t, value))*time.Second
		case "leave":
			r.Leave = true
		case "ended":
			r.EndedJobs = append(r.EndedJobs, JobID(number(t, value)))
		default:
			t.Fatalf("%q is nothing that a coordinator says", w)
		}
	}
	return r
}

func fenceText(f Fence) string {
	s := fmt.Sprintf("%d/%d", f.Job, f.Batch)
	if f.Attempt != 1 {
		s += fmt.Sprintf("#%d", f.Attempt)
	}
	if f.Term != 1 {
		s += fmt.Sprintf("@%d", f.Term)
	}
	return s
}

// told writes an effect as scripts do.
func told(e Effect) string {
	switch e := e.(type) {
	case Connect:
		return fmt.Sprintf("connect %d", e.Session)
	case Send:
		return fmt.Sprintf("send %d:%s", e.Session, messageText(e.Message))
	case SendHeartbeat:
		return fmt.Sprintf("heartbeat %d: %d", e.Session, e.Sequence)
	case Start:
		return "start " + fenceText(e.Lease.Fence)
	case Kill:
		return fmt.Sprintf("kill %s: %s", fenceText(e.Fence), e.Why)
	case Suspend:
		return "suspend " + fenceText(e.Fence)
	case Resume:
		return "resume " + fenceText(e.Fence)
	case DropOutput:
		return "drop-output " + string(e.ID)
	case EndJob:
		return fmt.Sprintf("end-job %d", e.Job)
	case Leave:
		return "leave"
	case GiveUp:
		return "give up"
	case WakeAt:
		return fmt.Sprintf("wake at %.3g", float64(e.At)/float64(time.Second))
	}
	return fmt.Sprintf("%#v", e)
}

func messageText(m Message) string {
	var s strings.Builder
	if a := m.Attach; a != nil {
		fmt.Fprintf(&s, " attach")
		for _, h := range a.Leases {
			state := "waiting"
			if h.Started {
				state = "running"
			}
			fmt.Fprintf(&s, ", %s %s", state, fenceText(h.Lease.Fence))
		}
		for _, o := range a.Outcomes {
			fmt.Fprintf(&s, ", %s %s", fenceText(o.Fence), o.Class)
		}
		for _, o := range a.Outputs {
			fmt.Fprintf(&s, ", has %s", o.ID)
		}
		s.WriteString(";")
	}
	if m.Batches != 0 || m.Bytes != 0 {
		fmt.Fprintf(&s, " credit %d, %d bytes;", m.Batches, m.Bytes)
	}
	for _, o := range m.Outcomes {
		fmt.Fprintf(&s, " %s %s", fenceText(o.Fence), o.Class)
		if o.Output.ID != "" {
			fmt.Fprintf(&s, " with %s", o.Output.ID)
		}
		s.WriteString(";")
	}
	if m.Drain {
		s.WriteString(" drain;")
	}
	return strings.TrimSuffix(s.String(), ";")
}
