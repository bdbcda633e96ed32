package coordinator

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/api"
	"github.com/millrace/millrace/coordinator/ledger"
)

func TestDefaultsAreGood(t *testing.T) {
	c, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if c.config.Lease != 10*time.Second || c.config.Heartbeat != time.Second || c.config.MaxMessage != 64<<20 {
		t.Errorf("the defaults are %+v", c.config)
	}
	if short := (Config{Lease: time.Second}).withDefaults(); short.check() != nil {
		t.Errorf("a short lease alone is refused: %v", short.check())
	}
}

func TestAllFaultsOfAConfigAreToldAtOnce(t *testing.T) {
	_, err := New(Config{
		Lease: time.Minute, Heartbeat: 40 * time.Second, MaxJobs: -1, MaxMessage: 1,
		ResultBuffer: 100, ResultWindow: 99, Inbox: 1 << 30, TargetLease: -time.Second,
	})
	if err == nil {
		t.Fatal("it was taken")
	}
	for _, name := range []string{"Heartbeat", "MaxJobs", "MaxMessage", "ResultWindow", "Inbox", "TargetLease"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not told of in %q", name, err)
		}
	}
}

// What nobody set is not told of as wrong, and nothing is told twice.
func TestOneFaultIsToldOnce(t *testing.T) {
	for name, c := range map[string]Config{
		"Lease":      {Lease: time.Millisecond},
		"Heartbeat":  {Lease: time.Second, Heartbeat: 5 * time.Second},
		"WorkerGone": {WorkerGone: time.Second},
		"Quotas":     {Quotas: map[string]int{"a": 0}},
	} {
		_, err := New(c)
		if err == nil || strings.Count(err.Error(), "\n") > 0 || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestJobNames(t *testing.T) {
	n := jobNames{prefix: "abcde-", base: 1000}
	for _, id := range []ledger.JobID{1001, 1009, 1010, 1<<64 - 1} {
		if got, err := n.number(n.name(id)); got != id || err != nil {
			t.Errorf("%d came back as %d, %v", id, got, err)
		}
	}
	if name := n.name(1001); name != "abcde-1" {
		t.Errorf("the first job is %s", name)
	}
	for _, name := range []string{"", "abcde-", "abcde-x", "abcde-01", "abcde-0", "abcde-+1", "abcde--1", "abcde-18446744073709551616", "other-1", "1"} {
		if id, err := n.number(name); id != 0 || err == nil || api.CodeOf(err) != api.NotFound {
			t.Errorf("%q is job %d, %v", name, id, err)
		}
	}
	if _, err := n.number("other-17"); !strings.Contains(err.Error(), "started anew") {
		t.Errorf("of another coordinator's job is said: %v", err)
	}
}
