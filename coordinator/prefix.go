package coordinator

import "hash/maphash"

// prefix knows the bytes again that were passed on of an output before that was
// lost. What is made in its place may go on behind them when it begins with the
// same: then all that was passed on is of the one output that there is.
type prefix struct {
	passed int64 // bytes
	sum    maphash.Hash

	seen  int64 // of passed, those that came again; all of them but after a loss
	check maphash.Hash
}

// begin begins with bytes that come in the place of those before, if there were
// any.
func (p *prefix) begin() {
	p.seen = 0
	p.check.SetSeed(p.sum.Seed())
}

// skip takes what was passed on already off the front of what comes, and says
// whether it is the same.
func (p *prefix) skip(b []byte) (rest []byte, same bool) {
	n := min(int64(len(b)), p.passed-p.seen)
	if n == 0 {
		return b, true
	}
	p.seen += n
	p.check.Write(b[:n])
	if p.seen == p.passed && p.sum.Sum64() != p.check.Sum64() {
		return nil, false
	}
	return b[n:], true
}

// pass notes bytes that were passed on.
func (p *prefix) pass(b []byte) {
	p.passed += int64(len(b))
	p.seen = p.passed
	p.sum.Write(b)
}
