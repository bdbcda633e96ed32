package identity

import "time"

// A keeper says that its own certificate's time ends.
const (
	// warnBefore is how long before the end it begins to.
	warnBefore = 24 * time.Hour
	// lookEvery is how often it looks, and says it again.
	lookEvery = time.Hour
)

// look sees whether the certificate's time ends, and comes again. Handshakes are
// no time to look: connections that stand for months make none, and the first one
// after the end fails.
func (k *Keeper) look() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refresh()
	k.judge(time.Now())
}

// judge says that the certificate is over or soon will be, and sets the timer for
// the next look. The caller holds mu.
func (k *Keeper) judge(now time.Time) {
	own := k.now.cert.Leaf
	left := own.NotAfter.Sub(now)
	say := func(what string) {
		k.log.Warn(what+": issue a new one, it is read again by itself",
			"name", own.Subject.CommonName, "file", k.files.Cert, "expires", own.NotAfter)
	}
	next := lookEvery
	switch {
	case left <= 0:
		say("own certificate has expired, and new connections fail")
	case left <= warnBefore:
		say("own certificate expires soon")
		next = min(next, left+time.Second)
	}
	if k.timer == nil {
		k.timer = time.AfterFunc(next, k.look)
	} else {
		k.timer.Reset(next)
	}
}
