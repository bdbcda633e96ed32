// Package dataplane fetches outputs from the workers that hold them, by Arrow
// Flight: for a worker whose batch reads them, and for a client that reads a
// job's result. It decides whom to ask, how long, and when to give up; where an
// output is, and what becomes of one that can't be had, is decided by the
// coordinator.
package dataplane

import (
	"errors"
	"time"
)

// RawKey is the key of the request's metadata by which a client asks for an
// output as the bytes that the spool has of it, and of the answer's by which a
// worker says that it does so. Without it the answer is a stream of record
// batches, as every Flight client reads it.
const RawKey = "millrace-raw"

// Errors that tell apart what a caller can do next. They are found with
// errors.Is, and wrapped with the cause.
var (
	// ErrGone says that the holder itself does not have the output any more, or
	// found it damaged: it has to be made again.
	ErrGone = errors.New("the output is gone")
	// ErrUnreachable says that no address of the holder gave the output: it may
	// still be there.
	ErrUnreachable = errors.New("the output can't be reached")
)

// Limits of a pool.
const (
	// ConnectWithin is how long each address has to begin its answer.
	ConnectWithin = 5 * time.Second
	// BusyWithin is how long a holder that has too much to do is asked again.
	BusyWithin = 30 * time.Second
	// MaxConns is how many holders a pool stays connected to, and to more only
	// while all of them are in use.
	MaxConns = 256
	// WindowBytes is how much of one output may be on its way, unread: at most
	// that much memory is taken for each that is open.
	WindowBytes = 512 << 10
	// idleAfter is when a connection that nobody uses is closed.
	idleAfter = time.Minute
)
