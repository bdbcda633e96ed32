// Package ledger decides what is to be done, who does it, and what is done:
// cutting, leasing, retrying, sharing, merging, keeping and ending of jobs, and
// which workers may take part. It is pure: time and randomness are arguments,
// and every wish it has of the world is an effect that somebody else carries
// out. It does not read data, talk to workers, keep a log or know what a
// processor is; payloads that only others understand pass through it as bytes.
//
// Durable facts ([Fact]) change a [State] alike on every replica. The leader's
// [Ledger] adds what may be lost (who is attached, which leases are out, how
// fast everybody is), and has one door, [Ledger.Step]. A fact is proposed by
// the effect [Append], and takes hold when [Committed] brings it back.
package ledger
