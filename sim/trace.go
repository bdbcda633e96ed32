package sim

import (
	"fmt"
	"reflect"
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/worker/session"
)

// trace is what happened, as numbers: two runs of a seed must have the same.
// As text, too, when somebody reads it.
type trace struct {
	marks []uint64
	text  func(string)
}

// note adds something that happened.
func (w *world) note(what string, numbers ...uint64) {
	h := uint64(w.now)
	for i := range len(what) {
		h = (h ^ uint64(what[i])) * 0x100000001b3
	}
	w.trace.marks = append(w.trace.marks, dice(append(numbers, h)...))
}

// tell adds a line of text, if somebody reads it.
func (w *world) tell(format string, args ...any) {
	if w.trace.text != nil {
		w.trace.text(fmt.Sprintf("%10.4f ", float64(w.now)/float64(time.Second)) + fmt.Sprintf(format, args...))
	}
}

// tellOf tells of an event or an effect, with what it points to.
func (w *world) tellOf(who string, e any) {
	if w.trace.text == nil {
		return
	}
	switch e := e.(type) {
	case ledger.Grant:
		w.tell("%sGrant to %s: %+v", who, e.Worker, *e.Lease)
	case ledger.Append:
		w.tell("%sAppend%s", who, factsText(e.Facts))
	case ledger.Committed:
		w.tell("%sCommitted%s", who, factsText(e.Facts))
	case session.Send:
		w.tell("%s%T%+v %+v", who, e, e, e.Message.Attach)
	case session.Received:
		w.tell("%s%T%+v %+v", who, e, e, e.Response.Attached)
	default:
		w.tell("%s%T%+v", who, e, e)
	}
}

func factsText(facts []ledger.Fact) string {
	s := ""
	for _, f := range facts {
		s += fmt.Sprintf(" %T%+v", f, reflect.ValueOf(f).Elem())
	}
	return s
}

// difference is the first place where two traces differ; -1 when they do not.
func difference(a, b []uint64) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	if len(a) != len(b) {
		return min(len(a), len(b))
	}
	return -1
}
