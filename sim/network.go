package sim

import (
	"time"

	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/worker/session"
)

// link is one connection between a worker and the coordinator. Each direction
// keeps its order; two links know nothing of each other, so that what an old
// one still carries can arrive after what a new one does.
type link struct {
	w           *world
	worker      *worker
	number      session.Number
	life        int    // of the worker
	incarnation uint64 // of its process
	epoch       int    // the coordinator's life that it reaches

	workerEnd      bool // the worker holds it to be open
	coordinatorEnd bool // the coordinator does
	lostUp         bool // nothing that is sent up arrives, and nobody is told
	lostDown       bool
	refused        bool // the coordinator has turned the worker away
	up             pipe
	down           pipe

	message session.Message // waits to be written, as does beat
	said    bool
	beat    *ledger.Heartbeat
	reply   session.Response // waits to be written
	replied bool
}

// pipe is one direction of a link.
type pipe struct {
	writing bool   // a message is being written; what comes gathers
	last    moment // when the last message arrives
}

// deliver sends what make returns when the pipe is free, and has it arrive
// after all that was sent before.
func (l *link) deliver(p *pipe, flush func() func()) {
	if p.writing {
		return
	}
	p.writing = true
	l.w.after(l.w.between(0, l.w.law.writing), func() {
		p.writing = false
		arrive := flush()
		p.last = max(p.last, l.w.now+l.w.latency())
		l.w.queue.add(p.last, arrive)
	})
}

// sendUp says something to the coordinator, with what gathers meanwhile.
func (l *link) sendUp(m session.Message) {
	l.message.Merge(m)
	l.said = true
	l.deliver(&l.up, l.flushUp)
}

// sendBeat does the same for a heartbeat.
func (l *link) sendBeat(b ledger.Heartbeat) {
	l.beat = &b
	l.deliver(&l.up, l.flushUp)
}

func (l *link) flushUp() func() {
	m, said, beat := l.message, l.said, l.beat
	l.message, l.said, l.beat = session.Message{}, false, nil
	if !l.workerEnd || l.lostUp {
		return func() {} // forgotten with its link, or lost
	}
	return func() {
		c := l.w.coordinator
		c.run(l.epoch, func() {
			if l.coordinatorEnd && !l.lostUp {
				c.heard(l, m, said, beat)
			}
		})
	}
}

// sendDown says something to the worker, with what gathers meanwhile.
func (l *link) sendDown(add func(r *session.Response)) {
	add(&l.reply)
	l.replied = true
	l.deliver(&l.down, l.flushDown)
}

func (l *link) flushDown() func() {
	r := l.reply
	l.reply, l.replied = session.Response{}, false
	if !l.coordinatorEnd || l.lostDown {
		return func() {}
	}
	k, life := l.worker, l.worker.life
	return func() {
		k.run(life, func() {
			if l.workerEnd && !l.lostDown {
				k.heard(l, r)
			}
		})
	}
}

// checkSink asks the worker whether it sees a job's folder. It answers in its own
// time, or never, where its link breaks or its disk hangs.
func (l *link) checkSink(e ledger.CheckSink) {
	k, life, def := l.worker, l.worker.life, l.w.jobOf(e.Job)
	wait := l.w.latency()
	if l.w.faulty && l.w.chance(0.05) {
		wait += l.w.between(0, 2*l.w.law.ledger.SinkWait)
	}
	l.w.after(wait, func() {
		k.run(life, func() {
			view := ledger.SinkSeen
			if !def.seen(k, sinkFolder) {
				view = ledger.SinkUnserved
				if def.strict {
					view = ledger.SinkUnseen
				}
			}
			l.w.after(l.w.latency(), func() {
				c := l.w.coordinator
				c.run(l.epoch, func() {
					if l.coordinatorEnd && l.workerEnd && !l.lostUp && !l.lostDown {
						c.step(ledger.SinkChecked{Worker: k.id(), Session: ledger.SessionID(l.number), Job: e.Job, View: view, Reason: "it has another folder"})
					}
				})
			})
		})
	})
}

// latency is how long a message travels.
func (w *world) latency() time.Duration {
	d := w.between(w.law.latency/4, w.law.latency)
	if w.faulty && w.chance(w.law.spikes) {
		d += w.between(0, 3*time.Second)
	}
	return d
}

// connect opens a link, if there is somebody at the other end.
func (w *world) connect(k *worker, n session.Number) {
	life := k.life
	w.after(w.latency(), func() {
		c := w.coordinator
		if w.faulty && w.chance(w.law.refusals) {
			return // the request is lost; the worker gives up by itself
		}
		if !c.up {
			w.after(w.latency(), func() {
				k.run(life, func() { k.step(session.Broken{Session: n}) })
			})
			return
		}
		l := &link{w: w, worker: k, number: n, life: life, incarnation: k.incarnation, epoch: c.epoch, workerEnd: true, coordinatorEnd: true}
		w.after(w.latency(), func() { k.run(life, func() { k.opened(l) }) })
	})
}

// cut breaks a link. What is under way arrives or is lost; each end hears of
// it in its own time, or, if silent, has to find out by itself.
func (l *link) cut(silent bool) {
	w := l.w
	w.note("cut", uint64(l.worker.index), uint64(l.number))
	w.tell("cut %s session %d, silent %v", l.worker.name, l.number, silent)
	l.lostUp, l.lostDown = w.chance(0.5), w.chance(0.5)
	if silent {
		l.lostUp = l.lostUp || !l.lostDown
		return
	}
	l.tellWorker(w.between(0, 200*time.Millisecond))
	l.tellCoordinator(w.between(0, 2*time.Second))
}

// tellWorker has the worker find its end closed.
func (l *link) tellWorker(in time.Duration) {
	k, life := l.worker, l.worker.life
	l.w.after(in, func() {
		k.run(life, func() {
			if l.workerEnd {
				l.workerEnd = false
				k.step(session.Broken{Session: l.number})
				if l.refused && k.alive {
					k.turnedAway()
				}
			}
		})
	})
}

// tellCoordinator has the coordinator find its end closed.
func (l *link) tellCoordinator(in time.Duration) {
	l.w.after(in, func() {
		c := l.w.coordinator
		c.run(l.epoch, func() {
			if l.coordinatorEnd {
				l.coordinatorEnd = false
				c.lost(l)
				c.probe(l)
			}
		})
	})
}

// closedByWorker is what a worker does to the link before.
func (l *link) closedByWorker() {
	if l.workerEnd {
		l.workerEnd = false
		l.tellCoordinator(l.w.between(0, time.Second))
	}
}
