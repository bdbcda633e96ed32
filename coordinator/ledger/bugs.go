package ledger

// Bug is a set of faults planted on purpose, for the simulation's own test:
// it must catch each. Always 0 elsewhere.
type Bug uint64

// The planted bugs.
const (
	// BugStaleFence takes an outcome whatever its attempt and term are.
	BugStaleFence Bug = 1 << iota
	// BugNoExpiry never takes a silent lease back.
	BugNoExpiry
	// BugDoubleGrant leaves a retried batch's range to be cut a second time.
	BugDoubleGrant
	// BugKeepCounters does not subtract the counters of a lost output.
	BugKeepCounters
	// BugLoseCredit forgets one batch of credit with every outcome.
	BugLoseCredit
	// BugEarlyAck acknowledges an outcome when it is proposed, not when it is
	// durable.
	BugEarlyAck
	// BugNoGrace cuts at once after a change of leader.
	BugNoGrace
	// BugDropHole drops the last position of every fourth late cut.
	BugDropHole
	// BugCountTwice adds the counters of a winner twice.
	BugCountTwice
	// BugMergeOrder gives a merge its inputs in reverse order.
	BugMergeOrder
	// BugSkipKey adds a second job for a key that is known.
	BugSkipKey
	// BugLostWakeup does not look for work when credit arrives.
	BugLostWakeup
	// BugForgetLost does not undo a range whose output is lost.
	BugForgetLost
	// BugPartialCollect starts a collect while its last input is missing.
	BugPartialCollect
	// BugIgnoreLimit ignores a job's limit of concurrent leases.
	BugIgnoreLimit
	// BugShortPrefix ends a stage one record before its prefix is enough.
	BugShortPrefix
	// BugIgnoreReader makes more of a result however little of it is read.
	BugIgnoreReader
	// BugOneWitness never takes leases back before their deadline, whatever
	// both witnesses say.
	BugOneWitness
	// BugTrustGossip takes a worker to be dead because gossip says so.
	BugTrustGossip
	// BugTwoOfAName takes a second process of a name while the first lives.
	BugTwoOfAName
	// BugForgetCordon gives a cordoned worker leases again once it has
	// attached anew.
	BugForgetCordon
	// BugOldOpinion takes what gossip says of a former process for this one.
	BugOldOpinion
	// BugIgnoreCordon gives a cordoned worker leases.
	BugIgnoreCordon
	// BugUncordonSleeps does not look for work for a worker that is uncordoned.
	BugUncordonSleeps
	// BugDrainGrants gives a worker leases that an operator drains, until it
	// says itself that it drains.
	BugDrainGrants
	// BugSpendGone has an input that a worker does not find spend an attempt.
	BugSpendGone
	// BugSpendRoom has a spool without room spend an attempt, whatever is in
	// the way.
	BugSpendRoom
	// BugRoomSleeps does not look for work when others make room.
	BugRoomSleeps
	// BugImpatient takes an input to be gone when nobody finds it who takes
	// leases right now.
	BugImpatient
	// BugForgetBar grants batches of a stage to workers that can't run it.
	BugForgetBar
	// BugBlindWriter has workers write that have not said whether they see the
	// output folder.
	BugBlindWriter
	// BugLaxMarker lets a job go on of which a worker has another output folder.
	BugLaxMarker
	// BugHastyLost takes an output to be lost at the first report that it is
	// out of reach.
	BugHastyLost
	// BugEagerRemake makes lost parts of a kept result again though nobody
	// asks.
	BugEagerRemake
	// BugRemakeAll makes all of a kept result again when a part is lost.
	BugRemakeAll
	// BugForgetEarly forgets a job as soon as it has ended.
	BugForgetEarly
	// BugKeepForever never forgets a job because its time is over.
	BugKeepForever
	// BugIgnoreQuota ignores the quotas of users.
	BugIgnoreQuota
	// BugQuotaSleeps does not look for work when a user may have leases again.
	BugQuotaSleeps
	// BugSmallWaits lets a new job wait behind all that others have fetched
	// ahead.
	BugSmallWaits
	// BugCapsYield lets others wait where the next slot is kept for a job that
	// is at its limit.
	BugCapsYield
	// BugNoQuarantine pauses nobody.
	BugNoQuarantine
	// BugNoRefund leaves the attempts spent that a worker in quarantine spent.
	BugNoRefund
	// BugSameNumbers begins with job 1 in every log.
	BugSameNumbers
)

// has says whether the bug is planted.
func (b Bug) has(one Bug) bool { return b&one != 0 }
