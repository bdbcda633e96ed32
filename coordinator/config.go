package coordinator

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
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
	// Version is the version of the program, for workers and people; empty when
	// it is not known.
	Version string

	// Lease is how long a lease lasts without a renewal: 10 s.
	Lease time.Duration
	// Heartbeat is how often a worker must renew: 1 s, and more with many
	// workers. At most a third of Lease, so that two lost heartbeats cost
	// nothing.
	Heartbeat time.Duration
	// WorkerGone is how long a worker may be away before its outputs count as
	// lost: 30 s, or three times Lease where that is more.
	WorkerGone time.Duration
	// DeadGone is the same for one that is dead by both witnesses: 3 s.
	DeadGone time.Duration
	// ProbeTimeout is how long a worker whose session broke may take to answer
	// or refuse a connection to where it serves its outputs: 1 s.
	ProbeTimeout time.Duration
	// QuarantineAfter is how many different batches in a row a worker must fail
	// to be paused while others do them: 3.
	QuarantineAfter int
	// QuarantineMin is how long it is paused before it is tried with one batch,
	// and doubles with every trial that fails, up to QuarantineMax: 1 s and
	// 1 min.
	QuarantineMin, QuarantineMax time.Duration
	// TargetLease is how long a batch that is cut by measured speed should
	// take: the ledger's own default.
	TargetLease time.Duration

	// Quotas are how many leases a user may have at a time, over all of his
	// jobs, by his name; there are none by default. Names have 1 to 63 bytes.
	Quotas map[string]int
	// DefaultQuota is the quota of every user that Quotas does not name: none.
	DefaultQuota int

	// KeepFor is how long an ended job, and its result, is kept when its client
	// did not say: 1 h.
	KeepFor time.Duration
	// ShelfResult is up to how many bytes of a result are copied here when its
	// job is done, so that its workers may go: 1 MiB. A copy is made of none
	// when it is negative.
	ShelfResult int
	// ShelfBytes bounds all these copies together: 64 MiB. A result that finds
	// no room stays with its workers.
	ShelfBytes int

	// LoneWorker says that there is one worker and will be no other: failures do
	// not name it then.
	LoneWorker bool

	// MaxJobs bounds the jobs that have not ended: 10,000.
	MaxJobs int
	// KeepJobs is how many ended jobs are remembered, newest first: 1,000.
	KeepJobs int
	// MaxSessions bounds the workers that are attached at one time: 10,000.
	MaxSessions int
	// MaxWatchers bounds the WatchJob streams: 10,000.
	MaxWatchers int
	// MaxReaders bounds the ReadResult and LocateResult streams: 256. Each may
	// hold ResultWindow bytes.
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
	// a snapshot takes its place: 16 MiB. A log that keeps nothing never does.
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
	// UploadIdle is how long no byte may come of an output that a reader waits
	// for, before its worker is asked again: 30 s, or WorkerGone where that is
	// more.
	UploadIdle time.Duration
}

// uploadIdle is what UploadIdle is at the least, when it is not set.
const uploadIdle = 30 * time.Second

// What a worker or client can be told in one go.
const (
	minLease     = 100 * time.Millisecond
	maxLease     = time.Hour
	minHeartbeat = 10 * time.Millisecond
	minMessage   = 2 << 20 // an upload's megabyte and its frame
	maxMessage   = 1 << 30
	maxCount     = 10_000_000
	maxKeep      = 10 * 365 * 24 * time.Hour
)

// withDefaults fills in what was left at zero.
func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Lease = cmp.Or(c.Lease, 10*time.Second)
	c.Heartbeat = cmp.Or(c.Heartbeat, min(time.Second, c.Lease/3))
	c.WorkerGone = cmp.Or(c.WorkerGone, max(ledger.DefaultConfig().WorkerGone, 3*c.Lease))
	c.DeadGone = cmp.Or(c.DeadGone, min(ledger.DefaultConfig().DeadGone, c.WorkerGone))
	c.ProbeTimeout = cmp.Or(c.ProbeTimeout, time.Second)
	c.QuarantineAfter = cmp.Or(c.QuarantineAfter, ledger.DefaultConfig().QuarantineAfter)
	c.QuarantineMin = cmp.Or(c.QuarantineMin, ledger.DefaultConfig().QuarantineMin)
	c.QuarantineMax = cmp.Or(c.QuarantineMax, max(ledger.DefaultConfig().QuarantineMax, c.QuarantineMin))
	c.KeepFor = cmp.Or(c.KeepFor, time.Hour)
	c.ShelfResult = cmp.Or(c.ShelfResult, 1<<20)
	c.ShelfBytes = cmp.Or(c.ShelfBytes, max(64<<20, c.ShelfResult))
	c.MaxJobs = cmp.Or(c.MaxJobs, 10_000)
	c.KeepJobs = cmp.Or(c.KeepJobs, 1_000)
	c.MaxSessions = cmp.Or(c.MaxSessions, 10_000)
	c.MaxWatchers = cmp.Or(c.MaxWatchers, 10_000)
	c.MaxReaders = cmp.Or(c.MaxReaders, 256)
	c.Inbox = cmp.Or(c.Inbox, 4_096)
	c.SessionQueue = cmp.Or(c.SessionQueue, 100_000)
	c.MaxMessage = cmp.Or(c.MaxMessage, api.MaxMessageBytes)
	c.SnapshotBytes = cmp.Or(c.SnapshotBytes, 16<<20)
	c.ResultWindow = cmp.Or(c.ResultWindow, 16<<20)
	c.ResultBuffer = cmp.Or(c.ResultBuffer, 4<<20)
	c.ResultAhead = cmp.Or(c.ResultAhead, 32)
	c.UploadIdle = cmp.Or(c.UploadIdle, max(uploadIdle, c.WorkerGone))
	return c
}

// check tells all that is wrong with the settings at once.
func (c Config) check() error {
	if err := errors.Join(c.checkTimes(), c.checkLimits(), c.checkQuotas()); err != nil {
		return err
	}
	return c.ledger().Check()
}

// checkTimes tells what is wrong with the times of leases and workers. Those
// that depend on another one are looked at once that is right.
func (c Config) checkTimes() error {
	if err := within("Lease (--lease)", c.Lease, minLease, maxLease); err != nil {
		return err
	}
	return errors.Join(
		within("Heartbeat (--heartbeat)", c.Heartbeat, minHeartbeat, c.Lease/3),
		within("TargetLease (--target-lease)", c.TargetLease, 0, maxLease),
		within("WorkerGone (--worker-gone)", c.WorkerGone, c.Lease, maxKeep),
		within("DeadGone", c.DeadGone, time.Millisecond, c.WorkerGone),
		within("ProbeTimeout", c.ProbeTimeout, time.Millisecond, c.WorkerGone),
		within("QuarantineAfter", c.QuarantineAfter, 1, maxCount),
		within("QuarantineMin", c.QuarantineMin, time.Millisecond, c.QuarantineMax),
		within("QuarantineMax", c.QuarantineMax, c.QuarantineMin, maxKeep),
		within("UploadIdle", c.UploadIdle, time.Millisecond, maxKeep),
		within("KeepFor (--keep-for)", c.KeepFor, time.Millisecond, maxKeep),
	)
}

func (c Config) checkLimits() error {
	return errors.Join(
		within("DefaultQuota", c.DefaultQuota, 0, maxCount),
		within("ShelfResult (--shelf-result)", c.ShelfResult, -1, maxMessage),
		within("ShelfBytes (--shelf-bytes)", c.ShelfBytes, min(max(0, c.ShelfResult), maxMessage), maxMessage),
		within("MaxJobs (--max-jobs)", c.MaxJobs, 1, maxCount),
		within("KeepJobs (--keep-jobs)", c.KeepJobs, 1, maxCount),
		within("MaxSessions (--max-workers)", c.MaxSessions, 1, maxCount),
		within("MaxWatchers", c.MaxWatchers, 1, maxCount),
		within("MaxReaders", c.MaxReaders, 1, maxCount),
		within("Inbox", c.Inbox, 1, maxCount),
		within("SessionQueue", c.SessionQueue, 16, maxCount),
		within("MaxMessage", c.MaxMessage, minMessage, maxMessage),
		within("SnapshotBytes", c.SnapshotBytes, 1<<10, maxMessage),
		within("ResultBuffer", c.ResultBuffer, 1, maxMessage),
		within("ResultWindow", c.ResultWindow, c.ResultBuffer, maxMessage),
		within("ResultAhead", c.ResultAhead, 1, maxCount),
	)
}

func (c Config) checkQuotas() error {
	var faults []error
	for _, user := range slices.Sorted(maps.Keys(c.Quotas)) {
		if user == "" || len(user) > maxName {
			faults = append(faults, fmt.Errorf("coordinator: Quotas has the user %q; a name has 1 to %d bytes", user, maxName))
		}
		faults = append(faults, within(fmt.Sprintf("Quotas[%q]", user), c.Quotas[user], 1, maxCount))
	}
	return errors.Join(faults...)
}

// ledger is the part of the config that is the ledger's.
func (c Config) ledger() ledger.Config {
	l := ledger.DefaultConfig()
	l.Lease, l.Heartbeat = c.Lease, c.Heartbeat
	l.Grace = c.Lease
	l.WorkerGone, l.DeadGone = c.WorkerGone, c.DeadGone
	l.QuarantineAfter, l.QuarantineMin, l.QuarantineMax = c.QuarantineAfter, c.QuarantineMin, c.QuarantineMax
	l.Quotas, l.DefaultQuota, l.KeepFor = c.Quotas, c.DefaultQuota, c.KeepFor
	l.TargetLease = cmp.Or(c.TargetLease, l.TargetLease)
	l.MinLease = min(l.MinLease, l.TargetLease)
	l.MaxJobs, l.KeepJobs, l.MaxWorkers = c.MaxJobs, c.KeepJobs, c.MaxSessions
	l.ResultWindow = c.ResultAhead
	l.LoneWorker = c.LoneWorker
	return l
}

func within[T int | time.Duration](name string, v, low, high T) error {
	if v < low || v > high {
		return fmt.Errorf("coordinator: %s is %s; it must be from %s to %s", name, figure(v), figure(low), figure(high))
	}
	return nil
}

// figure is a setting as it is written.
func figure[T int | time.Duration](v T) string {
	if d, ok := any(v).(time.Duration); ok {
		return api.FormatDuration(d)
	}
	return fmt.Sprint(v)
}
