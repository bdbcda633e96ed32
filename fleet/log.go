package fleet

import (
	"bytes"
	"log"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// sayAgain is how long the same trouble is kept quiet about.
const sayAgain = time.Minute

// libraryLog takes what memberlist logs: noise at debug, and trouble with keys as
// the warning that an operator needs.
type libraryLog struct {
	log     *slog.Logger
	trouble *trouble
}

func newLibraryLog(l *slog.Logger, t *trouble) *log.Logger {
	return log.New(&libraryLog{log: l, trouble: t}, "", 0)
}

// Write takes one line.
func (l *libraryLog) Write(line []byte) (int, error) {
	text := string(bytes.TrimSpace(line))
	if _, after, ok := strings.Cut(text, "memberlist: "); ok {
		text = after
	}
	if strings.Contains(text, lookFrom) {
		return len(line), nil // ourselves, looking at our own list
	}
	if why := keyTrouble(text); why != "" {
		l.trouble.say(l.log, why, "from", sender(text))
	} else {
		l.log.Debug("gossip", "says", text)
	}
	return len(line), nil
}

// sender is the host of the peer that a line is about.
func sender(text string) string {
	_, from, _ := strings.Cut(text, "from=")
	from, _, _ = strings.Cut(from, " ")
	if host, _, err := splitAddress(from); err == nil {
		return host
	}
	return from
}

// keyTrouble says in an operator's words what is wrong between two members'
// keys; nothing when text is about something else.
func keyTrouble(text string) string {
	switch {
	case strings.Contains(text, "installed keys could decrypt"):
		return "gossip refused: it is encrypted with a key that is not in this member's key file; give both the same file"
	case strings.Contains(text, "encryption is not configured"):
		return "gossip refused: one side encrypts it and the other has no key; give both the same --gossip-key-file"
	case strings.Contains(text, "remote state is not encrypted"):
		return "gossip refused: the other side has no key, or it is no member's gossip port; give both the same --gossip-key-file"
	case strings.Contains(text, "Decrypt packet failed"):
		return "gossip refused: a packet is not encrypted with any key of this member's key file; give both the same file"
	}
	return ""
}

// foreign is what is said of something that answers, and does not gossip.
const foreign = "something answers there that does not gossip: is it a coordinator's --gossip address (port 7401 if nothing was said), not that of --listen (7400)?"

// plainWords is what a failed call says, in an operator's words.
func plainWords(member, why string) string {
	why = strings.TrimPrefix(why, "failed to join "+member+": ")
	if strings.Contains(why, "invalid msgType") {
		return foreign
	}
	return why
}

// trouble says each kind of trouble with each peer once in a while.
type trouble struct {
	mu   sync.Mutex
	said map[string]time.Time
}

func (t *trouble) say(log *slog.Logger, what, key, peer string) {
	t.mu.Lock()
	now := time.Now()
	last, ok := t.said[what+peer]
	quiet := ok && now.Sub(last) < sayAgain
	if !quiet {
		t.forget(now)
		t.said[what+peer] = now
	}
	t.mu.Unlock()
	if !quiet {
		log.Warn(what, key, peer)
	}
}

// forget drops what was said long ago, so that the table is bounded by what
// happens in a while.
func (t *trouble) forget(now time.Time) {
	if t.said == nil {
		t.said = make(map[string]time.Time)
	}
	for what, at := range t.said {
		if now.Sub(at) >= sayAgain {
			delete(t.said, what)
		}
	}
}
