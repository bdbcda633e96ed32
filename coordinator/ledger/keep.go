package ledger

// JobRemoved: a client wants an ended job forgotten, with its result. It is
// answered when that is durable.
type JobRemoved struct {
	Request RequestID
	Job     JobID
}

// ResultShelved: the shell has a copy of the whole kept result of a done job.
// The outputs are dropped from the workers; from now on the result is the
// shell's business, until the job is forgotten.
type ResultShelved struct {
	Job JobID
}

func (JobRemoved) event()    {}
func (ResultShelved) event() {}

func (l *Ledger) jobRemoved(e JobRemoved) {
	l.answer(e.Request, AnswerNotFound, e.Job, false)
}

func (l *Ledger) resultShelved(ResultShelved) {}

// Result returns the outputs of the kept result of a job that is done, in
// source order; none once the result is shelved. They are complete unless
// something of them is lost, or the job is not done or not kept: then
// [ResultRequested] has what is missing made again, and [Changed] tells when to
// look again.
func (l *Ledger) Result(id JobID) (outputs []Output, complete bool) {
	return nil, false
}
