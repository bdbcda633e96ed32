package session

import "time"

// Event is something that happened.
type Event interface{ event() }

// Opened says that the link which Connect asked for stands; nothing has been
// sent on it.
type Opened struct{ Session Number }

// Broken says that a link could not be made, or broke.
type Broken struct{ Session Number }

// Refused says that the coordinator broke a link since it does not want the
// worker.
type Refused struct {
	Session Number
	// Final says that it never will. Otherwise it may, once another of the same
	// name is gone for instance.
	Final bool
}

// Received says that the coordinator said something.
type Received struct {
	Session  Number
	Response Response
}

// Finished says that a lease which Start began has ended, killed ones
// included. Every Start is followed by exactly one.
type Finished struct{ Outcome Outcome }

// DrainAsked says that the worker shall leave, by a signal for instance.
type DrainAsked struct {
	// Within is how long running leases, and others who take over outputs, may
	// still take; the configured time when 0. A later event may shorten it.
	Within time.Duration
}

// Ticked says that time has passed: the first step, and each WakeAt's answer.
type Ticked struct{}

func (Opened) event()     {}
func (Broken) event()     {}
func (Refused) event()    {}
func (Received) event()   {}
func (Finished) event()   {}
func (DrainAsked) event() {}
func (Ticked) event()     {}
