package ledger_test

import (
	"reflect"
	"testing"

	"github.com/millrace/millrace/coordinator/ledger"
)

var someFacts = []ledger.Fact{
	&ledger.TermBegan{Term: 3},
	&ledger.JobAdded{
		At: 5, Asked: ledger.Asked{Term: 1, Request: 9}, Key: "k", Spec: []byte("spec"), PlanOnly: true,
		Settings: ledger.Settings{
			Priority: -3, Weight: 0.5, Delay: 1, Deadline: 2, BatchTimeout: 3, MaxAttempts: 4, RetryBudget: 1 << 63, SkipLimit: 6,
			MaxConcurrency: 7, MaxSpoolBytes: 8, User: "u", Keep: true, KeepFor: 9, Labels: []ledger.Label{{Key: "a", Value: "b"}}, PlanRequires: []string{"sql"},
		},
	},
	&ledger.JobPlanned{At: 6, Job: 1, Fence: ledger.Fence{Job: 1, Batch: 2, Attempt: 3, Term: 4}, Plan: &ledger.Plan{
		Fragments: []ledger.Fragment{{Unit: ledger.UnitRows, Whole: true, Extent: 9, SizeBytes: 8, Records: -1, Cuts: []int64{3, 5}, Payload: []byte{1}}},
		Stages: []ledger.Stage{{
			Name: "s", Input: ledger.InputSource, Requires: []string{"x"}, Output: ledger.OutputArrow, Mergeable: true, PrefixLimit: new(int64), Payload: []byte{2},
			Cut: ledger.Cut{Rule: ledger.CutBytes, Size: 4, MaxFiles: 5, WholeFiles: true},
		}},
		Payload: []byte{3},
	}},
	&ledger.PauseSet{Asked: ledger.Asked{Term: 1, Request: 2}, Job: 3, Paused: true},
	&ledger.JobClosed{At: 1, Asked: ledger.Asked{Term: 1, Request: 2}, Job: 3, State: ledger.StateFailed, Class: ledger.OutcomeFatal, Reason: "r", Failure: []byte("f"), Untried: true,
		Inputs: []ledger.Input{{Fragment: []byte("x"), From: 1, To: 2}}},
	&ledger.JobForgotten{Job: 4, Asked: ledger.Asked{Term: 1, Request: 2}},
	&ledger.JobShelved{Job: 4},
	&ledger.CordonSet{Asked: ledger.Asked{Term: 1, Request: 2}, Workers: []ledger.WorkerID{"w"}, Cordoned: true},
	&ledger.AttemptsRefunded{Worker: "w"},
	&ledger.RangeDone{
		At: 1, Fence: ledger.Fence{Job: 1, Batch: 2, Attempt: 3, Term: 4}, Stage: -2, From: 1, To: 2, Worker: "w",
		Output:   ledger.Output{ID: "o", Worker: "w", Kind: ledger.OutputFile, Bytes: 3, Records: 4, Path: "p"},
		Counters: ledger.Counters{RecordsIn: 1, BytesIn: 2, RecordsOut: 3, BytesOut: 4, RecordsSkipped: 5, Custom: []ledger.Count{{Name: "c", Value: -6}}},
		Elapsed:  7, Skips: []byte("s"),
	},
	&ledger.RangeFailed{Fence: ledger.Fence{Job: 1}, Stage: 1, From: 2, To: 9, Worker: "w", Class: ledger.OutcomeKilledMemory, Failure: []byte("f"), SplitAt: 4},
	&ledger.OutputsLost{Job: 1, Stage: 2, Outputs: []ledger.OutputID{"a", "b"}, Wanted: true},
	&ledger.OutputsMerged{Fence: ledger.Fence{Job: 1}, Stage: 1, From: 2, To: 3, Inputs: []ledger.OutputID{"a"}, Output: ledger.Output{ID: "o"}, Moves: true},
	&ledger.ResultRead{Job: 1, Output: "o"},
	&ledger.WorkWasted{Job: 1},
}

// TestFactsSurviveEncoding also stands for a rule: whoever adds a field adds it
// to the encoding and to this list.
func TestFactsSurviveEncoding(t *testing.T) {
	for _, f := range someFacts {
		got, err := ledger.DecodeFact(ledger.AppendFact(nil, f))
		if err != nil || !reflect.DeepEqual(got, f) {
			t.Errorf("%T came back as %+v, %v; want %+v", f, got, err, f)
		}
	}
}

func FuzzDecodeFact(f *testing.F) {
	for _, fact := range someFacts {
		f.Add(ledger.AppendFact(nil, fact))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fact, err := ledger.DecodeFact(b)
		if err != nil {
			return
		}
		again, err := ledger.DecodeFact(ledger.AppendFact(nil, fact))
		if err != nil || !reflect.DeepEqual(fact, again) {
			t.Errorf("%+v came back as %+v, %v", fact, again, err)
		}
	})
}

func FuzzRestore(f *testing.F) {
	p := newPlay(&testing.T{})
	for _, line := range []string{
		"0s submit key=k labels=a:b", "0s attach w1 labels=a:b", "0s credit w1 5", "0s plan w1 1/1 fragments=90,10w stages=batches:4,collect",
		"0s done w1 1/2 output=a", "0s retryable w1 1/3",
	} {
		p.play(line)
		f.Add(p.l.State().Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ledger.Restore(b)
		if err != nil {
			return
		}
		if _, err := ledger.Restore(s.Encode()); err != nil {
			t.Errorf("a restored state can't be restored: %v", err)
		}
	})
}

func TestConfigTellsAllFaultsAtOnce(t *testing.T) {
	c := ledger.DefaultConfig()
	if err := c.Check(); err != nil {
		t.Errorf("the defaults are wrong: %v", err)
	}
	c.Heartbeat, c.MergeFanIn, c.MaxJobs = c.Lease, 1, 0
	if got := len(c.Check().(interface{ Unwrap() []error }).Unwrap()); got != 3 {
		t.Errorf("%d faults, want 3: %v", got, c.Check())
	}
}
