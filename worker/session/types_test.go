package session

import (
	"slices"
	"strings"
	"testing"
)

// TestMerge: what gathers is said once, and nothing of it is lost.
func TestMerge(t *testing.T) {
	first := Outcome{Fence: Fence{Batch: 1}, Class: Done}
	second := Outcome{Fence: Fence{Batch: 2}, Class: Fatal}
	m := Message{Attach: &Attach{Session: 7}, Batches: 2, Bytes: 10, Outcomes: []Outcome{first}}
	m.Merge(Message{Batches: 1, Bytes: 5, Outcomes: []Outcome{second}, Drain: true})
	if m.Attach == nil || m.Batches != 3 || m.Bytes != 15 || !m.Drain || !slices.Equal(m.Outcomes, []Outcome{first, second}) {
		t.Errorf("merged: %+v", m)
	}
}

// TestCheckTellsAll: an operator corrects a configuration once.
func TestCheckTellsAll(t *testing.T) {
	err := Config{Slots: 0, Bytes: -1, Drain: -1}.Check()
	for _, part := range []string{"slots", "bytes of credit", "drain"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the faults %q do not tell of %s", err, part)
		}
	}
	if err := (Config{Slots: 1}).Check(); err != nil {
		t.Error(err)
	}
}

// TestStrangeFinishedPanics: a shell that ends what does not run is broken.
func TestStrangeFinishedPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it went on")
		}
	}()
	attachedMachine(Config{Slots: 1}).Step(0, 1, Finished{})
}
