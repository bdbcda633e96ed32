// Package sim is a seeded world in which the real ledger and the real session
// machines of several workers run jobs over data that is only pretended. One
// seed decides everything: the jobs, the workers, what the network loses,
// delays and re-orders, who crashes, freezes, drains and comes back, when the
// coordinator restarts from its log, what the clocks say and which batches
// fail. The same seed gives the same world; two runs are compared.
//
// A book (book*.go) is a second, dumber opinion. It sees what the coordinator
// hears, decides and writes down, and what workers hear and do, keeps what was
// promised in plain lists, shares no code with what it judges, and looks after
// every step whether it still holds:
//
//   - every record of a source is in the output of exactly one winner, or was
//     skipped and counted; results and files hold all of them, in order;
//   - at most one attempt of a batch wins, and only one whose lease was live;
//     a fence is granted once;
//   - no position is leased twice at a time, or leased when it is done; a
//     lease that is silent past its deadline is taken back, and its range is
//     granted again in time; running work survives a change of leader;
//   - what is acknowledged is durable, what is dropped is needed by nobody, no
//     work whose lease was live is refused;
//   - a finished job's counters are the sum of its winners, and it ends as its
//     data, its limits and its user have it end, and for no other reason;
//   - an idle worker finds nothing that it could run; credits in batches and
//     bytes, labels, processors, pauses, delays, limits of concurrency and the
//     places where files may be cut are kept;
//   - what is collected, merged or committed is complete and in source order;
//   - a snapshot is as large as fragments, leases and holes, not as batches;
//   - a worker publishes nothing past its deadline, forgets no outcome before
//     it is acknowledged, starts nothing twice, and leaves in order.
//
// Faults end at some time. Then everything must settle: all jobs over, all
// results read, all workers attached with full credit and empty spools.
//
// # Planted bugs
//
// TestPlantedBugs plants each of these, one at a time, and shows that the book
// finds it within some seeds. In the ledger (see ledger.Bug): a stale fence is
// taken; leases never expire; a retried range is cut twice; counters of a lost
// output are kept; credit is lost with an outcome; an acknowledgement comes
// before the commit; a new leader cuts without grace; a late cut drops a
// position; a winner is counted twice; a merge reads in reverse; a key is
// taken twice; credit that arrives wakes nobody; a lost output is forgotten; a
// collect starts without its last input; a limit of concurrency is ignored; a
// prefix is taken to be enough too soon; a slow reader is ignored. In
// the session (see session.Bug): an outcome is forgotten once it was sent;
// credit is not renewed; a dropped lease goes on; a returned lease runs; a
// silent link is waited for; leases are counted from the answer, and published
// after their end; refused outputs are kept; a session number is used again; a
// drain leaves early.
//
// # Use
//
//	go test ./sim                                          200 seeds
//	go test ./sim -run TestSeeds -seeds=100000             more
//	go test ./sim -run TestSeeds -seed=42 -seeds=1 -v      one, with its story
package sim
