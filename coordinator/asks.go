package coordinator

import (
	"errors"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/coordinator/relay"
	"github.com/millrace/millrace/coordinator/wire"
)

// What ends a transfer from this side.
var (
	// errOutputLost: the ledger has given the output up.
	errOutputLost = errors.New("the worker that held it is gone")
	// errTooLate: it was asked for in a round that is over.
	errTooLate = errors.New("outputs before it have to be made again")
)

// askFor is an output that was asked for, and is not yet delivered.
type askFor struct {
	told
	job      ledger.JobID
	transfer *relay.Transfer
	lost     bool // the ledger has given it up
}

// asks are all of them, by output. A worker that attaches again is asked again:
// it may never have heard the first time, and a ticket is good for one upload.
type asks map[ledger.OutputID]askFor

// lost ends the transfers of outputs that are there no more.
func (a asks) lost(outputs []ledger.OutputID) {
	for _, id := range outputs {
		if asked, ok := a[id]; ok {
			asked.lost = true
			a[id] = asked
			asked.transfer.Fail(errOutputLost)
		}
	}
}

// ask asks for an output.
func (o *owner) ask(f *feed, a askFor) {
	if a.round != f.current() {
		a.transfer.Fail(errTooLate)
		return
	}
	o.asks[a.output.ID] = a
	o.send(a)
}

// send asks the worker that holds an output for it, if it is attached.
func (o *owner) send(a askFor) {
	s := o.sessions[a.output.Worker]
	if s == nil {
		return
	}
	out := o.to(s.worker, s.number)
	out.Sends = append(out.Sends, &pb.Send{Ticket: a.transfer.Ticket(), Output: wire.Output(a.job, a.output)})
}
