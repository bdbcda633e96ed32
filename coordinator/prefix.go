package coordinator

import (
	"bytes"
	"crypto/sha256"
	"hash"
)

// prefix knows the bytes again that were passed on of an output before that was
// lost. What is made in its place may go on behind them when it begins with the
// same: then all that was passed on is of the one output that there is.
type prefix struct {
	passed int64     // bytes
	sum    hash.Hash // of those; nil when they could not be known again

	seen  int64     // of passed, those that came again; all of them but after a loss
	check hash.Hash // of those
}

// recall begins with bytes that come in the place of those before.
func (p *prefix) recall() { p.seen, p.check = 0, sha256.New() }

// skip takes what was passed on already off the front of what comes, and says
// whether it is the same.
func (p *prefix) skip(b []byte) (rest []byte, same bool) {
	n := min(int64(len(b)), p.passed-p.seen)
	if n == 0 {
		return b, true
	}
	p.seen += n
	p.check.Write(b[:n])
	if p.sum == nil || p.seen == p.passed && !bytes.Equal(p.sum.Sum(nil), p.check.Sum(nil)) {
		return nil, false
	}
	return b[n:], true
}

// pass notes bytes that were passed on.
func (p *prefix) pass(b []byte) {
	p.passed += int64(len(b))
	p.seen = p.passed
	if p.sum != nil {
		p.sum.Write(b)
	}
}
