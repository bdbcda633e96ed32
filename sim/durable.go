package sim

import (
	"github.com/millrace/millrace/coordinator/journal"
	"github.com/millrace/millrace/coordinator/ledger"
)

// disk is the log as the world has it: an entry is durable some time after it
// was appended, and a crash loses the tail of those that were not. What is
// durable lies in a real journal.
type disk struct {
	w       *world
	log     journal.Log
	pending [][]ledger.Fact
	last    moment // when the last pending entry becomes durable
}

// append proposes an entry, which committed hears of once it is durable.
func (d *disk) append(facts []ledger.Fact, epoch int) {
	d.pending = append(d.pending, facts)
	d.last = max(d.last, d.w.now+d.w.between(0, d.w.law.commit))
	d.w.queue.add(d.last, func() {
		c := d.w.coordinator
		c.run(epoch, func() {
			d.harden()
			c.committed(d.log.Committed())
		})
	})
}

// harden makes the oldest pending entry durable.
func (d *disk) harden() {
	facts := d.pending[0]
	d.pending = d.pending[1:]
	if err := d.log.Append(facts); err != nil {
		d.w.book.fail("journal: %v", err)
	}
}

// crash loses a tail of what was pending; the rest turns out to be durable.
func (d *disk) crash() {
	kept := d.w.pick(0, len(d.pending))
	for range kept {
		d.harden()
	}
	d.w.book.durable(d.log.Committed())
	d.pending, d.last = nil, d.w.now
}
