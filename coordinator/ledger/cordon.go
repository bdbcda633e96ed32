package ledger

import "time"

// WorkersCordoned: an operator wants workers to get no new leases, or to get
// them again. It is answered when that is durable.
type WorkersCordoned struct {
	Request  RequestID
	Workers  []WorkerID
	Cordoned bool
}

// WorkersDrained: an operator wants workers to finish what they run within a
// time, return what waits, and leave. Those that are not attached are left out.
type WorkersDrained struct {
	Workers []WorkerID
	Within  time.Duration
}

// DrainWorker tells a worker to drain: running leases may take so long.
type DrainWorker struct {
	Worker  WorkerID
	Session SessionID
	Within  time.Duration
}

func (WorkersCordoned) event() {}
func (WorkersDrained) event()  {}
func (DrainWorker) effect()    {}

func (l *Ledger) workersCordoned(e WorkersCordoned) {
	l.answer(e.Request, AnswerOK, 0, false)
}

func (l *Ledger) workersDrained(WorkersDrained) {}
