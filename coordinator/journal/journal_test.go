package journal

import (
	"testing"

	"github.com/millrace/millrace/coordinator/ledger"
)

func TestMemory(t *testing.T) {
	open := func() Log { return NewMemory() }
	testLog(t, open)
	testRestored(t, open)
}

// TestVolatile: it commits like any log, and keeps nothing.
func TestVolatile(t *testing.T) {
	testLog(t, func() Log { return NewVolatile() })
	log := NewVolatile()
	add(t, log, "a", "b")
	if got := keys(log.Committed()); got != "ab" {
		t.Errorf("committed %q, want ab", got)
	}
	if got := log.Committed(); got != nil {
		t.Errorf("committed %v once more", got)
	}
	if got := restored(t, log); got != "" || log.Bytes() != 0 {
		t.Errorf("it keeps %q, in %d bytes", got, log.Bytes())
	}
}

// testRestored is what every log must pass that outlives its process.
func testRestored(t *testing.T, open func() Log) {
	t.Run("what was committed is restored", func(t *testing.T) {
		log := open()
		add(t, log, "a", "b")
		add(t, log, "c")
		if got := keys(log.Committed()); got != "abc" {
			t.Errorf("committed %q, want abc", got)
		}
		if got := restored(t, log); got != "abc" {
			t.Errorf("restored %q, want abc", got)
		}
	})
	t.Run("a snapshot replaces what was returned, and nothing else", func(t *testing.T) {
		log := open()
		add(t, log, "a")
		log.Committed()
		add(t, log, "b")
		if err := log.Snapshot([]byte("+")); err != nil {
			t.Fatal(err)
		}
		if got := restored(t, log); got != "+b" {
			t.Errorf("restored %q, want +b", got)
		}
		if log.Bytes() == 0 {
			t.Error("the entry after the snapshot has no bytes")
		}
	})
}

// testLog is what every log must pass.
func testLog(t *testing.T, open func() Log) {
	t.Run("ready tells of a commit", func(t *testing.T) {
		log := open()
		add(t, log, "a")
		<-log.Ready()
		if got := keys(log.Committed()); got != "a" {
			t.Errorf("committed %q, want a", got)
		}
	})
}

func TestHeldMemory(t *testing.T) {
	log := NewMemory()
	log.Hold()
	add(t, log, "a")
	add(t, log, "b")
	if got := log.Committed(); got != nil {
		t.Errorf("committed %v before the release", got)
	}
	if left := log.Release(1); left != 1 {
		t.Errorf("%d entries left, want 1", left)
	}
	if got := keys(log.Committed()); got != "a" {
		t.Errorf("committed %q, want a", got)
	}
	log.Lose()
	if got := restored(t, log); got != "a" {
		t.Errorf("restored %q after the crash, want a", got)
	}
}

func add(t *testing.T, log Log, keys ...string) {
	t.Helper()
	var facts []ledger.Fact
	for _, k := range keys {
		facts = append(facts, &ledger.JobAdded{Key: k})
	}
	if err := log.Append(facts); err != nil {
		t.Fatal(err)
	}
}

func keys(facts []ledger.Fact) (s string) {
	for _, f := range facts {
		s += f.(*ledger.JobAdded).Key
	}
	return s
}

func restored(t *testing.T, log Log) string {
	t.Helper()
	snapshot, facts, err := log.Restore()
	if err != nil {
		t.Fatal(err)
	}
	return string(snapshot) + keys(facts)
}
