package ledger

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Config holds every limit and every knob of the ledger.
type Config struct {
	// Lease is how long a lease lasts without renewal.
	Lease time.Duration
	// Heartbeat is how often a worker must say that it lives.
	Heartbeat time.Duration
	// Grace is how long a new leader waits for workers to present the leases
	// of jobs that it found, before it cuts.
	Grace time.Duration
	// StandStill is how much later than asked for the ledger must be stepped to
	// have stood still; with 0 it never has.
	StandStill time.Duration
	// WorkerGone is how long a worker may be away before its outputs count as
	// lost.
	WorkerGone time.Duration
	// BackoffMin and BackoffMax bound the wait before the next attempt.
	BackoffMin, BackoffMax time.Duration
	// StealAfter is how long a lease waits unstarted before it is asked back
	// for an idle worker.
	StealAfter time.Duration

	// TargetLease is how long a batch that is cut late should take.
	TargetLease time.Duration
	// MinLease is how short batches may become toward the end.
	MinLease time.Duration
	// FirstBatchBytes is the size of batches while no speed is known.
	FirstBatchBytes int64
	// MinBatchBytes and MaxBatchBytes bound a late cut of files.
	MinBatchBytes, MaxBatchBytes int64
	// FirstBatchRecords, MinBatchRecords and MaxBatchRecords are the same for
	// inline records and ranges, which have no size in bytes.
	FirstBatchRecords, MinBatchRecords, MaxBatchRecords int64
	// MaxBatchFiles bounds the fragments in a batch.
	MaxBatchFiles int
	// AloneBytes is the input from which the only batch of a stage takes a
	// whole worker.
	AloneBytes int64

	// MergeFanIn is how many neighbouring outputs are merged into one.
	MergeFanIn int
	// MergeInputBytes is the size from which an output is not merged while
	// its stage runs.
	MergeInputBytes int64
	// MergeEvery is after how many other grants a waiting merge goes first.
	MergeEvery int
	// ResultWindow is how many outputs of a result are told ahead of their
	// reader.
	ResultWindow int
	// UnreadBytes is from how many bytes of its result on, done and not read,
	// a job waits for its reader.
	UnreadBytes int64

	// KeepFor is how long an ended job, and its result, is kept where the job
	// does not say so itself.
	KeepFor time.Duration
	// Quotas are how many leases a user may have at a time, over all of his
	// jobs; DefaultQuota is that of everybody else, and no limit when 0.
	Quotas       map[string]int
	DefaultQuota int
	// QuarantineAfter is how many different batches a worker must fail, with
	// none done between, to be paused while others do them.
	QuarantineAfter int
	// QuarantineMin and QuarantineMax bound how long it is paused before it is
	// tried with one batch; the time doubles with every trial that fails.
	QuarantineMin, QuarantineMax time.Duration
	// SinkWait is how long nothing is written because workers have not said
	// whether they see the output folder.
	SinkWait time.Duration
	// DeadGone is how long a worker may be away that is dead by both witnesses,
	// before its outputs count as lost.
	DeadGone time.Duration

	// MaxJobs bounds the jobs that have not ended.
	MaxJobs int
	// KeepJobs is how many ended jobs are kept.
	KeepJobs int
	// KeepBytes is how many bytes the specs and plans of all jobs may have
	// together while more than one ended job is kept.
	KeepBytes int64
	// MaxWorkers bounds the attached workers.
	MaxWorkers int
	// MaxSlots bounds a worker's slots.
	MaxSlots int
	// MaxCredit bounds the leases that a worker may ask for ahead.
	MaxCredit int
	// MaxLost is how often a batch may be lost with its worker for nothing.
	MaxLost int

	// LoneWorker: there never is but one worker, in the process of the client:
	// what went wrong need not name it.
	LoneWorker bool

	// Bug plants bugs, for the simulation's own test.
	Bug Bug
}

// DefaultConfig returns the documented defaults.
func DefaultConfig() Config {
	return Config{
		Lease: 10 * time.Second, Heartbeat: time.Second,
		Grace: 10 * time.Second, WorkerGone: 30 * time.Second,
		BackoffMin: 100 * time.Millisecond, BackoffMax: 30 * time.Second,
		StandStill:  2 * time.Second,
		StealAfter:  20 * time.Millisecond,
		TargetLease: time.Second, MinLease: 40 * time.Millisecond,
		FirstBatchBytes: 8 << 20, MinBatchBytes: 256 << 10, MaxBatchBytes: 64 << 20,
		FirstBatchRecords: 10_000, MinBatchRecords: 1, MaxBatchRecords: 8_000_000,
		MaxBatchFiles: 2048, AloneBytes: 4 << 20,
		MergeFanIn: 64, MergeInputBytes: 32 << 20, MergeEvery: 16,
		ResultWindow: 8, UnreadBytes: 1 << 30,
		KeepFor: time.Hour, QuarantineAfter: 3, QuarantineMin: time.Second, QuarantineMax: time.Minute,
		DeadGone: 3 * time.Second, SinkWait: 5 * time.Second,
		MaxJobs: 10_000, KeepJobs: 1_000, KeepBytes: 1 << 30, MaxWorkers: 10_000, MaxSlots: 4_096, MaxCredit: 1 << 18, MaxLost: 3,
	}
}

// Check returns every fault of the config, joined.
func (c Config) Check() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	check(c.Lease > 0, "Lease is %v: it must be positive", c.Lease)
	check(c.Heartbeat > 0 && c.Heartbeat*2 <= c.Lease,
		"Heartbeat is %v: it must be positive, and at most half of Lease (%v)", c.Heartbeat, c.Lease)
	check(c.Grace >= 0, "Grace is %v: it must not be negative", c.Grace)
	check(c.StandStill >= 0, "StandStill is %v: it must not be negative", c.StandStill)
	check(c.WorkerGone >= c.Lease, "WorkerGone is %v: it must be at least Lease (%v)", c.WorkerGone, c.Lease)
	check(c.BackoffMin > 0 && c.BackoffMin <= c.BackoffMax,
		"BackoffMin is %v: it must be positive, and at most BackoffMax (%v)", c.BackoffMin, c.BackoffMax)
	check(c.StealAfter > 0, "StealAfter is %v: it must be positive", c.StealAfter)
	check(c.MinLease > 0 && c.MinLease <= c.TargetLease,
		"MinLease is %v: it must be positive, and at most TargetLease (%v)", c.MinLease, c.TargetLease)
	check(c.MinBatchBytes > 0 && c.MinBatchBytes <= c.FirstBatchBytes && c.FirstBatchBytes <= c.MaxBatchBytes,
		"MinBatchBytes, FirstBatchBytes, MaxBatchBytes are %d, %d, %d: they must be positive and rise",
		c.MinBatchBytes, c.FirstBatchBytes, c.MaxBatchBytes)
	check(c.MinBatchRecords > 0 && c.MinBatchRecords <= c.FirstBatchRecords && c.FirstBatchRecords <= c.MaxBatchRecords,
		"MinBatchRecords, FirstBatchRecords, MaxBatchRecords are %d, %d, %d: they must be positive and rise",
		c.MinBatchRecords, c.FirstBatchRecords, c.MaxBatchRecords)
	check(c.MaxBatchFiles > 0, "MaxBatchFiles is %d: it must be positive", c.MaxBatchFiles)
	check(c.AloneBytes >= 0, "AloneBytes is %d: it must not be negative", c.AloneBytes)
	check(c.MergeFanIn >= 2, "MergeFanIn is %d: it must be at least 2", c.MergeFanIn)
	check(c.MergeEvery > 0, "MergeEvery is %d: it must be positive", c.MergeEvery)
	check(c.ResultWindow > 0, "ResultWindow is %d: it must be positive", c.ResultWindow)
	check(c.UnreadBytes > 0, "UnreadBytes is %d: it must be positive", c.UnreadBytes)
	check(c.KeepFor > 0, "KeepFor is %v: it must be positive", c.KeepFor)
	check(c.DefaultQuota >= 0, "DefaultQuota is %d: it must not be negative; 0 is no limit", c.DefaultQuota)
	for _, user := range slices.Sorted(maps.Keys(c.Quotas)) {
		check(c.Quotas[user] > 0, "the quota of %q is %d: it must be positive", user, c.Quotas[user])
	}
	check(c.QuarantineAfter > 0, "QuarantineAfter is %d: it must be positive", c.QuarantineAfter)
	check(c.QuarantineMin > 0 && c.QuarantineMin <= c.QuarantineMax,
		"QuarantineMin is %v: it must be positive, and at most QuarantineMax (%v)", c.QuarantineMin, c.QuarantineMax)
	check(c.SinkWait > 0, "SinkWait is %v: it must be positive", c.SinkWait)
	check(c.DeadGone > 0 && c.DeadGone <= c.WorkerGone,
		"DeadGone is %v: it must be positive, and at most WorkerGone (%v)", c.DeadGone, c.WorkerGone)
	check(c.MaxJobs > 0 && c.KeepJobs >= 0, "MaxJobs, KeepJobs are %d, %d: they must be positive", c.MaxJobs, c.KeepJobs)
	check(c.KeepBytes > 0, "KeepBytes is %d: it must be positive", c.KeepBytes)
	check(c.MaxCredit >= c.MaxSlots, "MaxCredit is %d: it must be at least MaxSlots (%d)", c.MaxCredit, c.MaxSlots)
	check(c.MaxWorkers > 0 && c.MaxSlots > 0, "MaxWorkers, MaxSlots are %d, %d: they must be positive", c.MaxWorkers, c.MaxSlots)
	check(c.MaxLost > 0, "MaxLost is %d: it must be positive", c.MaxLost)
	return errors.Join(faults...)
}
