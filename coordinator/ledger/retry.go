package ledger

import "time"

// maxAttempts is how many attempts a batch of the job has.
func (r *run) maxAttempts() uint32 {
	if n := r.job.settings.MaxAttempts; n > 0 {
		return n
	}
	return 4
}

// backOff puts a failed range among those that wait for their time.
func (l *Ledger) backOff(b *batch, spent uint32) {
	b.enter(batchBacksOff)
	b.started = false
	wait := l.cfg.BackoffMax
	if spent < 32 {
		wait = min(l.cfg.BackoffMin<<(max(spent, 1)-1), wait)
		if wait <= 0 {
			wait = l.cfg.BackoffMax
		}
	}
	b.retryAt = l.now.Add(l.jitter(wait))
	l.timers.push(timer{at: b.retryAt, kind: dueRetry, batch: b})
}

// jitter returns a part of a time, drawn from the step's seed.
func (l *Ledger) jitter(d time.Duration) time.Duration {
	l.seed += 0x9e3779b97f4a7c15
	z := l.seed
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return time.Duration(z%uint64(d)) + 1
}

func (l *Ledger) retryDue(b *batch) {
	switch {
	case b.phase == batchBacksOff && b.retryAt <= l.now:
		b.full = nil // they may have room by now
		// That nobody had room is no failure: who failed it before gets it no later.
		if b.kind != LeaseMerge && !b.cramped {
			b.anybody = l.now.Add(l.cfg.Lease)
			l.timers.push(timer{at: b.anybody, kind: dueRetry, batch: b})
		}
		l.ready(b)
	case b.phase == batchReady:
		l.touch(b.run)
	}
}
