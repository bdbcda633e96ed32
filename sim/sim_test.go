package sim

import (
	"flag"
	"fmt"
	"testing"

	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/worker/session"
)

var (
	firstSeed = flag.Uint64("seed", 1, "the first seed")
	manySeeds = flag.Int("seeds", 0, "how many seeds; 400 when 0, 30 with -short")
)

// TestSeeds lets worlds pass, each twice: the same must happen.
func TestSeeds(t *testing.T) {
	seeds := *manySeeds
	if seeds == 0 {
		seeds = 400
		if testing.Short() {
			seeds = 30
		}
	}
	failed := 0
	for i := range seeds {
		seed := *firstSeed + uint64(i)
		if err := runTwice(t, seed, seeds == 1); err != nil {
			t.Errorf("%v\nreplay: go test ./sim -run TestSeeds -seed=%d -seeds=1 -v", err, seed)
			if failed++; failed == 10 {
				t.Fatal("and so on")
			}
		}
	}
}

func runTwice(t *testing.T, seed uint64, tell bool) error {
	var text func(string)
	if tell && testing.Verbose() {
		text = func(line string) { fmt.Println(line) }
	}
	a := Run(seed, Bugs{}, nil)
	b := Run(seed, Bugs{}, text)
	if at := difference(a.Marks, b.Marks); at >= 0 {
		return fmt.Errorf("seed %d: two runs differ after %d marks", seed, at)
	}
	if a.Fault != nil {
		return fmt.Errorf("seed %d: %w", seed, a.Fault)
	}
	return nil
}

// planted are the bugs that the simulation must find.
var planted = []struct {
	name string
	bugs Bugs
}{
	{"ledger: stale fence", Bugs{Ledger: ledger.BugStaleFence}},
	{"ledger: no expiry", Bugs{Ledger: ledger.BugNoExpiry}},
	{"ledger: double grant", Bugs{Ledger: ledger.BugDoubleGrant}},
	{"ledger: keep counters", Bugs{Ledger: ledger.BugKeepCounters}},
	{"ledger: lose credit", Bugs{Ledger: ledger.BugLoseCredit}},
	{"ledger: early ack", Bugs{Ledger: ledger.BugEarlyAck}},
	{"ledger: no grace", Bugs{Ledger: ledger.BugNoGrace}},
	{"ledger: drop hole", Bugs{Ledger: ledger.BugDropHole}},
	{"ledger: count twice", Bugs{Ledger: ledger.BugCountTwice}},
	{"ledger: merge order", Bugs{Ledger: ledger.BugMergeOrder}},
	{"ledger: skip key", Bugs{Ledger: ledger.BugSkipKey}},
	{"ledger: lost wake-up", Bugs{Ledger: ledger.BugLostWakeup}},
	{"ledger: forget lost", Bugs{Ledger: ledger.BugForgetLost}},
	{"ledger: partial collect", Bugs{Ledger: ledger.BugPartialCollect}},
	{"ledger: ignore limit", Bugs{Ledger: ledger.BugIgnoreLimit}},
	{"ledger: short prefix", Bugs{Ledger: ledger.BugShortPrefix}},
	{"ledger: ignore reader", Bugs{Ledger: ledger.BugIgnoreReader}},
	{"ledger: one witness", Bugs{Ledger: ledger.BugOneWitness}},
	{"ledger: trust gossip", Bugs{Ledger: ledger.BugTrustGossip}},
	{"ledger: two of a name", Bugs{Ledger: ledger.BugTwoOfAName}},
	{"ledger: forget cordon", Bugs{Ledger: ledger.BugForgetCordon}},
	{"ledger: old opinion", Bugs{Ledger: ledger.BugOldOpinion}},
	{"ledger: ignore cordon", Bugs{Ledger: ledger.BugIgnoreCordon}},
	{"ledger: uncordon sleeps", Bugs{Ledger: ledger.BugUncordonSleeps}},
	{"ledger: drain grants", Bugs{Ledger: ledger.BugDrainGrants}},
	{"ledger: spend gone", Bugs{Ledger: ledger.BugSpendGone}},
	{"ledger: spend room", Bugs{Ledger: ledger.BugSpendRoom}},
	{"ledger: room sleeps", Bugs{Ledger: ledger.BugRoomSleeps}},
	{"ledger: impatient", Bugs{Ledger: ledger.BugImpatient}},
	{"ledger: forget bar", Bugs{Ledger: ledger.BugForgetBar}},
	{"ledger: blind writer", Bugs{Ledger: ledger.BugBlindWriter}},
	{"ledger: lax marker", Bugs{Ledger: ledger.BugLaxMarker}},
	{"ledger: hasty lost", Bugs{Ledger: ledger.BugHastyLost}},
	{"ledger: eager remake", Bugs{Ledger: ledger.BugEagerRemake}},
	{"ledger: remake all", Bugs{Ledger: ledger.BugRemakeAll}},
	{"ledger: forget early", Bugs{Ledger: ledger.BugForgetEarly}},
	{"ledger: keep forever", Bugs{Ledger: ledger.BugKeepForever}},
	{"ledger: ignore quota", Bugs{Ledger: ledger.BugIgnoreQuota}},
	{"ledger: quota sleeps", Bugs{Ledger: ledger.BugQuotaSleeps}},
	{"ledger: no quarantine", Bugs{Ledger: ledger.BugNoQuarantine}},
	{"ledger: no refund", Bugs{Ledger: ledger.BugNoRefund}},
	{"ledger: same numbers", Bugs{Ledger: ledger.BugSameNumbers}},
	{"session: forget outcome", Bugs{Session: session.BugForgetOutcome}},
	{"session: lose credit", Bugs{Session: session.BugLoseCredit}},
	{"session: ignore drop", Bugs{Session: session.BugIgnoreDrop}},
	{"session: run revoked", Bugs{Session: session.BugRunRevoked}},
	{"session: no watchdog", Bugs{Session: session.BugNoWatchdog}},
	{"session: ignore deadline", Bugs{Session: session.BugIgnoreDeadline}},
	{"session: keep stale", Bugs{Session: session.BugKeepStale}},
	{"session: same session", Bugs{Session: session.BugSameSession}},
	{"session: leave early", Bugs{Session: session.BugLeaveEarly}},
}

// TestPlantedBugs: each is found, within some seeds.
func TestPlantedBugs(t *testing.T) {
	const patience = 2000
	for _, p := range planted {
		t.Run(p.name, func(t *testing.T) {
			for seed := range uint64(patience) {
				fault := caught(seed+1, p.bugs)
				if fault != nil && caught(seed+1, Bugs{}) == nil {
					t.Logf("seed %d: %v", seed+1, fault) // and without the bug there is none
					return
				}
			}
			t.Errorf("not found in %d seeds", patience)
		})
	}
}

// TestPlantedSmallWaits: a fault of fairness is found by what measures that.
func TestPlantedSmallWaits(t *testing.T) {
	for seed := range uint64(40) {
		if err := small(seed+1, ledger.BugSmallWaits); err != nil {
			t.Logf("seed %d: %v", seed+1, err)
			return
		}
	}
	t.Error("not found")
}

// caught runs a world with a bug; a panic of what is tested is a find, too.
func caught(seed uint64, bugs Bugs) (fault error) {
	defer func() {
		if p := recover(); p != nil {
			fault = fmt.Errorf("panic: %v", p)
		}
	}()
	return Run(seed, bugs, nil).Fault
}
