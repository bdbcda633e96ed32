package coordinator

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/millrace/millrace/api"
	"github.com/millrace/millrace/coordinator/journal"
	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/coordinator/shelf"
)

// callsAtOnce is how many waiting calls the owner serves before it sends what
// they led to.
const callsAtOnce = 64

// owner is everything that belongs to the goroutine of Run.
type owner struct {
	c      *Coordinator
	logger *slog.Logger
	ledger *ledger.Ledger
	log    journal.Log
	now    ledger.Time
	timer  *time.Timer

	proposed []ledger.Fact // not yet appended to the log
	snapshot int           // size of the last snapshot, in bytes

	requests map[ledger.RequestID]func(ledger.Answer)
	request  ledger.RequestID // the last one given out

	sessions map[ledger.WorkerID]*session
	arriving *session   // the one whose attach the ledger is looking at
	dirty    []*session // those with something to send
	fleet    *fleetBook

	jobs     map[ledger.JobID]*job
	watchers int
	readers  int
	asks     asks
	graves   graves
	shelf    *shelf.Shelf[ledger.JobID]
}

func newOwner(c *Coordinator, now time.Time) (*owner, error) {
	log := journal.NewVolatile()
	snapshot, facts, err := log.Restore()
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	state, err := ledger.Restore(snapshot, facts...)
	if err != nil {
		return nil, fmt.Errorf("restore the ledger from its log: %w", err)
	}
	o := &owner{
		c: c, logger: c.config.Logger, log: log,
		now:      ledger.Time(now.UnixNano()),
		timer:    time.NewTimer(0), // the first step is a tick
		requests: make(map[ledger.RequestID]func(ledger.Answer)),
		sessions: make(map[ledger.WorkerID]*session),
		jobs:     make(map[ledger.JobID]*job),
		asks:     make(asks),
		shelf:    shelf.New[ledger.JobID](int64(c.config.ShelfResult), int64(c.config.ShelfBytes)),
	}
	o.ledger = ledger.New(c.config.ledger(), state, term(state, o.now), o.now)
	o.fleet = newFleetBook(func() []ledger.WorkerView { return o.ledger.Workers(o.now) })
	c.names.base = o.ledger.JobBase()
	return o, nil
}

// term is a term that no other life of this coordinator has had, whatever
// became of its log: workers may come back with leases of any of them.
func term(state *ledger.State, now ledger.Time) ledger.Term {
	return max(state.Term()+1, ledger.Term(now))
}

// run serves calls until the context ends.
func (o *owner) run(ctx context.Context) error {
	defer o.timer.Stop()
	for {
		select {
		case f := <-o.c.inbox:
			o.tick()
			f(o)
			o.more()
		case <-o.timer.C:
			o.tick()
			o.step(ledger.Ticked{})
		case <-o.log.Ready():
			o.tick()
			o.commit()
		case <-ctx.Done():
			return nil
		}
		if err := o.settle(); err != nil {
			return err
		}
		o.flush()
	}
}

// more serves what waits already.
func (o *owner) more() {
	for range callsAtOnce - 1 {
		select {
		case f := <-o.c.inbox:
			f(o)
		default:
			return
		}
	}
}

// tick looks at the clock: once for all that is served together.
func (o *owner) tick() { o.now = ledger.Time(time.Now().UnixNano()) }

// step is the only way into the ledger. It must not be called from an effect.
func (o *owner) step(e ledger.Event) {
	for _, effect := range o.ledger.Step(o.now, rand.Uint64(), e) {
		o.do(effect)
	}
}

// settle proposes the facts that gathered, and acts on those that were
// committed, until there are no more.
func (o *owner) settle() error {
	for len(o.proposed) > 0 {
		facts := o.proposed
		o.proposed = nil
		if err := o.log.Append(facts); err != nil {
			return fmt.Errorf("append to the log: %w", err)
		}
		o.commit()
	}
	return o.compact()
}

func (o *owner) commit() {
	facts := o.log.Committed()
	if len(facts) == 0 {
		return
	}
	o.step(ledger.Committed{Facts: facts})
	for _, f := range facts {
		o.note(f)
	}
}

// compact replaces the log by a snapshot, when it has outgrown both its limit
// and the last snapshot.
func (o *owner) compact() error {
	if o.log.Bytes() < max(o.c.config.SnapshotBytes, o.snapshot) {
		return nil
	}
	state := o.ledger.State().Encode()
	o.snapshot = len(state)
	if err := o.log.Snapshot(state); err != nil {
		return fmt.Errorf("write a snapshot: %w", err)
	}
	return nil
}

// flush hands what gathered for each session to its writer.
func (o *owner) flush() {
	for i, s := range o.dirty {
		if s.holds > 0 {
			s.hold()
		}
		if err := s.box.Put(s.out); err != nil {
			s.end(api.Errorf(api.Full, "worker %s: %v", s.worker, err))
		}
		s.out, o.dirty[i] = nil, nil
	}
	o.dirty = o.dirty[:0]
}

// await has the ledger's answer to a request told to then.
func (o *owner) await(then func(ledger.Answer)) ledger.RequestID {
	o.request++
	o.requests[o.request] = then
	return o.request
}
