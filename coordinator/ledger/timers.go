package ledger

import "time"

// timerKind is what is due at a timer's time.
type timerKind uint8

const (
	dueSession    timerKind = iota // a worker's oldest lease
	dueGone                        // a worker's absence has lasted too long
	dueRetry                       // a batch's back-off is over
	dueJob                         // a job's delay or grace is over
	dueDeadline                    // a job must have ended
	dueSteal                       // a waiting lease may be asked back
	dueExpiry                      // an ended job's time may be over
	duePlea                        // a job may still have no lease
	dueTrial                       // a worker in quarantine is tried again
	dueEvacuation                  // a draining worker may be empty
	dueWitness                     // a worker may have become silent
)

// timer is one thing that is due. It is never taken out before: who it
// concerns checks whether it still means anything.
type timer struct {
	at     Time
	seq    uint64
	kind   timerKind
	worker *worker
	run    *run
	batch  *batch
}

// timers is a heap of timers by time, and by their order at the same time.
type timers struct {
	heap []timer
	seq  uint64
}

func (t *timers) next() Time {
	if len(t.heap) == 0 {
		return never
	}
	return t.heap[0].at
}

func (t *timers) less(i, j int) bool {
	a, b := &t.heap[i], &t.heap[j]
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}

func (t *timers) push(x timer) {
	t.seq++
	x.seq = t.seq
	t.heap = append(t.heap, x)
	for i := len(t.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if !t.less(i, up) {
			break
		}
		t.heap[i], t.heap[up] = t.heap[up], t.heap[i]
		i = up
	}
}

func (t *timers) pop() timer {
	top, last := t.heap[0], len(t.heap)-1
	t.heap[0] = t.heap[last]
	t.heap[last] = timer{}
	t.heap = t.heap[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down+1 < last && t.less(down+1, down) {
			down++
		}
		if down >= last || !t.less(down, i) {
			return top
		}
		t.heap[i], t.heap[down] = t.heap[down], t.heap[i]
		i = down
	}
}

// after sets a timer.
func (l *Ledger) after(d time.Duration, x timer) {
	x.at = l.now.Add(d)
	l.timers.push(x)
}

// expire does everything that is due.
func (l *Ledger) expire() {
	for l.timers.next() <= l.now {
		switch t := l.timers.pop(); t.kind {
		case dueSession:
			l.sessionDue(t.worker)
		case dueGone:
			l.goneDue(t.worker, t.at)
		case dueRetry:
			l.retryDue(t.batch)
		case dueJob:
			l.settleSink(t.run)
			l.touch(t.run)
			l.looking = true // who is barred may be asked once more
			l.unblock(t.run)
		case dueDeadline:
			l.deadlineDue(t.run)
		case dueSteal:
			t.worker.stealAt = 0
			l.offer(t.worker)
		case dueExpiry:
			l.expiryDue(t.at)
		case duePlea:
			l.pleaDue(t.run)
		case dueTrial:
			l.trialDue(t.worker, t.at)
		case dueEvacuation:
			l.evacuationDue(t.worker, t.at)
		case dueWitness:
			l.witnessDue(t.worker, t.at)
		}
	}
}
