package coordinator

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/millrace/millrace/api"
	"github.com/millrace/millrace/coordinator/ledger"
)

// Config is what an operator may set. A zero field takes its default, which is
// the figure given with it.
type Config struct {
	// Logger gets one line for each transition of a job and of a session, and
	// one for each lease at level debug; nothing is logged when it is nil.
	Logger *slog.Logger

	// Lease is how long a lease lasts without a renewal: 10 s.
	Lease time.Duration
	// Heartbeat is how often a worker must renew: 1 s. At most a third of
	// Lease, so that two lost heartbeats cost nothing.
	Heartbeat time.Duration
	// TargetLease is how long a batch that is cut by measured speed should
	// take: the ledger's own default.
	TargetLease time.Duration

	// MaxJobs bounds the jobs that have not ended: 10,000.
	MaxJobs int
	// KeepJobs is how many ended jobs are remembered, newest first: 1,000.
	KeepJobs int
	// MaxSessions bounds the workers that are attached at one time: 10,000.
	MaxSessions int
	// MaxWatchers bounds the WatchJob streams: 10,000.
	MaxWatchers int
	// MaxReaders bounds the ReadResult streams: 256. Each may hold
	// ResultWindow bytes.
	MaxReaders int

	// Inbox is how many calls wait for the ledger before further ones are
	// refused, and sessions are slowed down: 4,096.
	Inbox int
	// SessionQueue is how many leases, acknowledgements and other orders wait
	// for a worker that does not read, before it is disconnected: 100,000.
	SessionQueue int
	// MaxMessage bounds a message to the coordinator in bytes, and with it a
	// plan: 64 MiB.
	MaxMessage int

	// SnapshotBytes is how large the log of the ledger's facts may grow before
	// a snapshot of the ledger takes its place: 16 MiB.
	SnapshotBytes int

	// ResultWindow is how many bytes of a result are held for one reader, all
	// outputs that are requested ahead together: 16 MiB.
	ResultWindow int
	// ResultBuffer is how many bytes of one output are held before any is
	// passed on: 4 MiB. An output that fits is delivered whole or not at all,
	// so that the loss of its worker goes unnoticed.
	ResultBuffer int
	// ResultAhead is how many outputs are requested ahead of the reader: 32.
	ResultAhead int
}

// What a worker or client can be told in one go.
const (
	minLease     = 100 * time.Millisecond
	maxLease     = time.Hour
	minHeartbeat = 10 * time.Millisecond
	minMessage   = 2 << 20 // an upload's megabyte and its frame
	maxMessage   = 1 << 30
	maxCount     = 10_000_000
)

// withDefaults fills in what was left at zero.
func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Lease = or(c.Lease, 10*time.Second)
	c.Heartbeat = or(c.Heartbeat, min(time.Second, c.Lease/3))
	c.MaxJobs = or(c.MaxJobs, 10_000)
	c.KeepJobs = or(c.KeepJobs, 1_000)
	c.MaxSessions = or(c.MaxSessions, 10_000)
	c.MaxWatchers = or(c.MaxWatchers, 10_000)
	c.MaxReaders = or(c.MaxReaders, 256)
	c.Inbox = or(c.Inbox, 4_096)
	c.SessionQueue = or(c.SessionQueue, 100_000)
	c.MaxMessage = or(c.MaxMessage, api.MaxMessageBytes)
	c.SnapshotBytes = or(c.SnapshotBytes, 16<<20)
	c.ResultWindow = or(c.ResultWindow, 16<<20)
	c.ResultBuffer = or(c.ResultBuffer, 4<<20)
	c.ResultAhead = or(c.ResultAhead, 32)
	return c
}

// or is a setting, or its default where it is zero.
func or[T comparable](set, otherwise T) T {
	var zero T
	if set == zero {
		return otherwise
	}
	return set
}

// check tells all that is wrong with the settings at once.
func (c Config) check() error {
	return errors.Join(
		within("Lease", c.Lease, minLease, maxLease),
		within("Heartbeat", c.Heartbeat, minHeartbeat, max(minHeartbeat, c.Lease/3)),
		within("TargetLease", c.TargetLease, 0, maxLease),
		within("MaxJobs", c.MaxJobs, 1, maxCount),
		within("KeepJobs", c.KeepJobs, 1, maxCount),
		within("MaxSessions", c.MaxSessions, 1, maxCount),
		within("MaxWatchers", c.MaxWatchers, 1, maxCount),
		within("MaxReaders", c.MaxReaders, 1, maxCount),
		within("Inbox", c.Inbox, 1, maxCount),
		within("SessionQueue", c.SessionQueue, 16, maxCount),
		within("MaxMessage", c.MaxMessage, minMessage, maxMessage),
		within("SnapshotBytes", c.SnapshotBytes, 1<<10, maxMessage),
		within("ResultBuffer", c.ResultBuffer, 1, maxMessage),
		within("ResultWindow", c.ResultWindow, c.ResultBuffer, maxMessage),
		within("ResultAhead", c.ResultAhead, 1, maxCount),
		c.ledger().Check(),
	)
}

// ledger is the part of the config that is the ledger's.
func (c Config) ledger() ledger.Config {
	l := ledger.DefaultConfig()
	l.Lease, l.Heartbeat = c.Lease, c.Heartbeat
	l.Grace = c.Lease
	l.WorkerGone = max(l.WorkerGone, 3*c.Lease)
	l.TargetLease = or(c.TargetLease, l.TargetLease)
	l.MinLease = min(l.MinLease, l.TargetLease)
	l.MaxJobs, l.KeepJobs, l.MaxWorkers = c.MaxJobs, c.KeepJobs, c.MaxSessions
	l.ResultWindow = c.ResultAhead
	return l
}

func within[T int | time.Duration](name string, v, low, high T) error {
	if v < low || v > high {
		return fmt.Errorf("coordinator: %s is %v; it must be from %v to %v", name, v, low, high)
	}
	return nil
}
