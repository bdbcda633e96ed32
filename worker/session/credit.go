package session

// credit is what the coordinator may still spend, and how much it should be.
//
// Leases should wait locally so that no slot idles for a round trip, and no
// more than that: what waits here can't run elsewhere. How many end within a
// round trip is simply counted, from the sending of an outcome to its
// acknowledgement. The depth is twice that count, so that it doubles with each
// round trip while slots starve, and a worker of slow batches keeps to its
// least.
type credit struct {
	batches  int    // granted to the coordinator, unspent
	bytes    int64  // the same in bytes; negative when a large batch was taken
	held     int64  // bytes of the leases that wait or run
	depth    int    // leases that should wait
	finished uint64 // leases that have ended

	probing bool
	probed  Fence  // the outcome whose answer is awaited
	since   uint64 // finished when it was sent
}

// minPrefetch is how many leases wait however slow they are: one for a slot.
func (c Config) minPrefetch() int { return min(c.Slots, c.MaxPrefetch) }

func (c *credit) probe(f Fence) {
	if !c.probing {
		c.probing, c.probed, c.since = true, f, c.finished
	}
}

func (c *credit) answered(f Fence, least, most int) {
	if !c.probing || c.probed != f {
		return
	}
	c.probing = false
	wanted := 2 * int(c.finished-c.since)
	shrunk := c.depth - (c.depth+7)/8 // a lull is no reason to start over
	c.depth = max(least, min(most, max(wanted, shrunk)))
}

// forget stops waiting for an answer that nobody owes any more.
func (c *credit) forget(f Fence) {
	c.probing = c.probing && c.probed != f
}

// reset forgets what was promised on a link that is gone.
func (c *credit) reset() {
	c.batches, c.bytes, c.probing = 0, 0, false
}

// topUp grants what is wanted and not yet promised. Outcomes that pile up
// unacknowledged hold it back: memory is not for the coordinator to fill.
func (m *Machine) topUp() {
	if m.drain.on || m.link.phase != attached && m.message.Attach == nil {
		return
	}
	c, l := &m.credit, &m.leases
	piled := max(0, l.finished.len-m.config.MaxUnacknowledged)
	want := m.config.Slots + c.depth - piled
	if n := want - l.waiting.len - l.running.len - c.batches; n > 0 {
		m.message.Batches += n
		c.batches += n
	}
	if n := m.config.Bytes - c.held - c.bytes; n > 0 {
		m.message.Bytes += n
		c.bytes += n
	}
}
