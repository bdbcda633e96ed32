package coordinator

import (
	"errors"
	"slices"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/coordinator/relay"
	"github.com/millrace/millrace/coordinator/wire"
)

// What ends a transfer from this side.
var (
	// errOutputLost: the ledger has given the output up.
	errOutputLost = errors.New("the worker that held it is gone")
	// errForgotten: nothing of the job is needed any more.
	errForgotten = errors.New("the job is not kept any more")
	// errTooLate: it was asked for in a round that is over.
	errTooLate = errors.New("it, or one before it, is not where it was")
)

// askFor is an output that was asked for, and is not yet delivered.
type askFor struct {
	told
	job      ledger.JobID
	transfer *relay.Transfer
	lost     bool // the owner's: the ledger has given it up
}

// asks are all of them, by output: several readers may want the same one. A
// worker that attaches again is asked again: it may never have heard the first
// time, and a ticket is good for one upload.
type asks map[ledger.OutputID][]*askFor

func (a asks) add(asked *askFor) {
	a[asked.output.ID] = append(a[asked.output.ID], asked)
}

func (a asks) remove(asked *askFor) {
	id := asked.output.ID
	a[id] = slices.DeleteFunc(a[id], func(x *askFor) bool { return x == asked })
	if len(a[id]) == 0 {
		delete(a, id)
	}
}

// lost ends the transfers of outputs that are there no more.
func (a asks) lost(outputs []ledger.OutputID) {
	for _, id := range outputs {
		for _, asked := range a[id] {
			asked.lost = true
			asked.transfer.Fail(errOutputLost)
		}
	}
}

// keep ends the transfers of a job's outputs but those that are there. Whoever
// has begun to bring one goes on: it may only have been taken over by another
// worker.
func (a asks) keep(id ledger.JobID, there map[ledger.OutputID]bool) {
	for output, same := range a {
		if same[0].job != id || there[output] {
			continue
		}
		for _, asked := range same {
			if !asked.transfer.Begun() {
				asked.transfer.Fail(errTooLate)
			}
		}
	}
}

// over ends the transfers of a job that is forgotten.
func (a asks) over(id ledger.JobID) {
	for _, same := range a {
		for _, asked := range same {
			if asked.job == id {
				asked.transfer.Fail(errForgotten)
			}
		}
	}
}

// ask asks for an output, unless what its reader knows is out of date.
func (o *owner) ask(current int, a *askFor) {
	if a.round != current {
		a.transfer.Fail(errTooLate)
		return
	}
	o.asks.add(a)
	o.send(a)
}

// send asks the worker that holds an output for it, if it is attached.
func (o *owner) send(a *askFor) {
	s := o.sessions[a.output.Worker]
	if s == nil {
		return
	}
	out := o.to(s.worker, s.number)
	out.Sends = append(out.Sends, &pb.Send{Ticket: a.transfer.Ticket(), Output: wire.Output(a.job, a.output)})
}

// resend asks a worker that has attached again for all that it was asked for.
func (o *owner) resend(worker ledger.WorkerID) {
	for _, same := range o.asks {
		for _, a := range same {
			if a.output.Worker == worker {
				o.send(a)
			}
		}
	}
}
