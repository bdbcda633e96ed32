package ledger

import "fmt"

// The kinds of encoded facts. A number is never used for another fact.
const (
	kindTermBegan uint64 = iota + 1
	kindJobAdded
	kindJobPlanned
	kindPauseSet
	kindJobClosed
	kindJobForgotten
	kindRangeDone
	kindRangeFailed
	kindOutputsLost
	kindOutputsMerged
	kindResultRead
	kindWorkWasted
	kindSnapshot
	kindCordonSet
	kindJobShelved
	kindAttemptsRefunded
)

// AppendFact appends the encoding of a fact to b.
func AppendFact(b []byte, f Fact) []byte {
	w := &wire{buf: b}
	kind := kindOf(f)
	w.header(&kind)
	w.fact(f)
	return w.buf
}

// DecodeFact decodes one fact.
func DecodeFact(b []byte) (Fact, error) {
	w := &wire{buf: b, reading: true}
	var kind uint64
	w.header(&kind)
	if w.err != nil {
		return nil, w.err
	}
	f := factOf(kind)
	if f == nil {
		return nil, fmt.Errorf("%w: no fact of kind %d", errEncoding, kind)
	}
	if w.fact(f); w.err == nil && len(w.buf) > 0 {
		w.fail()
	}
	if w.err != nil {
		return nil, fmt.Errorf("fact of kind %d: %w", kind, w.err)
	}
	return f, nil
}

func kindOf(f Fact) uint64 {
	switch f.(type) {
	case *TermBegan:
		return kindTermBegan
	case *JobAdded:
		return kindJobAdded
	case *JobPlanned:
		return kindJobPlanned
	case *PauseSet:
		return kindPauseSet
	case *JobClosed:
		return kindJobClosed
	case *JobForgotten:
		return kindJobForgotten
	case *RangeDone:
		return kindRangeDone
	case *RangeFailed:
		return kindRangeFailed
	case *OutputsLost:
		return kindOutputsLost
	case *OutputsMerged:
		return kindOutputsMerged
	case *ResultRead:
		return kindResultRead
	case *WorkWasted:
		return kindWorkWasted
	case *CordonSet:
		return kindCordonSet
	case *JobShelved:
		return kindJobShelved
	case *AttemptsRefunded:
		return kindAttemptsRefunded
	}
	panic(fmt.Sprintf("ledger: unknown fact %T", f))
}

func factOf(kind uint64) Fact {
	facts := [...]func() Fact{
		kindTermBegan:     func() Fact { return &TermBegan{} },
		kindJobAdded:      func() Fact { return &JobAdded{} },
		kindJobPlanned:    func() Fact { return &JobPlanned{Plan: &Plan{}} },
		kindPauseSet:      func() Fact { return &PauseSet{} },
		kindJobClosed:     func() Fact { return &JobClosed{} },
		kindJobForgotten:  func() Fact { return &JobForgotten{} },
		kindRangeDone:     func() Fact { return &RangeDone{} },
		kindRangeFailed:   func() Fact { return &RangeFailed{} },
		kindOutputsLost:   func() Fact { return &OutputsLost{} },
		kindOutputsMerged: func() Fact { return &OutputsMerged{} },
		kindResultRead:    func() Fact { return &ResultRead{} },
		kindWorkWasted:    func() Fact { return &WorkWasted{} },
		kindCordonSet:     func() Fact { return &CordonSet{} },
		kindJobShelved:    func() Fact { return &JobShelved{} },

		kindAttemptsRefunded: func() Fact { return &AttemptsRefunded{} },
	}
	if kind >= uint64(len(facts)) || facts[kind] == nil {
		return nil
	}
	return facts[kind]()
}

func (w *wire) fact(f Fact) {
	switch f := f.(type) {
	case *TermBegan:
		num(w, &f.Term)
	case *JobAdded:
		num(w, &f.At)
		w.asked(&f.Asked)
		str(w, &f.Key)
		w.settings(&f.Settings)
		w.bytes(&f.Spec)
		w.flag(&f.PlanOnly)
	case *JobPlanned:
		num(w, &f.At)
		w.fence(&f.Fence)
		num(w, &f.Job)
		w.plan(f.Plan)
	case *PauseSet:
		w.asked(&f.Asked)
		num(w, &f.Job)
		w.flag(&f.Paused)
	case *JobClosed:
		w.jobClosed(f)
	case *JobForgotten:
		w.asked(&f.Asked)
		num(w, &f.Job)
	case *JobShelved:
		num(w, &f.Job)
	case *AttemptsRefunded:
		str(w, &f.Worker)
	case *RangeDone:
		w.rangeDone(f)
	case *RangeFailed:
		w.rangeFailed(f)
	case *OutputsLost:
		num(w, &f.Job)
		num(w, &f.Stage)
		many(w, &f.Outputs, str[OutputID])
		w.flag(&f.Wanted)
	case *OutputsMerged:
		w.outputsMerged(f)
	case *ResultRead:
		num(w, &f.Job)
		str(w, &f.Output)
	case *WorkWasted:
		num(w, &f.Job)
	case *CordonSet:
		w.asked(&f.Asked)
		many(w, &f.Workers, str[WorkerID])
		w.flag(&f.Cordoned)
	}
}

func (w *wire) jobClosed(f *JobClosed) {
	num(w, &f.At)
	w.asked(&f.Asked)
	num(w, &f.Job)
	num(w, &f.State)
	num(w, &f.Class)
	str(w, &f.Reason)
	w.bytes(&f.Failure)
	w.flag(&f.Untried)
	many(w, &f.Inputs, (*wire).input)
}

func (w *wire) input(x *Input) {
	w.bytes(&x.Fragment)
	num(w, &x.From)
	num(w, &x.To)
}

func (w *wire) rangeDone(f *RangeDone) {
	num(w, &f.At)
	w.fence(&f.Fence)
	num(w, &f.Stage)
	num(w, &f.From)
	num(w, &f.To)
	str(w, &f.Worker)
	w.output(&f.Output)
	w.counters(&f.Counters)
	num(w, &f.Elapsed)
	w.bytes(&f.Skips)
}

func (w *wire) rangeFailed(f *RangeFailed) {
	w.fence(&f.Fence)
	num(w, &f.Stage)
	num(w, &f.From)
	num(w, &f.To)
	str(w, &f.Worker)
	num(w, &f.Class)
	w.bytes(&f.Failure)
	num(w, &f.SplitAt)
}

func (w *wire) outputsMerged(f *OutputsMerged) {
	w.fence(&f.Fence)
	num(w, &f.Stage)
	num(w, &f.From)
	num(w, &f.To)
	many(w, &f.Inputs, str[OutputID])
	w.output(&f.Output)
	w.flag(&f.Moves)
}

func (w *wire) asked(a *Asked) {
	num(w, &a.Term)
	num(w, &a.Request)
}

func (w *wire) fence(f *Fence) {
	num(w, &f.Job)
	num(w, &f.Batch)
	num(w, &f.Attempt)
	num(w, &f.Term)
}

func (w *wire) output(o *Output) {
	str(w, &o.ID)
	if o.ID == "" && w.err == nil {
		*o = Output{}
		return
	}
	str(w, &o.Worker)
	num(w, &o.Kind)
	num(w, &o.Bytes)
	num(w, &o.Records)
	str(w, &o.Path)
}

func (w *wire) counters(c *Counters) {
	num(w, &c.RecordsIn)
	num(w, &c.BytesIn)
	num(w, &c.RecordsOut)
	num(w, &c.BytesOut)
	num(w, &c.RecordsSkipped)
	many(w, &c.Custom, func(w *wire, n *Count) {
		str(w, &n.Name)
		num(w, &n.Value)
	})
}

func (w *wire) settings(s *Settings) {
	num(w, &s.Priority)
	w.float(&s.Weight)
	num(w, &s.Delay)
	num(w, &s.Deadline)
	num(w, &s.BatchTimeout)
	num(w, &s.MaxAttempts)
	num(w, &s.RetryBudget)
	num(w, &s.SkipLimit)
	num(w, &s.MaxConcurrency)
	num(w, &s.MaxSpoolBytes)
	str(w, &s.User)
	w.flag(&s.Keep)
	num(w, &s.KeepFor)
	many(w, &s.Labels, func(w *wire, l *Label) {
		str(w, &l.Key)
		str(w, &l.Value)
	})
	many(w, &s.PlanRequires, str[string])
}

func (w *wire) plan(p *Plan) {
	many(w, &p.Fragments, func(w *wire, f *Fragment) {
		num(w, &f.Unit)
		w.flag(&f.Whole)
		num(w, &f.Extent)
		num(w, &f.SizeBytes)
		num(w, &f.Records)
		many(w, &f.Cuts, num[int64])
		w.bytes(&f.Payload)
	})
	many(w, &p.Stages, func(w *wire, s *Stage) {
		str(w, &s.Name)
		num(w, &s.Input)
		num(w, &s.Cut.Rule)
		num(w, &s.Cut.Size)
		num(w, &s.Cut.MaxFiles)
		w.flag(&s.Cut.WholeFiles)
		many(w, &s.Requires, str[string])
		num(w, &s.Output)
		w.flag(&s.Mergeable)
		w.optional(&s.PrefixLimit)
		w.bytes(&s.Payload)
	})
	w.bytes(&p.Payload)
}
