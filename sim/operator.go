package sim

import (
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
)

// operator cordons workers, lets them go, and has them drained, while jobs run.
type operator struct {
	w     *world
	asked map[ledger.RequestID]func()
	wants map[ledger.WorkerID]bool // to be cordoned, as he has said last
}

func newOperator(w *world) *operator {
	return &operator{w: w, asked: map[ledger.RequestID]func(){}, wants: map[ledger.WorkerID]bool{}}
}

// cordonSome cordons a worker, or undoes it.
func (o *operator) cordonSome() {
	name := o.w.someWorker().id()
	o.wants[name] = !o.wants[name]
	o.insist(name)
	if o.wants[name] {
		o.w.after(o.w.between(0, 15*time.Second), func() { o.relent(name) })
	}
}

// relent undoes a cordon.
func (o *operator) relent(name ledger.WorkerID) {
	if o.wants[name] {
		o.wants[name] = false
		o.insist(name)
	}
}

// insist says what is wanted of a worker until it is answered, or something
// else is wanted.
func (o *operator) insist(name ledger.WorkerID) {
	w, want, answered := o.w, o.wants[name], false
	var again func()
	again = func() {
		if answered || o.wants[name] != want {
			return
		}
		c := w.coordinator
		c.requests++
		o.asked[c.requests] = func() { answered = true }
		w.note("cordon", uint64(len(name)))
		c.step(ledger.WorkersCordoned{Request: c.requests, Workers: []ledger.WorkerID{name}, Cordoned: want})
		w.after(clientPause, again)
	}
	again()
}

// answered says whether an answer was the operator's.
func (o *operator) answered(a ledger.Answer) bool {
	done := o.asked[a.Request]
	if done == nil {
		return false
	}
	delete(o.asked, a.Request)
	if a.Code != ledger.AnswerOK {
		o.w.book.fail("a cordon was answered by code %d", a.Code)
	}
	done()
	return true
}

// drainSome has a worker leave, which is started again later.
func (o *operator) drainSome() {
	w, k := o.w, o.w.someWorker()
	w.note("order", uint64(k.index))
	w.coordinator.step(ledger.WorkersDrained{Workers: []ledger.WorkerID{k.id()}, Within: w.between(0, 10*time.Second)})
	w.after(w.between(5*time.Second, 30*time.Second), func() { w.revive(k) })
}

// calm undoes all cordons. One that was lost with a coordinator's log is
// undone, too.
func (o *operator) calm() {
	for _, name := range o.w.names() {
		o.wants[ledger.WorkerID(name)] = false
		o.insist(ledger.WorkerID(name))
	}
}
