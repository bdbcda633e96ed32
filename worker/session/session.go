// Package session is the worker's side of leases, as a pure state machine:
// which lease starts when, how many more are asked for, what is reported and
// how often, when the link to the coordinator is given up and made anew, and
// what may be published while it is down. It does no I/O and has no clock:
// time and randomness are arguments of Step, and what it wants done comes back
// as effects. How a batch is computed, where outputs lie and how messages are
// encoded is decided elsewhere; such things pass through as opaque payloads.
//
// A lease is counted from the moment that the worker sent what won or renewed
// it, so the worker always gives up before the coordinator does. All leases of
// a session are renewed together, hence one deadline serves for all: when it
// passes, the link is dropped, and with it every way to publish, until an
// attach has told the coordinator what is held and was answered.
package session

import (
	"errors"
	"fmt"
	"time"
)

// Defaults and limits of Config.
const (
	// MaxSlots is the most batches that a worker can run at once.
	MaxSlots = 4096
	// DefaultMaxPrefetch is how many leases wait locally at the most.
	DefaultMaxPrefetch = 4096
	// DefaultMaxUnacknowledged is how many outcomes may wait for their
	// acknowledgement before credit is withheld.
	DefaultMaxUnacknowledged = 32768
	// DefaultBytes is the input that a worker holds leases for.
	DefaultBytes = 1 << 30
	// DefaultBackoff is the first reconnection's longest wait.
	DefaultBackoff = 100 * time.Millisecond
	// DefaultMaxBackoff is a later reconnection's longest wait.
	DefaultMaxBackoff = time.Second
	// DefaultAttachTimeout is how long a link may take to be attached.
	DefaultAttachTimeout = 5 * time.Second
	// DefaultDrain is how long a drain waits for running leases, and for others
	// to take over outputs.
	DefaultDrain = 30 * time.Second
	// DefaultLeaveAfter is how long past a drain's deadline the worker waits
	// for killed leases to end and for outcomes to be acknowledged.
	DefaultLeaveAfter = 2 * time.Second
	// DefaultGiveUpAfter is how long a worker is refused for a reason that may
	// pass before it gives up.
	DefaultGiveUpAfter = 15 * time.Second
	// MissedHeartbeats is how many heartbeats may go by in silence before the
	// link is held to be dead.
	MissedHeartbeats = 4
)

// Config is what a machine is made with. Zero means the default where there is
// one.
type Config struct {
	// Session is the first session's number, less one; it must be higher than
	// that of any session before (a start time in nanoseconds does).
	Session Number
	// Slots is how many batches run at once, 1 to MaxSlots.
	Slots int
	// Bytes is the input, in bytes, that leases may be held for.
	Bytes int64
	// MaxPrefetch is how many leases wait locally at the most.
	MaxPrefetch int
	// MaxUnacknowledged is how many outcomes may wait for acknowledgement
	// before credit is withheld.
	MaxUnacknowledged int
	// Backoff and MaxBackoff bound the waits between reconnections.
	Backoff, MaxBackoff time.Duration
	// AttachTimeout is how long a link may take from Connect to Attached.
	AttachTimeout time.Duration
	// Drain is how long a drain that names no time waits for running leases, and
	// for others to take over outputs.
	Drain time.Duration
	// LeaveAfter bounds what follows a drain's deadline.
	LeaveAfter time.Duration
	// GiveUpAfter is how long a worker is refused, for a reason that may pass,
	// before it gives up; a lease's time where that is longer.
	GiveUpAfter time.Duration
	// Outputs are the outputs that an earlier process left in the spool.
	Outputs []Output
	// Bug plants faults, for the simulation's own tests.
	Bug Bug
}

// Check returns all that is wrong with the configuration.
func (c Config) Check() error {
	var faults []error
	if c.Slots < 1 || c.Slots > MaxSlots {
		faults = append(faults, fmt.Errorf("slots are %d; give 1 to %d", c.Slots, MaxSlots))
	}
	negative := func(name string, n int64) {
		if n < 0 {
			faults = append(faults, fmt.Errorf("%s is %d; it can't be negative", name, n))
		}
	}
	negative("bytes of credit", c.Bytes)
	negative("max prefetch", int64(c.MaxPrefetch))
	negative("max unacknowledged", int64(c.MaxUnacknowledged))
	negative("back-off", int64(c.Backoff))
	negative("max back-off", int64(c.MaxBackoff))
	negative("attach timeout", int64(c.AttachTimeout))
	negative("drain", int64(c.Drain))
	negative("leave after", int64(c.LeaveAfter))
	negative("give up after", int64(c.GiveUpAfter))
	return errors.Join(faults...)
}

func (c Config) withDefaults() Config {
	orElse(&c.Bytes, DefaultBytes)
	orElse(&c.MaxPrefetch, DefaultMaxPrefetch)
	orElse(&c.MaxUnacknowledged, DefaultMaxUnacknowledged)
	orElse(&c.Backoff, DefaultBackoff)
	orElse(&c.MaxBackoff, DefaultMaxBackoff)
	orElse(&c.AttachTimeout, DefaultAttachTimeout)
	orElse(&c.Drain, DefaultDrain)
	orElse(&c.LeaveAfter, DefaultLeaveAfter)
	orElse(&c.GiveUpAfter, DefaultGiveUpAfter)
	return c
}

func orElse[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
